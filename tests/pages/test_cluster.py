"""Training on a real Dask cluster: real processes, a worker killed, the scheduler gone and there again."""

import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs

import pytest

if not find_spec("distributed"):
    pytest.skip("Dask is not installed: pip install -r requirements-cluster.txt", allow_module_level=True)

import cluster_demo as demo
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from test_pages import opened
from visiting import Visitor, click

from cnnviz import workers
from cnnviz.cluster import RETRIES, Cluster, Worker
from cnnviz.sweeping import Conductor
from cnnviz.training import runs, sweeps


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    return tmp_path


def curve(run: runs.Run) -> list[tuple[float, ...]]:
    return [(epoch["loss"], epoch["val_loss"], epoch["val_accuracy"]) for epoch in runs.story(run).epochs]


def runs_page():
    app = opened()
    app.switch_page("pages/runs.py").run()
    assert not app.exception
    return app


def test_a_cluster_through_a_killed_worker_and_a_lost_scheduler(folder, monkeypatch, running_app):
    log = folder / "dask.txt"
    with demo.up(log) as there:
        cluster, trainers = there.cluster, there.trainers
        every, victim, killed = demo.four_runs(there)
        told = runs.story(victim)
        assert [runs.story(run).state for run in every] == ["done"] * 4
        assert told.started["from_epoch"] >= 2, "from its last finished epoch"
        assert told.started["place"] != killed
        assert [curve(run) for run in every] == [curve(victim)] * 4, "to the last digit"
        workers_are_chosen(cluster.address)
        a_worker_that_fails_is_asked_again(cluster.address)
        a_server_trains_there(cluster, running_app, folder / "server.txt")
        a_sweep_goes_on_at_another_server(there)
        # A scheduler that says nothing for a while costs nobody their run.
        there.scheduler.send_signal(signal.SIGSTOP)
        demo.until(lambda: cluster.trouble, "the scheduler's silence")
        asking = runs.create(replace(demo.CONFIG, device="gpu:0"))
        trainers.submit(asking)
        demo.until(lambda: trainers.place(asking) == 0 or cluster.trouble, "a look at it")
        assert runs.story(asking).state == "waiting"
        assert "scheduler can't be reached" in cluster.lacking(asking)
        there.scheduler.send_signal(signal.SIGCONT)
        demo.until(lambda: runs.story(asking).state == "failed", "the worker's answer")
        assert "gpu:0 is not here" in runs.story(asking).message
        # The page says where each run is, and not what another visitor's is called.
        monkeypatch.setattr(workers.TRAINERS, "where", cluster)
        monkeypatch.setattr(workers.TRAINERS, "start", lambda: None)  # the other queue asks already
        lost = runs.create(replace(demo.CONFIG, epochs=100, batch_size=4), "secret", "somebody")
        trainers.submit(lost)
        demo.until(lambda: any(worker.run == lost.id for worker in cluster.workers), "the run at a worker")
        app = runs_page()
        assert f"{demo.WORKERS - 1} workers, 1 busy" in app.caption[-1].value
        shown = app.dataframe[-1].value
        assert set(shown["worker"]) == there.nannies.keys() - {killed}
        assert [name for name in shown["run"] if name] == ["another visitor's"]
        assert "GPU 1" in set(shown["resources"])
        demo.until(lambda: runs.story(lost).epochs, "an epoch")
        # The whole cluster is killed under it: nothing is lost, and one sentence says what is wrong.
        for process in there.scheduler, *(nanny for name, nanny in there.nannies.items() if name != killed):
            demo.kill(process)
        demo.until(lambda: cluster.trouble, "the scheduler's end")
        late = runs.create(replace(demo.CONFIG, epochs=1))
        trainers.submit(late)
        assert "can't be reached" in runs_page().error[-1].value
        assert runs.story(late).state == "waiting"
        monkeypatch.setattr("cnnviz.cluster.GIVE_UP", 0)
        demo.until(lambda: runs.story(late).state == "failed", "the sentence")
        assert "can't be reached" in runs.story(late).message
        demo.until(lambda: not trainers.holds(lost), "the end of the lost run")
        assert runs.story(lost).state == "interrupted"
        finished = len(runs.story(lost).epochs)
        # It is there again, with a worker: both go on.
        port = int(cluster.address.rpartition(":")[2])
        with demo.scheduler(port, log), demo.worker(port, "new", log):
            demo.until(lambda: cluster.workers, "a worker")
            for run in lost, late:
                runs.ask_again(run)
                trainers.submit(run)
            demo.until(lambda: runs.story(lost).state == "running", "its turn")
            assert runs.story(lost).started["from_epoch"] == finished >= 1
            lost.stop()
            demo.until(lambda: runs.story(lost).state == "stopped", "its end")
            demo.until(lambda: runs.story(late).state == "done", "the end of the other one")


def a_server_trains_there(cluster: Cluster, running_app, log: Path) -> None:
    """A real web server that is told of the scheduler: a run from its form is done by a worker, and Runs says which."""
    before = runs.create(replace(demo.CONFIG, epochs=1))  # as from the command line; its settings go into the form
    (before.folder / "alive").unlink()
    with (
        running_app(log, CNNVIZ_SCHEDULER=cluster.address) as server,
        Visitor(server.url, f"run={before.id}", "training") as visitor,
    ):
        visitor.rerun(click(visitor.id_of("fill")))
        visitor.rerun(click(visitor.id_of("t_start")))
        run = runs.find(parse_qs(visitor.query)["run"][0])
        assert run != before
        demo.until(lambda: runs.story(run).state == "done", "its end")
        place = runs.story(run).started["place"]
        assert place in {worker.name for worker in cluster.workers} - {demo.GPU}
        visitor.page, visitor.hash = "runs", ""
        visitor.rerun()
        assert not visitor.said("exception")
        tables = [convert_arrow_bytes_to_pandas_df(table.arrow_data.data) for kind, table in visitor.elements
                  if kind == "dataframe"]  # fmt: skip
        assert tables[0].set_index("id")["place"][run.id] == place
        assert place in set(tables[1]["worker"])


def a_sweep_goes_on_at_another_server(there: demo.Up) -> None:
    """A sweep that one server brings on over the cluster, and, once that is killed, another one."""
    base = replace(demo.CONFIG, epochs=12)
    rates = sweeps.Axis("learning_rate", (1e-5, 1e-2)), sweeps.Axis("optimizer", ("adam", "sgd"))
    sweep = sweeps.create(base, rates, "random", 4, 0, 1, True)
    environment = os.environ | {"CNNVIZ_SCHEDULER": there.cluster.address}
    server = subprocess.Popen([sys.executable, "tests/bringing.py", sweep.id], cwd=demo.ROOT, env=environment)

    def learned() -> list[int]:
        return [len(told.epochs) for _, told in sweeps.standing(sweep).stories.values()]

    try:
        demo.until(lambda: sum(map(bool, learned())) > 1, "two runs of the sweep")
    finally:
        server.kill()
        server.wait()
    before = learned()
    # At once: what the workers still do for the server that is gone, they go on with.
    Conductor(there.trainers).conduct(sweep)
    demo.until(lambda: sweeps.standing(sweep).state != "running", "the end of the sweep")
    now = sweeps.standing(sweep)
    assert now.state == "done", now.message
    assert sorted(learned()) == [3, 3, 6, 12]
    assert all(count >= had for count, had in zip(learned(), before, strict=True))
    places = {told.started["place"] for _, told in now.stories.values()}
    assert places <= {worker.name for worker in there.cluster.workers}
    assert len(places) > 1


def workers_are_chosen(address: str) -> None:
    """Only a run that asks for a GPU gets the worker that says it has one, as long as others have nothing to do."""

    def where(run: runs.Run) -> str:
        import os

        return os.environ["CNNVIZ_WORKER"]

    cluster = Cluster(address, where)
    for device in "gpu:0", "auto", "cpu", "auto":
        cluster.refresh()
        name = cluster.begin(runs.create(replace(demo.CONFIG, device=device))).result(demo.LONG)
        assert (name == demo.GPU) == (device == "gpu:0"), (device, name)
    cluster._client.close()


def a_worker_that_fails_is_asked_again(address: str) -> None:
    """As often as RETRIES says, and no oftener."""

    def fail(run: runs.Run) -> int:
        with (run.folder / "tries").open("ab") as tries:
            tries.write(b".")
            if tries.tell() <= int(run.title):
                raise OSError("No space left on device")
            return tries.tell()

    cluster = Cluster(address, fail)
    cluster.refresh()
    assert cluster.begin(runs.create(demo.CONFIG, str(RETRIES))).result(demo.LONG) == RETRIES + 1
    cluster.refresh()
    past = runs.create(demo.CONFIG, str(RETRIES + 1))
    with pytest.raises(OSError, match="No space left"):
        cluster.begin(past).result(demo.LONG)
    assert (past.folder / "tries").stat().st_size == RETRIES + 1
    cluster._client.close()


def test_a_run_that_no_worker_can_do_says_what_it_waits_for():
    cluster = Cluster("tcp://127.0.0.1:1", workers.train)
    on_gpu, on_any = (runs.create(replace(demo.CONFIG, device=device)) for device in ("gpu:0", "auto"))
    assert (cluster.lacking(on_any), cluster.room(on_any, 0)) == ("", False), "nobody knows yet"
    cluster.looked = True
    assert cluster.lacking(on_any) == "Waiting: the cluster does not have a worker now."
    cluster.workers = (Worker("one", "here", 1, 0, 0),)
    assert (cluster.lacking(on_any), cluster.room(on_any, 0)) == ("", True)
    assert cluster.lacking(on_gpu) == "Waiting: the cluster does not have a worker with a GPU now."
    assert (cluster.room(on_gpu, 0), cluster.gpus()) == (False, [])
    cluster.workers += (Worker("two", "here", 1, 0, 0, {"GPU": 1.0}),)
    assert (cluster.lacking(on_gpu), cluster.room(on_gpu, 0), len(cluster.gpus())) == ("", True, 1)
    busy = Worker("one", "here", 1, 0, 0, tasks=(f"train-{on_any.id}-0123abcd", "somebody's-own"))
    cluster.workers = (busy,)
    assert busy.run == on_any.id
    assert not cluster.room(on_any, 0)


def test_a_worker_with_a_gpu_is_left_to_who_asks_for_one_as_long_as_others_are_free():
    cluster, on_the_way = Cluster("tcp://127.0.0.1:1", workers.train), Future()
    on_gpu, on_any = (runs.create(replace(demo.CONFIG, device=device)) for device in ("gpu:0", "auto"))
    with_gpu = Worker("one", "here", 1, 0, 0, {"GPU": 1.0}, address="1")
    plain = Worker("two", "here", 1, 0, 0, address="2")
    cluster.workers = (with_gpu, plain)
    assert cluster.free(on_any) == [plain, with_gpu]
    assert cluster.free(on_gpu) == [with_gpu]
    cluster._given = {"train-a": (on_the_way, "2")}
    assert cluster.free(on_any) == [with_gpu], "what is on the way to a worker takes it"
    cluster._given = {"train-a": (on_the_way, "")}
    assert (cluster.free(on_any), cluster.free(on_gpu)) == ([plain], [])
    on_the_way.set_result("done")
    assert cluster.free(on_any) == [plain, with_gpu]
    cluster.workers = (with_gpu, replace(plain, tasks=("somebody's-own",)))
    assert cluster.free(on_any) == [with_gpu]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "tcp://no.such.computer.invalid:8786"])
def test_an_address_where_nobody_is_gets_a_sentence(address, monkeypatch):
    monkeypatch.setattr("cnnviz.cluster.GIVE_UP", 0)
    trainers = workers.Trainers(Cluster(address, workers.train))
    run = runs.create(demo.CONFIG)
    trainers.submit(run)
    demo.until(lambda: runs.story(run).state == "failed", "the sentence")
    assert f"The cluster's scheduler at {address} can't be reached" in runs.story(run).message
    assert trainers.place(run) == 0


def test_without_dask_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    cluster = Cluster("tcp://127.0.0.1:1", workers.train)
    cluster.refresh()
    assert "pip install -r requirements-cluster.txt" in cluster.trouble


def test_a_worker_that_does_not_see_the_runs_folder_says_so():
    run = runs.create(demo.CONFIG)
    run.delete()
    with pytest.raises(runs.RunError, match="does not see"):
        workers.train(run)
