"""One step of learning: its gradients against finite differences, its update and losses against separate ones."""

import pickle
from collections import OrderedDict

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnviz import data
from cnnviz.nets.build import build
from cnnviz.training import one_step
from cnnviz.training.one_step import LIMIT, History, advance, as_link, from_link, moved, too_far

pytestmark = pytest.mark.skipif(
    not data.is_here("mnist"), reason="MNIST is not here: run `python -m cnnviz datasets mnist`"
)
SHORT = History(3, "sgd", (0.1, 0.2))
SHIFT = 1e-6
ADAM = History(3, "adam", (0.001, 0.002))


@pytest.fixture(scope="module", autouse=True)
def nothing_remembered_afterwards():
    yield
    one_step._states.clear()


def weights_after(history: History) -> tuple[np.ndarray, ...]:
    advance(history, LIMIT)
    return one_step._states[history].weights


def separate_logits(weights, images) -> np.ndarray:
    """In float64, with nothing of the tested code."""
    given = tf.constant((images / np.float32(255))[..., None], tf.float64)
    (conv1, bias1, conv2, bias2, dense, bias3, logits, bias4) = (tf.constant(array, tf.float64) for array in weights)
    for kernel, bias in ((conv1, bias1), (conv2, bias2)):
        given = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(given, kernel, 1, "SAME") + bias), 2, 2, "VALID")
    hidden = tf.nn.relu(tf.reshape(given, (len(images), -1)) @ dense + bias3)
    return (hidden @ logits + bias4).numpy()


def separate_losses(weights, images, labels) -> np.ndarray:
    """Of each image."""
    logits = separate_logits(weights, images)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]


def separate_loss(weights, images, labels) -> float:
    return float(separate_losses(weights, images, labels).mean())


def test_the_first_weights_are_the_recipes():
    weights = one_step.first_weights(1)
    model = build(one_step.NETWORK)
    assert [array.shape for array in weights] == [tuple(variable.shape) for variable in model.trainable_variables]
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        assert not bias.any()
        assert kernel.std() == pytest.approx(0.05, rel=5 / kernel.size**0.5)
    assert not np.array_equal(weights[0], one_step.first_weights(2)[0])


def test_every_step_has_images_of_its_own_that_the_seed_decides():
    first, second, other = (one_step.batch(history)[0] for history in (SHORT.first(0), SHORT, History(4)))
    assert first.shape == (one_step.BATCH, 28, 28)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert np.array_equal(first, one_step.batch(SHORT.first(0))[0])


@pytest.mark.parametrize("array", range(8))
def test_the_gradients_are_the_loss_slopes(array):
    """After one step, because with biases of 0 the paper lies on the kink of ReLU, where there is no slope."""
    weights = weights_after(SHORT.first(1))
    batch = [part[:24] for part in one_step.batch(SHORT.first(1))]
    _, found = one_step.gradients(weights, *batch)
    steepest = np.abs(found[array]).argmax()
    for at in (steepest, found[array].size // 3):
        index = np.unravel_index(at, found[array].shape)
        losses = []
        for shift in (-SHIFT, SHIFT):
            shifted = [kept.astype(np.float64) for kept in weights]
            shifted[array][index] += shift
            losses.append(separate_loss(shifted, *batch))
        slope = (losses[1] - losses[0]) / (2 * SHIFT)
        assert slope == pytest.approx(found[array][index], rel=1e-3, abs=1e-3 * float(np.abs(found[array]).max()))


def test_the_update_is_the_gradient_times_the_rate_to_the_last_bit():
    before, after = weights_after(SHORT.first(1)), weights_after(SHORT)
    shown = advance(SHORT.first(1), LIMIT)
    _, found = one_step.gradients(before, *one_step.batch(SHORT.first(1)))
    for old, gradient, new in zip(before, found, after, strict=True):
        assert np.array_equal(new, old - np.float32(0.2) * gradient)
    for layer, new in zip(shown.layers[:2], (after[0], after[2]), strict=True):
        assert np.array_equal(moved(layer.kernel, 0.2, layer.gradient), new)
    steepest = shown.layers[2].largest
    assert abs(steepest.gradient) == np.abs(found[4]).max()
    assert moved(steepest.weight, 0.2, steepest.direction) == after[4][steepest.index]


def test_adam_is_keras_adam():
    weights = one_step.first_weights(3)
    variables = [keras.Variable(array) for array in weights]
    adam = keras.optimizers.Adam()
    for taken, rate in enumerate(ADAM.rates):
        history = ADAM.first(taken)
        _, found = one_step.gradients(tuple(v.numpy() for v in variables), *one_step.batch(history))
        adam.learning_rate = rate
        adam.apply(found, variables if taken == 0 else None)
    for ours, theirs, first in zip(weights_after(ADAM), variables, weights, strict=True):
        # The direction of a gradient of nearly 0 is a quotient of rounding errors: not each, but nearly each.
        assert (np.abs(ours - theirs.numpy()) < 1e-5).mean() > 0.999
        assert np.abs(ours - first).max() > 5e-4


@pytest.mark.parametrize("history", [SHORT, ADAM])
def test_the_losses_are_those_of_a_separate_forward_pass(history):
    step = advance(history.first(1), LIMIT)
    batch = one_step.batch(history.first(1))
    assert step.before.loss == pytest.approx(separate_loss(weights_after(history.first(1)), *batch), rel=1e-5)
    assert step.after(history.rates[1]).loss == pytest.approx(separate_loss(weights_after(history), *batch), rel=1e-5)
    assert advance(history, LIMIT).past[1] == (step.before.loss, step.after(history.rates[1]).loss)


@pytest.mark.parametrize("history", [SHORT, ADAM])
def test_every_image_has_its_logits_probabilities_and_loss_before_and_after(history):
    step = advance(history.first(1), LIMIT)
    images, labels = one_step.batch(history.first(1))
    for forward, weights in ((step.before, weights_after(history.first(1))),
                             (step.after(history.rates[1]), weights_after(history))):  # fmt: skip
        logits = separate_logits(weights, images)
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        for ours, theirs in ((forward.logits, logits), (forward.probabilities, chances),
                             (forward.losses, separate_losses(weights, images, labels))):  # fmt: skip
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
        assert np.array_equal(forward.answers, logits.argmax(axis=1))
        assert forward.losses.mean() == pytest.approx(forward.loss, rel=1e-6)
    assert not np.array_equal(step.before.logits, step.after(history.rates[1]).logits)


@pytest.mark.parametrize("history", [SHORT, ADAM])
@pytest.mark.parametrize("unit", [0, 700])
def test_one_unit_of_the_large_kernel_has_its_own_weights_and_its_own_update(history, unit):
    before, after = (weights_after(taken)[4] for taken in (history.first(1), history))
    found = advance(history.first(1), LIMIT, unit)
    assert found.kernel.shape == (3136,)
    assert np.array_equal(found.kernel, before[:, unit])
    assert np.array_equal(moved(found.kernel, history.rates[1], found.direction), after[:, unit])


def test_the_picture_of_the_large_kernel_has_each_units_steepest_gradient():
    step = advance(SHORT.first(1), LIMIT)
    _, found = one_step.gradients(weights_after(SHORT.first(1)), *one_step.batch(SHORT.first(1)))
    conv1, conv2, dense1, logits = step.layers
    assert dense1.gradient is None
    assert dense1.units.dtype == np.float32
    for unit, shown in enumerate(dense1.units):
        assert shown in found[4][:, unit]
        assert abs(shown) == np.abs(found[4][:, unit]).max()
        if unit in (3, 333):
            assert shown in advance(SHORT.first(1), LIMIT, unit).gradient
    assert dense1.units[dense1.largest.index[1]] == dense1.largest.gradient
    for layer, gradient in ((conv1, found[0]), (conv2, found[2]), (logits, found[6])):
        assert layer.units is None
        assert np.array_equal(layer.gradient, gradient)


def test_what_leaves_the_worker_stays_small():
    assert len(pickle.dumps(advance(SHORT.first(1), LIMIT))) < 1_000_000
    assert len(pickle.dumps(advance(SHORT.first(1), LIMIT, 5))) < 50_000


@pytest.mark.parametrize("history", [SHORT, ADAM])
def test_steps_taken_again_give_the_same_numbers(history):
    whole = advance(history, LIMIT)
    one_step._states.clear()
    assert advance(history, 1) == 1  # in parts
    again = advance(history, 1)
    assert again is not whole
    assert again.past == whole.past
    assert [after.loss for after in again.afters] == [after.loss for after in whole.afters]
    for ours, theirs in zip(again.layers, whole.layers, strict=True):
        assert ours.largest == theirs.largest
        assert ours.gradient is None or np.array_equal(ours.gradient, theirs.gradient)


def test_a_huge_rate_is_a_step_too_far():
    step = advance(SHORT.first(0), LIMIT)
    assert not too_far(step.before.loss, step.after(0.1).loss)
    assert too_far(step.before.loss, step.after(10.0).loss)


def test_weights_that_outgrow_float32_give_no_numbers_and_no_answers():
    lost = History(4, "sgd", (10.0,))
    weights = one_step.first_weights(4)
    weights[-1][:] = np.nan
    one_step._remember(lost, one_step._State(weights, (), ((2.3, np.inf),)))
    step = advance(lost, LIMIT)
    assert not np.isfinite(step.before.loss)
    assert all(too_far(step.before.loss, after.loss) for after in step.afters)
    assert (step.before.answers == one_step.NO_ANSWER).all()


def test_no_number_is_too_far():
    assert too_far(2.3, float("nan"))
    assert too_far(2.3, float("inf"))
    assert too_far(float("nan"), 2.3)


def test_a_worker_keeps_no_more_than_it_may(monkeypatch):
    monkeypatch.setattr(one_step, "_states", OrderedDict())
    monkeypatch.setattr(one_step, "REMEMBERED", 30_000_000)
    for seed in range(4):
        one_step._remember(History(seed), one_step._start(History(seed)))
    assert list(one_step._states) == [History(2), History(3)]


def test_steps_in_a_link():
    rates = (0.1,) * 12 + (0.5, 1e-4, 10.0)
    assert as_link(rates) == "0.1x12_0.5_0.0001_10"
    assert from_link(as_link(rates)) == rates
    assert from_link(f"0.1x{LIMIT}") == (0.1,) * LIMIT
    for bad in ("", f"0.1x{LIMIT + 1}", f"0.1x{LIMIT}_0.1", "0.3", "0.1x", "0.1x-1", "0.1x٣", "nan", "0.1__0.1", "<b>",
                "0.1x999999999999"):  # fmt: skip
        assert from_link(bad) == (), bad
