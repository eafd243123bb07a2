"""The curves of runs: what they show of what a run has said."""

from cnnviz.figures.training import curves
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig


def test_a_curve_holds_what_was_said_and_is_drawn_anew_only_when_more_is(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path))
    run = runs.create(TrainingConfig("digits", preset="small-digits"))
    log = runs.Log(run.folder)
    log.say("started", device="CPU", backend="tensorflow", batches=4, batch_size=32, epochs=3, from_epoch=0)

    def batch(number: int, loss: float) -> None:
        log.say("batch", epoch=1, batch=number, loss=loss, accuracy=0.5, images_per_second=1.0)

    batch(1, 2.0)
    batch(2, 1.0)
    first = curves({"one": runs.story(run)}, "loss", live=True)
    assert (first.data[0].x, first.data[0].y) == ((0.25, 0.5), (2.0, 1.0))
    assert first.data[1].x == ()
    assert curves({"one": runs.story(run)}, "loss", live=True) is first, "who watches the same run shares it"
    assert curves({"one": runs.story(run)}, "accuracy", live=True).data[0].y == (0.5, 0.5)
    batch(4, 0.5)
    log.say("epoch", epoch=1, loss=1.0, accuracy=0.5, val_loss=0.75, val_accuracy=0.625, seconds=1.0)
    then = curves({"one": runs.story(run)}, "loss", live=True)
    assert (then.data[0].x, then.data[0].y) == ((0.25, 0.5, 1.0), (2.0, 1.0, 0.5))
    assert (then.data[1].x, then.data[1].y) == ((1,), (0.75,))
    assert first.data[0].x == (0.25, 0.5)
    assert [line.name for line in curves({"a<b": runs.story(run), "c": runs.story(run)}, "loss").data[1::2]] == [
        "a&lt;b", "c"]  # fmt: skip
