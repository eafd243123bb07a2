"""One step of learning, with every number of it: a batch, the loss, the gradients, the update, the loss after.

A request names all that decides the answer: the seed and the steps taken so far. So any worker can answer it, a new one
too, by taking those steps again; what it remembers only saves time. TensorFlow computes gradients and losses; it is
imported when a function needs it, because the web process reads this module too.
"""

from __future__ import annotations

import gc
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from cnnviz import data
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.quiet import import_keras

NETWORK = PRESETS["low-level"]
BATCH = 128
SPREAD = 0.05
"""The standard deviation of the first weights; biases begin at 0."""
LIMIT = 200
"""The most steps: as many as the recipe takes."""
RATES = tuple(float(f"{digit}e{power}") for power in range(-4, 1) for digit in (1, 2, 5)) + (10.0,)
"""The learning rates that can be chosen; the loss after a step is computed for each of them."""
OPTIMIZERS = {"sgd": "Gradient descent", "adam": "Adam"}
NO_ANSWER = 255
"""Where the logits are no numbers any more."""
BETA_1, BETA_2, EPSILON = np.float32(0.9), np.float32(0.999), np.float32(1e-7)
"""Adam's numbers, as Keras sets them."""
REMEMBERED = 400_000_000
"""Bytes of weights that a worker keeps: 30 states of gradient descent, 10 of Adam."""
SENT = 100_000
"""The most weights of a kernel that leave the worker; of a larger one, those of one unit at a time."""
POOLED = NETWORK.shapes()[[layer.kind for layer in NETWORK.layers].index("flatten") - 1]
"""(7, 7, 64), the maps that are flattened: what the inputs of the first dense layer are, row by row, channels last."""

Arrays = tuple[np.ndarray, ...]
"""float32: kernel and bias of each layer that has any, in network order."""


@dataclass(frozen=True)
class History:
    """What has happened so far. The seed decides the first weights and the order of the images."""

    seed: int = 1
    optimizer: str = "sgd"
    rates: tuple[float, ...] = ()  # one for each step taken

    def first(self, steps: int) -> History:
        """The same history when it was shorter."""
        return replace(self, rates=self.rates[:steps])


@dataclass(frozen=True)
class Entry:
    """One weight of a kernel, and what its gradient is."""

    index: tuple[int, ...]
    weight: np.float32
    gradient: np.float32
    direction: np.float32


@dataclass(frozen=True)
class UnitStep:
    """What a step does to the weights of one unit of a dense layer: float32 (inputs,) each."""

    kernel: np.ndarray
    gradient: np.ndarray
    direction: np.ndarray


@dataclass(frozen=True)
class LayerStep:
    """What a step does to one layer's kernel.

    Attributes:
        shape: of the kernel: (k, k, channels, filters) or (inputs, units).
        kernel, gradient, direction: float32 of that shape; None where there are more than SENT, which stay in the
            worker. The update is `-rate * direction`: the gradient itself in plain gradient descent.
        units: float32 (units,) for such a kernel: of each unit's gradients the one that is farthest from 0.
        kernel_norm, gradient_norm, direction_norm: the roots of the sums of squares.
        largest: where the gradient is farthest from 0.
    """

    name: str
    shape: tuple[int, ...]
    kernel: np.ndarray | None
    gradient: np.ndarray | None
    direction: np.ndarray | None
    units: np.ndarray | None
    kernel_norm: float
    gradient_norm: float
    direction_norm: float
    largest: Entry


@dataclass(frozen=True)
class Forward:
    """A forward pass of the batch, float32.

    Attributes:
        logits, probabilities: (128, 10).
        losses: (128,), each image's cross-entropy in nats.
        loss: their mean.
        answers: uint8 (128,), what the images are taken for.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    losses: np.ndarray
    loss: float
    answers: np.ndarray


@dataclass(frozen=True)
class OneStep:
    """The step that comes after a history, for every learning rate.

    Attributes:
        images: uint8 (128, 28, 28), the batch.
        labels: uint8 (128,), what they are.
        before: the forward pass before the step.
        afters: the same after a step with each of RATES.
        past: of every step taken: the loss before it, and after it on the same batch.
    """

    history: History
    images: np.ndarray
    labels: np.ndarray
    before: Forward
    afters: tuple[Forward, ...]
    past: tuple[tuple[float, float], ...]
    layers: tuple[LayerStep, ...]

    def after(self, rate: float) -> Forward:
        """One of `afters`."""
        return self.afters[RATES.index(rate)]


def moved(old: np.ndarray, rate: float, direction: np.ndarray) -> np.ndarray:
    """The weights after a step, in float32: old - rate * direction."""
    with np.errstate(all="ignore"):  # a step too far may leave what float32 can hold; the page says so
        return old - np.float32(rate) * direction


def too_far(before: float, after: float) -> bool:
    """Whether a step made the loss larger, or no number any more."""
    return not after <= before


def as_link(rates: tuple[float, ...]) -> str:
    """Steps as text, equal ones in a row together: 0.1x12_0.5."""
    runs: list[tuple[float, int]] = []
    for rate in rates:
        if runs and runs[-1][0] == rate:
            runs[-1] = rate, runs[-1][1] + 1
        else:
            runs.append((rate, 1))
    return "_".join(f"{rate:g}x{count}" if count > 1 else f"{rate:g}" for rate, count in runs)


def from_link(text: str) -> tuple[float, ...]:
    """The steps that a text holds; none where it is damaged or has more than LIMIT."""
    known = {f"{rate:g}": rate for rate in RATES}
    rates: tuple[float, ...] = ()
    for run in text.split("_"):
        found = re.fullmatch("([0-9.]+)(?:x([0-9]{1,3}))?", run)
        if not found or found[1] not in known:
            return ()
        rates += (known[found[1]],) * int(found[2] or 1)
        if len(rates) > LIMIT:  # now, because a forged text may go on for megabytes
            return ()
    return rates


# The worker's side.


@dataclass
class _State:
    """The network after some steps; `moments` are Adam's two running means of each array, empty without it."""

    weights: Arrays
    moments: tuple[Arrays, Arrays] | tuple[()]
    past: tuple[tuple[float, float], ...]
    answer: OneStep | None = None

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for arrays in (self.weights, *self.moments) for array in arrays)


_states: OrderedDict[History, _State] = OrderedDict()
"""What was asked for last, the latest at the end."""


def _remember(history: History, state: _State) -> None:
    _states[history] = state
    while len(_states) > 1 and sum(kept.bytes for kept in _states.values()) > REMEMBERED:
        _states.popitem(last=False)


@cache
def _training_images() -> data.datasets.Split:
    return data.load("mnist")[0]


def batch(history: History) -> tuple[np.ndarray, np.ndarray]:
    """The images that come next: uint8 (128, 28, 28) and uint8 (128,). None comes twice within LIMIT steps."""
    images, labels = _training_images()
    start = BATCH * len(history.rates)
    chosen = np.random.default_rng(history.seed).permutation(len(images))[start : start + BATCH]
    return images[chosen], labels[chosen]


@cache
def _functions() -> tuple[Callable, Callable]:
    """Compiled: weights, images and labels to what Forward holds, and to that and the gradients."""
    keras = import_keras()
    import tensorflow as tf

    from cnnviz.nets.build import build

    model = build(NETWORK)
    logits_of = keras.Model(model.inputs, model.layers[-2].output)

    def forward(weights, images, labels):
        given = (tf.cast(images, tf.float32) / 255)[..., None]
        logits, _ = logits_of.stateless_call(weights, [], given)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int32), logits)
        return logits, tf.nn.softmax(logits), losses, tf.reduce_mean(losses)

    def backward(weights, images, labels):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            *found, loss = forward(weights, images, labels)
        return (*found, loss), tape.gradient(loss, weights)

    return tf.function(forward), tf.function(backward)


def warm_up() -> None:
    """Import TensorFlow before the first step is asked for."""
    _functions()
    # As in cnnviz.trace.tracer: loky's collecting takes half a second over TensorFlow's objects.
    gc.collect()
    gc.freeze()


def first_weights(seed: int) -> Arrays:
    """Kernels from a normal distribution, biases of 0."""
    keras = import_keras()
    arrays = []
    for number, shape in enumerate(_kernel_shapes()):
        draw = keras.initializers.RandomNormal(stddev=SPREAD, seed=1_000 * seed + number)
        arrays += [keras.ops.convert_to_numpy(draw(shape)), np.zeros(shape[-1], np.float32)]
    return tuple(arrays)


def _kernel_shapes() -> Iterator[tuple[int, ...]]:
    shape = NETWORK.input_shape
    for layer, after in zip(NETWORK.layers, NETWORK.shapes(), strict=True):
        if layer.kind == "conv":
            yield layer.kernel, layer.kernel, shape[-1], layer.filters
        elif layer.kind == "dense":
            yield shape[-1], layer.units
        shape = after


def forward(weights: Arrays, images: np.ndarray, labels: np.ndarray) -> Forward:
    """A forward pass of a batch."""
    return _as_forward(_functions()[0](weights, images, labels))


def gradients(weights: Arrays, images: np.ndarray, labels: np.ndarray) -> tuple[Forward, Arrays]:
    """The forward pass, and the loss's gradient by every weight."""
    passed, found = _functions()[1](weights, images, labels)
    return _as_forward(passed), tuple(gradient.numpy() for gradient in found)


def _as_forward(tensors) -> Forward:
    logits, *others, loss = (tensor.numpy() for tensor in tensors)
    answers = np.where(np.isfinite(logits).all(axis=1), logits.argmax(axis=1), NO_ANSWER).astype(np.uint8)
    return Forward(logits, *others, float(loss), answers)


def directions(state: _State, found: Arrays) -> tuple[Arrays, tuple[Arrays, Arrays] | tuple[()]]:
    """What `rate` is multiplied with, for each array, and Adam's moments afterwards.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2014), with epsilon where Keras has it.
    """
    if not state.moments:
        return found, ()
    means, squares = state.moments
    step = len(state.past) + 1
    scale = np.float32(math.sqrt(1 - float(BETA_2) ** step) / (1 - float(BETA_1) ** step))
    means = tuple(mean + (g - mean) * (1 - BETA_1) for mean, g in zip(means, found, strict=True))
    squares = tuple(square + (g * g - square) * (1 - BETA_2) for square, g in zip(squares, found, strict=True))
    chosen = tuple(scale * mean / (np.sqrt(square) + EPSILON) for mean, square in zip(means, squares, strict=True))
    return chosen, (means, squares)


def advance(history: History, steps: int, unit: int | None = None) -> OneStep | UnitStep | int:
    """The step after a history, or, while that is still far, how many steps of it have been taken again.

    In parts, so that others are answered in between.

    Args:
        steps: the most to take in this call. Ask for more each time: what was computed may be forgotten in between.
        unit: only what the step does to this unit of the first dense layer.
    """
    with np.errstate(all="ignore"):
        done = len(history.rates)
        while done and history.first(done) not in _states:
            done -= 1
        state = _states.get(history.first(done)) or _start(history)
        end = min(done + steps, len(history.rates))
        for taken in range(done, end):
            state = _taken(state, history.first(taken), history.rates[taken])
        _remember(history.first(end), state)
        _states.move_to_end(history.first(end))
        if end < len(history.rates):
            return end
        if unit is not None:
            return _unit(state, history, unit)
        state.answer = state.answer or _answer(state, history)
        return state.answer


def _start(history: History) -> _State:
    weights = first_weights(history.seed)
    nothing = tuple(map(np.zeros_like, weights))
    return _State(weights, (nothing, nothing) if history.optimizer == "adam" else (), ())


def _taken(state: _State, history: History, rate: float) -> _State:
    images, labels = batch(history)
    before, found = gradients(state.weights, images, labels)
    chosen, moments = directions(state, found)
    weights = tuple(moved(old, rate, direction) for old, direction in zip(state.weights, chosen, strict=True))
    return _State(weights, moments, (*state.past, (before.loss, forward(weights, images, labels).loss)))


def _answer(state: _State, history: History) -> OneStep:
    images, labels = batch(history)
    before, found = gradients(state.weights, images, labels)
    chosen, _ = directions(state, found)
    afters = []
    for rate in RATES:
        weights = tuple(moved(old, rate, direction) for old, direction in zip(state.weights, chosen, strict=True))
        afters.append(forward(weights, images, labels))
    named = [layer for layer in NETWORK.layers if layer.kind in ("conv", "dense")]
    layers = (_layer(layer, *arrays) for layer, *arrays in zip(
        named, state.weights[::2], found[::2], chosen[::2], strict=True))  # fmt: skip
    return OneStep(history, images, labels, before, tuple(afters), state.past, tuple(layers))


def _unit(state: _State, history: History, unit: int) -> UnitStep:
    _, found = gradients(state.weights, *batch(history))
    chosen, _ = directions(state, found)
    kernels = (arrays[4] for arrays in (state.weights, found, chosen))  # behind kernel and bias of two convolutions
    return UnitStep(*(kernel[:, unit].copy() for kernel in kernels))


def _layer(layer, kernel: np.ndarray, gradient: np.ndarray, direction: np.ndarray) -> LayerStep:
    index = np.unravel_index(int(np.abs(gradient).argmax()), kernel.shape)
    largest = Entry(tuple(map(int, index)), kernel[index], gradient[index], direction[index])
    norms = (float(np.linalg.norm(array)) for array in (kernel, gradient, direction))
    sent = (kernel, gradient, direction, None)
    if kernel.size > SENT:
        farthest = np.abs(gradient).argmax(axis=0)
        sent = (None, None, None, gradient[farthest, np.arange(len(farthest))])
    return LayerStep(layer.name, kernel.shape, *sent, *norms, largest)
