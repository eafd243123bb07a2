"""What is made of a run's answers: counts by hand, and a word on its curves."""

import numpy as np
import pytest

from cnnviz.training.results import Results, verdict
from cnnviz.training.runs import Story

# Seven images of three classes: what each shows, and the three probabilities.
LABELS = np.array([0, 0, 0, 1, 1, 2, 2], np.uint8)
CHANCES = np.array([[.8, .1, .1], [.3, .6, .1], [.1, .9, 0], [.2, .7, .1], [.5, .4, .1], [0, .3, .7], [.1, .1, .8]],
                   np.float32)  # fmt: skip
FOUND = Results(CHANCES, LABELS, CHANCES.argmax(1))


def test_the_confusion_matrix_has_what_is_shown_in_rows_and_what_it_was_taken_for_in_columns():
    assert FOUND.confusion().tolist() == [[1, 2, 0], [1, 1, 0], [0, 0, 2]]


def test_precision_recall_and_f1_of_each_class():
    (n, precision, recall, f1), (_, precision_1, recall_1, _), third = FOUND.per_class()
    assert (n, precision, recall, f1) == (3, pytest.approx(1 / 2), pytest.approx(1 / 3), pytest.approx(0.4))
    assert (precision_1, recall_1) == (pytest.approx(1 / 3), pytest.approx(1 / 2))
    assert third == (2, 1.0, 1.0, 1.0)
    nobody = Results(CHANCES[:3], LABELS[:3], CHANCES[:3].argmax(1))
    assert nobody.per_class()[2] == (0, 0.0, 0.0, 0.0)


def test_the_worst_mistakes_and_the_images_of_a_cell_come_with_the_surest_first():
    assert FOUND.worst(10).tolist() == [2, 1, 4]
    assert FOUND.worst(2).tolist() == [2, 1]
    assert FOUND.cell(0, 1, 10).tolist() == [2, 1]
    assert FOUND.cell(0, 2, 10).tolist() == []
    assert FOUND.cell(2, 2, 1).tolist() == [6]


def told(*epochs: tuple[float, float, float, float], of: int = 0, test: float = 1.0) -> Story:
    """A run with these (loss, accuracy, val_loss, val_accuracy)."""
    names = "loss", "accuracy", "val_loss", "val_accuracy"
    facts = [dict(zip(names, epoch, strict=True)) for epoch in epochs]
    return Story("done", started={"epochs": of or len(epochs)}, end={"test_accuracy": test},
                 epochs=[{"epoch": number, **fact} for number, fact in enumerate(facts, 1)])  # fmt: skip


@pytest.mark.parametrize(("story", "words"), [
    (told((.5, .8, .4, .85), (.2, .99, .5, .90)), "It overfits: 99.0% of the images it learned from, 90.0%"),
    (told((.5, .8, .1, .985), (.01, .999, .4, .989)), "validation loss was 0.100 after epoch 1, and is 0.400 now"),
    (told((.3, .9, .3, .92), (.2, .93, .2, .94), of=5), "It still learns"),
    (told((.3, .9, .3, .92), (.2, .93, .2, .94)), "It still learns"),
    (told((.3, .9, .3, .94), (.2, .945, .2, .942)), "It does not overfit: 94.5% of the images it learned from, 94.2%"),
    (told((.3, .9, .3, .94), test=0.9201), "of the validation images."),
    (told((.3, .9, .3, .94), test=0.9199), "The test images are harder for it than those: 92.0%."),
    (told((2.9, .1, 1e9, .1)), "It only guesses: its loss is 2.9, and guessing has 2.3. Choose a smaller"),
    (told((1.9, .3, 2.0, .3), (2.31, .1, 2.31, .1)), "Choose a smaller learning rate."),
    (told((2.31, .1, 2.31, .1), (2.29, .12, 2.3, .1)), "Choose a larger learning rate, or more epochs."),
    (told((2.25, .2, 2.25, .2)), "It does not overfit"),
    (told(), ""),
])  # fmt: skip
def test_a_plain_word_on_training_against_validation(story, words):
    assert words in verdict(story)
    assert bool(words) == bool(verdict(story))
    assert ("harder" in words) == ("harder" in verdict(story))
