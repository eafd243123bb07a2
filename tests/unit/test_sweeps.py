"""Sweeps: what they plan, who is left behind, and a real one through a kill to its end."""

import errno
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cnnviz.figures.sweeps import Scale, parallel
from cnnviz.nets.blocks import Block, Hidden
from cnnviz.sweeping import Bringer, Conductor
from cnnviz.training import runs, sweeps
from cnnviz.training.config import LIMITS, ConfigError, TrainingConfig
from cnnviz.training.sweeps import Axis
from cnnviz.workers import Trainers

ROOT = Path(__file__).resolve().parents[2]
BASE = TrainingConfig("digits", preset="", blocks=(Block(8, 3), Block(16, 3)), hidden=(Hidden(32),), epochs=4,
                      batch_size=32, schedule="cosine")  # fmt: skip
RATE, OPTIMIZER = Axis("learning_rate", (1e-5, 1e-2)), Axis("optimizer", ("adam", "sgd"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def plan(*axes: Axis, method: str = "random", count: int = 8, points: int = 3, base=BASE) -> list[TrainingConfig]:
    return sweeps.planned(base, axes, method, count, points, 1)


def test_a_grid_has_every_combination_and_ranges_are_divided_on_their_scale():
    configs = plan(RATE, OPTIMIZER, Axis("batch_size", (16, 64)), method="grid", points=4)
    assert len(configs) == 4 * 2 * 3 == len({*configs})
    assert sorted({config.learning_rate for config in configs}) == [1e-5, 1e-4, 1e-3, 1e-2]
    assert {config.batch_size for config in configs} == {16, 32, 64}


def test_random_draws_differ_lie_in_the_range_and_are_the_same_for_a_seed():
    configs = plan(RATE, Axis("dropout", (0.1, 0.5)), count=30)
    assert len({*configs}) == 30
    assert configs == plan(RATE, Axis("dropout", (0.1, 0.5)), count=30)
    assert configs != sweeps.planned(BASE, [RATE, Axis("dropout", (0.1, 0.5))], "random", 30, 0, 2)
    assert all(1e-5 <= config.learning_rate <= 1e-2 and 0.1 <= config.blocks[1].dropout <= 0.5 for config in configs)
    # Evenly by powers of ten: a third of the draws for each.
    assert 5 <= sum(config.learning_rate < 1e-4 for config in configs) <= 15
    # Where there are fewer different ones, there are fewer.
    assert len(plan(OPTIMIZER, Axis("seed", (1, 2)), count=30)) == 4


def test_filters_and_units_keep_their_proportion():
    config = sweeps.with_value(sweeps.with_value(BASE, "filters", 4), "units", 64)
    assert [block.filters for block in config.blocks] == [4, 8]
    assert config.hidden[0].units == 64
    assert (sweeps.value_of(config, "filters"), sweeps.value_of(config, "units")) == (4, 64)


@pytest.mark.parametrize(("axes", "more", "words"), [
    ([RATE], {}, "goes from 2 to 3, and 1"),
    ([RATE, OPTIMIZER, Axis("seed", (1, 9)), Axis("dropout", (0.1, 0.2))], {}, "goes from 2 to 3, and 4"),
    ([RATE, RATE], {}, "once"),
    ([RATE, Axis("epochs", (1, 9))], {}, "no hyperparameter 'epochs'"),
    ([RATE, Axis("optimizer", ("adam",))], {}, "two or more"),
    ([RATE, Axis("optimizer", ("adam", "<b>"))], {}, "two or more"),
    ([RATE, Axis("optimizer", ("adam", "adam"))], {}, "two or more"),
    ([RATE, Axis("seed", (9, 1))], {}, "from a lower value to a higher"),
    ([RATE, Axis("seed", (1.5, 3))], {}, "a lowest and a highest"),
    ([RATE, Axis("batch_size", (16, 8192))], {}, "Batch size goes from 1 to 4,096"),
    ([OPTIMIZER, Axis("learning_rate", (1e-3, float("nan")))], {}, "learning rate|Learning rate"),
    ([OPTIMIZER, Axis("weight_decay", (0.0, 0.1))], {}, "above 0"),
    ([RATE, OPTIMIZER], {"count": 31}, "from 2 to 30, and 31"),
    ([RATE, OPTIMIZER], {"count": 1}, "from 2 to 30, and 1"),
    ([RATE, OPTIMIZER], {"method": "grid", "points": 6}, "from 2 to 5, and 6"),
    ([RATE, OPTIMIZER], {"method": "grid", "points": 1}, "from 2 to 5, and 1"),
    ([RATE, Axis("batch_size", (1, 16)), OPTIMIZER], {"method": "grid", "points": 5}, "50 runs, and 30 are the most"),
    ([RATE, OPTIMIZER], {"method": "bayes"}, "choose grid or random"),
    ([RATE, Axis("dropout", (0.1, 0.2))], {"base": TrainingConfig("digits", preset="small-digits")}, "own blocks"),
    ([RATE, Axis("units", (8, 16))], {"base": replace(BASE, hidden=())}, "no dense layer"),
    ([OPTIMIZER, Axis("batch_size", (2048, 4096))], {"base": TrainingConfig("cifar10", preset="book-cifar")}, "batch"),
])  # fmt: skip
def test_what_can_not_be_searched_gets_a_sentence(axes, more, words):
    with pytest.raises(ConfigError, match=words):
        plan(*axes, **more)


def test_the_limits_themselves_are_allowed():
    assert len(plan(RATE, Axis("dropout", (0.0, 0.9)), count=30)) == LIMITS["sweep_runs"][1]
    assert len(plan(Axis("seed", (0, 9)), OPTIMIZER, Axis("dropout", (0.1, 0.2)), count=2)) == 2
    assert len(plan(RATE, Axis("seed", (1, 5)), method="grid", points=5)) == 25
    assert len(plan(RATE, Axis("seed", (1, 5)), method="grid", points=2)) == 4


@pytest.mark.parametrize(("count", "epochs", "marks", "total"), [
    (8, 10, [1, 2, 5, 10], 8 + 4 + 2 * 3 + 5), (8, 8, [1, 2, 4, 8], 20), (2, 1, [1], 2), (2, 2, [1, 2], 3),
    (30, 5, [1, 2, 5], 30 + 15 + 7 * 3), (3, 100, [50, 100], 150 + 50),
])  # fmt: skip
def test_successive_halving_doubles_the_epochs_and_halves_the_runs(count, epochs, marks, total):
    assert sweeps.rungs(count, epochs, True) == marks
    assert sweeps.epochs_in_all(count, epochs, True) == total
    assert sweeps.rungs(count, epochs, False) == [epochs]
    assert sweeps.epochs_in_all(count, epochs, False) == count * epochs


def learned(run: runs.Run, *accuracies: float, end: str = "stopped") -> None:
    """Have a run say that it has learned for some epochs."""
    log = runs.Log(run.folder)
    log.say("started", device="CPU", backend="tensorflow", batches=1, batch_size=1, epochs=4, from_epoch=0)
    for number, accuracy in enumerate(accuracies, 1):
        log.say("epoch", epoch=number, loss=1.0, accuracy=0.5, val_loss=1.0, val_accuracy=accuracy, seconds=2.0)
        (run.folder / "checkpoint.npz").touch()
    log.say(end, message="")


def test_the_better_half_goes_on_and_who_failed_or_was_stopped_is_left_behind():
    sweep = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 6, 0, 1, True)
    one, two, three, four, five, six = sweep.runs()
    assert sweeps.standing(sweep).needed == [one, two, three, four, five, six]
    for run, accuracy in (one, 0.3), (two, 0.5), (three, 0.4), (four, 0.2):
        learned(run, accuracy)
    learned(five, end="failed")  # its loss became no number
    now = sweeps.standing(sweep)
    assert (now.rungs, now.rung, now.needed) == ([1, 2, 4], 0, [six])
    assert now.epochs_left == 1 + 3 + 2
    assert now.seconds_left(1) == 12
    assert now.seconds_left(2) == 6
    six.stop()
    runs.Log(six.folder).say("stopped", message=runs.STOPPED_WAITING)
    now = sweeps.standing(sweep)
    assert (now.rung, now.contenders, now.needed) == (1, [one, two, three], [one, two, three])
    assert now.halved == {four.id: 1, five.id: 1, six.id: 1}
    assert now.best[0] == two
    learned(one, 0.3, 0.9)
    learned(two, 0.5, 0.4)
    learned(three, 0.4, 0.6)
    now = sweeps.standing(sweep)
    assert (now.rung, now.contenders, now.state) == (2, [one], "running")
    assert now.halved[two.id] == 2
    # One that was left behind and goes on by itself changes nothing.
    learned(four, 0.2, 1.0, 1.0, 1.0, end="done")
    assert sweeps.standing(sweep).contenders == [one]
    # A failure before it learned is none of its settings': the sweep waits for somebody to look.
    runs.ask_again(one)
    runs.Log(one.folder).say("failed", message="The scheduler can't be reached.")
    (sweep.folder / "alive").unlink()
    now = sweeps.standing(sweep)
    assert (now.state, now.message, now.needed) == ("interrupted", "The scheduler can't be reached.", [one])
    learned(one, 0.3, 0.9, 0.9, 0.8, end="done")
    now = sweeps.standing(sweep)
    assert (now.state, now.done, now.best[0]) == ("done", 1.0, one)
    two.delete()
    assert sweeps.standing(sweep).state == "done", "deleting a run does not begin anything anew"


def test_a_run_that_was_finished_where_it_was_learns_no_more_in_a_sweep_either():
    sweep = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 4, 0, 1, True)
    one, two, three, four = sweep.runs()
    for run, accuracy in (one, 0.6), (two, 0.5), (three, 0.3), (four, 0.2):
        learned(run, accuracy, end="done" if run == one else "stopped")
    now = sweeps.standing(sweep)
    assert (now.contenders, now.needed) == ([one, two], [two])
    # Nor one that is about to be tested.
    runs.ask_again(two, finish=True)
    assert sweeps.standing(sweep).state == "done"


def test_the_winner_is_tested_though_it_was_killed_meanwhile():
    sweep = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 2, 0, 1, True)
    one, two = sweep.runs()
    learned(one, 0.6, 0.6)
    learned(two, 0.5, 0.5)
    sweep.leave_behind({two.id: 2})
    learned(one, 0.6, 0.6, 0.6, 0.6)
    runs.ask_again(one)
    (one.folder / "alive").unlink()
    assert runs.story(one).state == "interrupted"
    assert sweeps.standing(sweep).needed == [one]
    learned(one, 0.6, 0.6, 0.6, 0.6, end="done")
    now = sweeps.standing(sweep)
    assert (now.needed, now.state) == ([], "done")
    # Another process has ended it between a look and what follows from it.
    with pytest.raises(runs.BusyError, match="is done"):
        runs.ask_again(one)


class Queue:
    """A queue of runs in which none begins."""

    where = SimpleNamespace(size=1)
    holds = submit = staticmethod(lambda run: False)


def test_what_is_decided_stays_so_when_runs_are_deleted():
    sweep = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 4, 0, 1, True)
    one, two, three, four = sweep.runs()
    for run, accuracy in (one, 0.4), (two, 0.5), (three, 0.3), (four, 0.2):
        learned(run, accuracy)
    bringer = Bringer(sweep, Queue())
    assert bringer.step()
    three.delete()
    now = sweeps.standing(sweep)
    assert (now.needed, now.state) == ([one, two], "running"), "a run that learns on is not left behind"
    learned(one, 0.4, 0.4)
    learned(two, 0.5, 0.5)
    sweep.stop()  # what is decided at its end is kept too
    assert not bringer.step()
    one.delete()
    assert sweeps.standing(sweep).needed == [two]
    sweep.ask_again()
    learned(two, 0.5, 0.5, 0.5, 0.5, end="done")
    assert not bringer.step()
    now = sweeps.standing(sweep)
    assert (now.state, now.best[0], now.halved[four.id]) == ("done", two, 1)
    two.delete()
    assert sweeps.standing(sweep).state == "done", "who was left behind does not begin anew"


def test_who_may_not_bring_a_sweep_on_takes_no_stop_back():
    sweep = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 2, 0, 1, True)
    first = Bringer(sweep, Queue())
    sweep.stop()
    with pytest.raises(runs.RunError, match="Another server"):
        Conductor(Queue()).conduct(sweep)
    assert sweep.stopping
    first.close()
    Bringer(sweep, Queue())
    assert not sweep.stopping


def test_a_folder_that_can_not_be_read_for_a_moment_ends_no_sweep(monkeypatch):
    sweep = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 2, 0, 1, True)
    bringer = Bringer(sweep, Queue())
    with monkeypatch.context() as disk:
        disk.setattr(runs.os, "listdir", no_disk)
        runs.forget()
        assert bringer.step()
        now = sweeps.standing(sweep)
        assert (now.state, now.message) == ("running", "The runs folder can't be read: Input/output error.")
    runs.forget()
    assert bringer.step()
    assert len(bringer.asked) == 2


def test_a_sweep_whose_queue_a_teacher_clears_says_so():
    sweep, trainers = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 2, 0, 1, True), Trainers()
    (sweep.folder / "alive").unlink()
    assert sweeps.standing(sweep).message == ""
    trainers._waiting = sweep.runs()
    assert trainers.clear() == 2
    now = sweeps.standing(sweep)
    assert (now.state, now.message) == ("interrupted", runs.CLEARED)
    # Gone on with: it is over.
    for run in now.needed:
        runs.ask_again(run)
    assert sweeps.standing(sweep).message == ""


def test_a_first_epoch_that_was_cut_short_does_not_count():
    sweep = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 2, 0, 1, True)
    run = sweep.runs()[0]
    learned(run, 0.5)
    (run.folder / "checkpoint.npz").unlink()
    run.stop(after=0)
    assert run in sweeps.standing(sweep).needed


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"base": {}, "axes": 7}', b"\xff", b"{" * 5_000])
def test_damaged_or_forged_sweeps_are_passed_over(content):
    sweep = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 2, 0, 1, True, owner="me")
    assert sweeps.all_sweeps("me") == [sweep] == [sweeps.find(sweep.id)]
    assert sweeps.all_sweeps("you") == []
    (sweep.folder / "halved.json").write_bytes(content)
    assert len(sweeps.standing(sweep).needed) == 2
    (sweep.folder / "settings.json").write_bytes(content)
    assert sweeps.all_sweeps("me") == []
    for name in (sweep.id, "../../etc", ""):
        with pytest.raises(runs.RunError):
            sweeps.find(name)
    sweep.delete()
    assert len(runs.all_runs()) == 2


def test_a_line_of_the_plot_goes_through_what_its_run_was_trained_with():
    rates, names, units = [1e-3, 1e-1, 1e-2], ["sgd", "adam", "sgd"], [16, 16, 16]
    scales = [Scale("learning rate", rates, "log"), Scale("optimizer", names, "words"), Scale("units", units)]
    accuracies = [0.5, 0.9, 0.7]
    (lines,) = parallel(scales, accuracies).data
    rate, name, unit, accuracy = lines.dimensions
    assert np.allclose(rate.values, [-3, -1, -2])
    assert dict(zip(rate.ticktext, rate.tickvals, strict=True)) == {"0.001": -3, "0.01": -2, "0.1": -1}
    assert [name.ticktext[place] for place in name.values] == names
    assert list(accuracy.values) == accuracies == list(lines.line.color)
    for axis in lines.dimensions:
        low, high = axis.range
        assert low < min(axis.values) <= max(axis.values) < high, "each on the axis, all equal ones too"


def until(found, what: str) -> None:
    deadline = time.monotonic() + 180
    while not found():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def no_disk(*_, **__):
    raise OSError(errno.EIO, "Input/output error")


def test_a_disk_that_fails_ends_one_sweep_and_no_other(monkeypatch):
    sweep = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 2, 0, 1, True)
    conductor = Conductor(Trainers())

    with monkeypatch.context() as disk:

        def failing(_):
            disk.setattr(runs.os, "listdir", no_disk)
            runs.forget()
            no_disk()

        disk.setattr(Bringer, "step", failing)
        disk.setattr(Path, "unlink", no_disk)
        disk.setattr(sweeps.Sweep, "ask_again", lambda sweep: None)
        conductor.conduct(sweep)
        until(lambda: not conductor._sweeps and not conductor._thread, "the end of the first")
    brought = []
    monkeypatch.setattr(Bringer, "step", lambda bringer: brought.append(bringer.sweep) or False)
    conductor.conduct(sweep)
    until(lambda: brought == [sweep], "the next one")


def test_a_sweep_whose_server_is_killed_goes_on_to_what_it_would_have_come_to():
    sweep = sweeps.create(BASE, [RATE, OPTIMIZER], "random", 4, 0, 1, True)
    server = subprocess.Popen([sys.executable, "tests/bringing.py", sweep.id], cwd=ROOT)
    try:
        until(lambda: sum(bool(told.epochs) for _, told in sweeps.standing(sweep).stories.values()) >= 2, "two runs")
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
    until(lambda: sweeps.standing(sweep).state == "interrupted", "the end of its signs of life")
    before = {run.id: len(told.epochs) for run, told in sweeps.standing(sweep).stories.values()}
    assert sum(map(bool, before.values())) >= 2
    trainers = Trainers()
    conductor = Conductor(trainers)
    conductor.conduct(sweep)
    # A second server leaves it alone.
    with pytest.raises(runs.RunError, match="Another server"):
        Conductor(trainers).conduct(sweep)
    # Stopped, it stops; nothing is lost, and it goes on.
    until(lambda: sweeps.standing(sweep).rung == 1, "the second rung")
    sweep.stop()
    until(lambda: sweeps.standing(sweep).state == "stopped", "the stop")
    assert not any(trainers.holds(run) for run in sweep.runs()), "only once its runs have"
    conductor.conduct(sweep)
    until(lambda: sweeps.standing(sweep).state == "done", "the end")
    now = sweeps.standing(sweep)
    ends = sorted(told.epochs[-1]["epoch"] for _, told in now.stories.values())
    assert ends == [1, 1, 2, 4]
    assert all(len(told.epochs) >= before[run.id] for run, told in now.stories.values())
    best, told = now.best
    assert told.state == "done"
    assert [run for run, told in now.stories.values() if "test_accuracy" in told.end] == [best], "no rung asks the test"
    # To the last digit what the same settings come to in one go.
    alone = runs.create(best.config)
    trainers.submit(alone)
    until(lambda: runs.story(alone).state == "done", "the same run by itself")
    curves = [[(epoch["loss"], epoch["val_loss"]) for epoch in each.epochs] for each in (told, runs.story(alone))]
    assert curves[0] == curves[1]
