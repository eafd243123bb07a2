"""Real training of small networks: what it says and leaves, and how it comes through stops, kills and bad days."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from cnnviz import data
from cnnviz.nets.blocks import Block, Hidden
from cnnviz.nets.weights import read_weights
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig
from cnnviz.training.results import results, verdict

ROOT = Path(__file__).resolve().parents[2]
SMALL = TrainingConfig(
    "digits", preset="", blocks=(Block(16, 3, dropout=0.1),), hidden=(Hidden(32, dropout=0.1),), epochs=4,
    learning_rate=0.02, batch_size=32, schedule="one-cycle", optimizer="adamw", weight_decay=1e-3, augmentation="shift",
)  # fmt: skip
TRAIN = """
import sys
from cnnviz.nets.quiet import import_keras
import_keras()
from cnnviz.training.job import train
from cnnviz.training.runs import find
run = find(sys.argv[1])
{more}
print(train(run.config, run, heard if "heard" in globals() else lambda event: None))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def job(run: runs.Run, more: str = "", **environment: str) -> subprocess.Popen:
    """The job in a process of its own, as a worker runs it."""
    return subprocess.Popen([sys.executable, "-c", TRAIN.format(more=more), run.id], cwd=ROOT, text=True,
                            env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def done(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=200)
    return out.strip().rpartition("\n")[2] or err[-2000:]


def here(run: runs.Run, heard=lambda event: None) -> str:
    """The job in this process, where TensorFlow is imported already: for runs that need not be killed."""
    from cnnviz.training.job import train

    return train(run.config, run, heard)


def curve(run: runs.Run) -> list[tuple[float, ...]]:
    names = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    return [tuple(epoch[name] for name in names) for epoch in runs.story(run).epochs]


def is_tested(run: runs.Run) -> bool:
    """Whether the test images have been asked."""
    return (run.folder / "predictions.npz").exists() and "test_accuracy" in runs.story(run).end


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run from its beginning to its end, undisturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_RUNS", str(tmp_path_factory.mktemp("finished")))
        run = runs.create(SMALL, "undisturbed")
        assert here(run) == "done"
    return run


def test_a_run_learns_and_leaves_everything_that_the_app_shows(finished):
    from cnnviz.nets.quiet import import_keras

    keras = import_keras()
    told = runs.story(finished)
    assert told.state == "done"
    assert told.done == 1
    assert [epoch["epoch"] for epoch in told.epochs] == [1, 2, 3, 4]
    assert told.epochs[-1]["loss"] < told.epochs[0]["loss"]
    assert finished.epochs() == [0, 1, 2, 3, 4]
    assert told.best["epoch"] == told.end["epoch"]
    assert told.started["parameters"] == sum(finished.network.parameters())
    # The test accuracy is that of the saved model on the test images, and of the weights that the app shows.
    images, labels = data.load("digits")[1]
    model = keras.models.load_model(finished.folder / "model.keras")
    chances = model.predict(images[..., None] / np.float32(255), verbose=0)
    assert (chances.argmax(1) == labels).mean() == told.end["test_accuracy"] > 0.4
    np.testing.assert_allclose(results(finished).probabilities, chances, atol=1e-6)
    weights = read_weights(finished.network, finished.weights())
    assert np.array_equal(weights["conv1"][0], model.get_layer("conv1").get_weights()[0])
    assert np.array_equal(weights["conv1"][0], read_weights(
        finished.network, finished.weights(told.best["epoch"]))["conv1"][0])  # fmt: skip
    counts = results(finished).confusion()
    assert counts.sum() == len(labels)
    assert np.trace(counts) == (chances.argmax(1) == labels).sum()
    assert verdict(told)


def test_killed_in_the_middle_it_goes_on_to_the_same_curves(finished):
    run = runs.create(SMALL, "killed")
    # Killed in the middle of the third epoch, after two were finished.
    process = job(run, """
import os, signal
def heard(event):
    if event["event"] == "batch" and event["epoch"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
""")  # fmt: skip
    process.communicate(timeout=200)
    assert process.returncode == -signal.SIGKILL
    os.utime(run.folder / "alive", (time.time() - runs.DEAD - 1,) * 2)
    told = runs.story(run)
    assert told.state == "interrupted"
    assert len(told.epochs) == 2
    with (run.folder / "events.jsonl").open("ab") as events:
        events.write(b'{"event":"epo')  # as a kill in the middle of a line leaves it
    assert len(runs.story(run).epochs) == 2
    runs.ask_again(run)
    assert runs.story(run).state in ("waiting", "running")
    assert here(run) == "done"
    assert runs.story(run).started["from_epoch"] == 2
    assert curve(run) == curve(finished), "to the last digit"
    assert runs.story(run).end["test_loss"] == runs.story(finished).end["test_loss"]


def test_a_run_that_has_just_ended_can_go_on_before_its_process_lets_go_of_it():
    run = runs.create(SMALL)
    log = runs.Log(run.folder)
    with pytest.raises(runs.BusyError):
        runs.ask_again(run)
    log.say("stopped")
    letting_go = threading.Timer(0.3, log.file.close)
    letting_go.start()
    runs.ask_again(run)
    letting_go.join()
    assert runs.story(run).state == "waiting"


def test_stop_keeps_the_best_so_far_and_it_can_go_on(finished):
    run = runs.create(SMALL)
    assert here(run, lambda event: event["event"] == "epoch" and event["epoch"] == 2 and run.stop()) == "stopped"
    told = runs.story(run)
    assert len(told.epochs) == 2
    assert told.end["epoch"] == told.best["epoch"]
    assert (run.folder / "model.keras").exists()
    assert not is_tested(run)
    # Killed when a third epoch's weights were there and nothing was said of it yet; then stopped before that epoch.
    shutil.copy(run.folder / "epochs" / "000.npz", run.folder / "weights.npz")
    runs.ask_again(run)
    assert here(run, lambda event: event["event"] == "started" and run.stop()) == "stopped"
    assert runs.story(run).end["epoch"] == told.end["epoch"]
    assert not is_tested(run)
    runs.ask_again(run)
    assert here(run) == "done"
    assert curve(run) == curve(finished)
    assert is_tested(run)


def test_a_run_that_is_finished_where_it_is_learns_no_more_and_is_tested_once():
    from cnnviz.training.job import answers, split, with_weights

    run = runs.create(SMALL)
    runs.ask_again(run, finish=True)
    assert here(run) == "failed"
    assert runs.story(run).message == "No epoch of it is finished, so there is nothing to test: go on first."
    runs.ask_again(run)
    assert not run.finishing
    assert here(run, lambda event: event["event"] == "epoch" and event["epoch"] == 2 and run.stop()) == "stopped"
    learned = curve(run)
    (run.folder / "checkpoint.npz").write_bytes(b"nothing that is needed for it")
    for left in "weights.npz", "epochs/003.npz":  # as a kill may leave them, of an epoch that nothing was said of
        shutil.copy(run.folder / "epochs" / "000.npz", run.folder / left)
    runs.ask_again(run, finish=True)
    assert run.finishing
    assert here(run) == "done"
    told = runs.story(run)
    assert curve(run) == learned
    assert told.done == 1
    chances, (images, labels) = results(run).probabilities, split("digits", 1.0)[2]
    assert (chances.argmax(1) == labels).mean() == told.end["test_accuracy"]
    best = read_weights(run.network, run.weights(told.best["epoch"]))
    assert np.array_equal(answers(with_weights(run.network, best), run.network, images), chances)
    of_best, of_run = (read_weights(run.network, file) for file in (run.weights(told.best["epoch"]), run.weights()))
    assert np.array_equal(of_best["conv1"][0], of_run["conv1"][0])
    assert run.epochs() == [0, 1, 2]
    for finish in (False, True):
        with pytest.raises(runs.RunError, match="is done"):
            runs.ask_again(run, finish=finish)


def test_an_only_epoch_that_was_cut_short_is_not_tested_and_a_finish_can_be_stopped_too():
    run = runs.create(replace(SMALL, epochs=1, batch_size=2))
    assert here(run, lambda event: event["event"] == "started" and run.stop()) == "stopped"
    assert len(runs.story(run).epochs) == 1
    assert not is_tested(run)
    runs.ask_again(run, finish=True)
    run.stop()
    assert here(run) == "stopped"
    assert not is_tested(run)
    runs.ask_again(run)
    assert here(run) == "done"
    assert is_tested(run)


def test_the_same_images_validate_every_run_and_none_of_them_is_learned_from():
    from cnnviz.training.job import VALIDATION, split

    def apart(labelled):
        return {(image.tobytes(), int(label)) for image, label in zip(*labelled, strict=True)}

    whole = len(data.load("digits")[0][0])
    (all_of_it, aside, test), (some, aside_too, _) = split("digits", 1.0), split("digits", 0.25)
    assert len(aside[0]) == whole // VALIDATION
    assert len(all_of_it[0]) == whole - whole // VALIDATION
    assert len(some[0]) == round(0.25 * len(all_of_it[0]))
    assert np.array_equal(aside[0], aside_too[0])
    assert apart(some) <= apart(all_of_it)
    assert not apart(aside) & apart(all_of_it)
    assert not apart(test) & (apart(aside) | apart(all_of_it))


def test_a_call_takes_a_part_of_a_second_and_every_batch_is_heard_of():
    from cnnviz.training.job import CALL, STEPS_AT_ONCE, steps_at_once
    from cnnviz.training.recipes import RECIPES

    small, middle, large = RECIPES["quick-mnist"], RECIPES["fashion"], RECIPES["book-cifar"]
    assert steps_at_once(small.network(), small, 1_000, True) == STEPS_AT_ONCE["tensorflow"]
    assert steps_at_once(small.network(), small, 3, True) == 3
    steps, batch = steps_at_once(middle.network(), middle, 1_000, True), middle.network().multiplications()
    assert 1 < steps < STEPS_AT_ONCE["tensorflow"]
    assert steps <= CALL / (sum(batch) * middle.batch_size) < steps + 1
    assert steps_at_once(middle.network(), middle, 1_000, False) == STEPS_AT_ONCE["tensorflow"]
    assert steps_at_once(large.network(), large, 1_000, True) == 1
    # By hand: conv1 32x32 cells of 4x4x3 for 32 filters, conv2 16x16 of 4x4x32 for 64, 4096 to 1024 to 10.
    assert large.network().multiplications() == (
        32 * 32 * 48 * 32, 16 * 16 * 512 * 64, 4096 * 1024, 10_240)  # fmt: skip


def test_on_a_cpu_mixed_precision_is_left_alone_and_said():
    run = runs.create(replace(SMALL, epochs=1, precision="mixed_float16"))
    assert here(run) == "done"
    assert "trained with 32 bits" in runs.story(run).notes[0]


@pytest.mark.parametrize("late", [False, True])
def test_a_loss_that_is_no_number_is_told_in_a_sentence(late, monkeypatch):
    from cnnviz.training.job import Trainer

    # Nothing in it that would die before it explodes, as ReLU may.
    config = TrainingConfig("digits", preset="", blocks=(Block(16, 3, activation="linear"),), optimizer="momentum",
                            hidden=(Hidden(32, activation="linear"),), learning_rate=10.0)  # fmt: skip
    if late:  # the very last step is one too far
        config = replace(config, learning_rate=1e-3, epochs=1)
        monkeypatch.setattr(Trainer, "validate", lambda self: {"val_loss": float("nan"), "val_accuracy": 0.1})
    run = runs.create(config)
    assert here(run) == "failed"
    assert re.match("The loss became (nan|inf) in ", runs.story(run).message)
    assert runs.story(run).end["hopeless"]  # it would become that again: the page does not offer to go on
    assert f"choose a learning rate below {config.learning_rate:g}" in runs.story(run).message


def test_no_more_images_are_validated_at_once_than_a_batch_may_hold():
    from cnnviz.training.config import LIMITS, values
    from cnnviz.training.job import AT_ONCE, at_once
    from cnnviz.training.recipes import RECIPES

    assert at_once(RECIPES["book-cifar"].network()) == AT_ONCE
    wide = TrainingConfig("cifar10", preset="", blocks=(Block(256, 3, pool="none"),) * 3, hidden=(), batch_size=32)
    wide.check()
    most = LIMITS["values"][1]
    assert most - values(wide.network()) < at_once(wide.network()) * values(wide.network()) <= most


def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(finished):
    run = runs.create(SMALL)
    more = """
import cnnviz.training.job as job
kept = job.Trainer.save
def full(self, file, facts):
    if facts["epoch"] == 2:  # from here on no file may be longer than the events are now
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, resource.RLIM_INFINITY))
    kept(self, file, facts)
job.Trainer.save = full
"""
    assert done(job(run, more)) == "failed"
    assert "can't be written" in runs.story(run).message
    assert "make room" in runs.story(run).message
    assert len(runs.story(run).epochs) == 1
    assert not list(run.folder.glob(".*.npz")), "nothing half-written is left"
    runs.ask_again(run)
    assert here(run) == "done"
    assert curve(run) == curve(finished)


def test_a_data_set_that_can_not_be_had_is_told(tmp_path, monkeypatch):
    for name, value in (("CNNVIZ_DATA", str(tmp_path)), ("https_proxy", "http://127.0.0.1:9"),
                        ("http_proxy", "http://127.0.0.1:9")):  # fmt: skip
        monkeypatch.setenv(name, value)
    run = runs.create(TrainingConfig("fashion_mnist", preset="fashion"))
    assert here(run) == "failed"
    assert "Fashion-MNIST could not be downloaded" in runs.story(run).message


def test_a_run_that_still_waits_for_its_data_set_can_be_stopped(tmp_path, monkeypatch):
    run = runs.create(TrainingConfig("fashion_mnist", preset="fashion"))
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor() as pool:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")  # which never answers
        working = pool.submit(here, run)
        while not runs.story(run).download:
            assert not working.done(), working.result()
            time.sleep(0.05)
        run.stop()
        assert working.result(60) == "stopped"
    assert runs.story(run).message == runs.STOPPED_WAITING
    assert not list(tmp_path.glob(".fashion*"))


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_two_hundred_steps_on_each_backend_that_is_installed(backend):
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    run = runs.create(replace(SMALL, epochs=5, steps=40, augmentation="none"))
    # TensorFlow is here already.
    assert (here(run) if backend == "tensorflow" else done(job(run, KERAS_BACKEND=backend))) == "done"
    told = runs.story(run)
    assert told.started["backend"] == backend
    assert sum(1 for _ in told.epochs) * told.started["batches"] == 200
    assert told.end["test_accuracy"] > 0.5


LOOP = """
from cnnviz.nets.quiet import import_keras
keras = import_keras()
import numpy as np
from cnnviz.training.job import Looped, Picked

rng = np.random.default_rng(1)
images, labels = rng.integers(0, 256, (42, 2, 2, 1)).astype(np.uint8), rng.integers(0, 3, 42).astype(np.int32)

def learned(kind, size, batches):
    keras.utils.set_random_seed(1)
    numbers = keras.Input((), dtype="int32")
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(8, "relu")(keras.layers.Flatten()(Picked(images)(numbers))))
    model = kind(numbers, keras.layers.Dense(3)(hidden))
    model.size = size
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss, metrics=["accuracy"])
    said = model.fit(np.arange(42, dtype=np.int32), labels, size * batches, 2, shuffle=False, verbose=0).history
    assert model.optimizer.iterations == 2 * 11
    return [*model.trainable_variables, said["loss"], said["accuracy"]]

# Eleven batches an epoch, the last a smaller one: by themselves; in loops of 4, and of 10, which leave it a call alone.
alone = learned(keras.Model, 4, 1)
for batches in 4, 10:
    for one, other in zip(alone, learned(Looped, 4, batches), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
"""


@pytest.mark.skipif(not find_spec("jax"), reason="jax is not installed")
def test_with_jax_a_loop_of_many_batches_learns_what_single_calls_do():
    subprocess.run([sys.executable, "-c", LOOP], cwd=ROOT, env=os.environ | {"KERAS_BACKEND": "jax"}, check=True)


def test_titles_owners_and_folders():
    run = runs.create(SMALL, "  A <b>name</b> " + "x" * 100, "someone")
    assert len(run.title) == runs.MAX_TITLE
    assert runs.find(run.id) == run
    assert runs.all_runs() == [run]
    assert runs.find(run.rename("another").id).title == "another"
    for forged in ("../../etc", "", ".", run.id + "/..", "20261121-130802-3f6g", "x" * 10_000):
        with pytest.raises(runs.RunError):
            runs.find(forged)
    (runs.runs_folder() / ".20260101-000000-abcd.deleted" / "epochs").mkdir(parents=True)  # left by a kill
    runs.find(run.id).delete()
    assert runs.all_runs() == []
    assert not list(runs.runs_folder().glob(".*"))
    with pytest.raises(runs.RunError):
        runs.story(run)


def test_two_runs_of_a_second_never_share_a_folder(monkeypatch):
    names = iter(["0000", "0000", "0001"])
    monkeypatch.setattr(runs.secrets, "token_hex", lambda _: next(names))
    monkeypatch.setattr(runs.time, "time", lambda: 1.8e9)
    first, second = runs.create(SMALL, "first"), runs.create(SMALL, "second")
    assert [runs.find(run.id).title for run in (first, second)] == ["first", "second"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"config": {"epochs": "many"}}', b"\xff\xfe", b"{" * 5_000])
def test_damaged_settings_are_passed_over(content):
    run = runs.create(SMALL)
    (run.folder / "settings.json").write_bytes(content)
    assert runs.all_runs() == []
    with pytest.raises(runs.RunError, match="damaged"):
        runs.find(run.id)


@pytest.mark.parametrize("line", [b"\n", b"7\n", b"[]\n", b'{"event": "epoch"', b'{"event": "started"}\n', b"\xff\n",
                                  b'{"event": ["epoch"]}\n'])  # fmt: skip
def test_damaged_events_are_passed_over(line):
    run = runs.create(SMALL)
    (run.folder / "events.jsonl").write_bytes(line)
    assert runs.story(run).state == "waiting"
    assert json.loads((run.folder / "settings.json").read_bytes())["config"]["epochs"] == 4


def test_a_killed_trainer_is_noticed_after_a_rest_too_and_the_next_run_goes_on(monkeypatch):
    import psutil

    from cnnviz import devices, settings, workers

    monkeypatch.setattr(workers, "IDLE", 0.5)
    trainers = workers.Trainers()
    long = replace(SMALL, epochs=100, schedule="constant")

    def until(run: runs.Run, *states: str) -> None:
        deadline = time.monotonic() + 120
        while runs.story(run).state not in states:
            assert time.monotonic() < deadline, runs.story(run)
            time.sleep(0.05)

    first = runs.create(replace(SMALL, epochs=1))
    trainers.submit(first)
    until(first, "done")
    time.sleep(1.5)  # it rests, and gives its memory back
    killed, after = runs.create(long), runs.create(replace(SMALL, epochs=1))
    for run in killed, after, after:
        trainers.submit(run)
    assert (trainers.place(killed), trainers.place(after)) in ((0, 1), (1, 2))
    until(killed, "running")
    for child in psutil.Process().children(recursive=True):
        if "loky" not in " ".join(child.cmdline()) or child.nice() != settings.NICE.value:
            continue
        if child.environ().get("CUDA_VISIBLE_DEVICES") != "-1":  # else a learner that another test has asked
            assert child.environ().items() >= devices.training_settings().items()
            child.kill()
    until(killed, "interrupted")
    until(after, "done")
    trainers.submit(killed)
    runs.ask_again(killed)
    until(killed, "running")
    killed.stop()
    until(killed, "stopped")


def test_two_do_not_write_into_one_run():
    run = runs.create(SMALL)
    log = runs.Log(run.folder)
    log.say("started", device="", backend="", batches=1, batch_size=1, epochs=1, from_epoch=0)
    log.reserve.unlink()
    assert here(run) == "failed"
    assert runs.story(run).state == "running"
    assert not log.reserve.exists(), "nothing is written without the lock"


def test_runs_are_listed_again_when_something_changes_here_and_soon_when_elsewhere(monkeypatch):
    first = runs.create(SMALL)
    assert runs.all_runs() == [first]
    renamed = first.rename("another")
    assert runs.all_runs() == [renamed]
    # Another process has made one, and removed it.
    there = first.folder.with_name("20990101-000000-abcd")
    shutil.copytree(first.folder, there)
    assert [run.id for run in runs.all_runs()] == [there.name, first.id]
    shutil.rmtree(there)
    assert runs.all_runs() == [renamed]
    before = runs.disk_bytes()
    (first.folder / "weights.npz").write_bytes(b"x" * 1_000)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "find", None)  # nobody looks at each again
        assert runs.all_runs() == [renamed]
    now = time.monotonic() + runs.MOMENT + 1
    monkeypatch.setattr(runs.time, "monotonic", lambda: now)
    assert runs.disk_bytes() > before


def test_training_asks_gpus_for_sums_in_one_order_and_takes_no_more_of_them_than_it_needs(monkeypatch):
    from cnnviz.devices import gpu_settings

    for name in gpu_settings():
        monkeypatch.delenv(name, raising=False)
    assert gpu_settings() == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_FLAGS": "--xla_gpu_deterministic_ops=true"}  # fmt: skip
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=dump")
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    assert gpu_settings()["XLA_FLAGS"] == "--xla_dump_to=dump --xla_gpu_deterministic_ops=true"
    assert gpu_settings()["TF_FORCE_GPU_ALLOW_GROWTH"] == "false"
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=false")
    assert gpu_settings()["XLA_FLAGS"] == "--xla_gpu_deterministic_ops=false"


@pytest.mark.parametrize(("asked", "seen"), [
    (None, "ABC"), ("", ""), ("-1", ""), ("1", "B"), ("2,0", "CA"), ("GPU-33", "C"), ("GPU-", ""), ("0,9,1", "A"),
])  # fmt: skip
def test_of_the_gpus_those_count_that_this_process_sees(asked, seen, monkeypatch):
    from cnnviz.devices import visible

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if asked is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    assert visible([["GPU-11-a", "A"], ["GPU-22-b", "B"], ["GPU-33-c", "C"]]) == list(seen)


def test_training_leaves_a_core_to_the_class_where_there_are_more_than_two():
    from cnnviz.devices import threads

    assert [threads(cores) for cores in (1, 2, 3, 4, 16)] == [1, 2, 2, 3, 15]


@pytest.mark.parametrize(("said", "memory"), [
    ("OOM when allocating tensor with shape[2]", True), ("RESOURCE_EXHAUSTED: Out of memory", True),
    ("CUDA out of memory. Tried to allocate 2 GiB", True), ("no such file: /srv/CLASSROOM/runs", False),
])  # fmt: skip
def test_an_error_is_one_of_memory_only_where_it_says_so(said, memory):
    from cnnviz.devices import is_out_of_memory

    assert is_out_of_memory(RuntimeError(said)) == memory


def test_a_forged_checkpoint_is_damaged_and_changes_nothing(tmp_path):
    from cnnviz.nets.quiet import import_keras

    import_keras()
    from cnnviz.training.job import Damaged, Trainer, split

    run = runs.create(replace(SMALL, augmentation="none", epochs=1))
    train_set, validation, _ = split("digits", 0.1)
    trainer, file = Trainer(run.config, run.network, train_set, validation, None), run.folder / "checkpoint.npz"
    facts = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "seconds": 1.0}
    trainer.save(file, facts)
    assert trainer.restore(file) == facts
    with np.load(file) as kept:
        arrays = dict(kept)
    forged = [{"0000": np.zeros(10_000_000)}, {"0000": np.array([{}], dtype=object)}, {"0001": arrays["0001"][:-1]},
              {"facts": np.array("{")}, {"facts": np.array("[" * 5_000)}, {"facts": np.array("7")}]  # fmt: skip
    forged += [
        {"facts": np.array(json.dumps(facts | more))} for more in ({"epoch": 10**9}, {"epoch": "1"}, {"loss": "x"})
    ]
    for changes in forged:
        np.savez(file, **(arrays | changes))
        with pytest.raises(Damaged):
            trainer.restore(file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(Damaged):
        trainer.restore(file)
    assert all(np.array_equal(part, arrays[f"{at:04d}"]) for at, part in enumerate(trainer.state()))
    file.unlink()
    assert trainer.restore(file) == {}
