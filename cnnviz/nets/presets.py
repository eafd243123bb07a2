"""The zoo: every preset as the blocks that it is made of."""

from __future__ import annotations

from cnnviz.nets.blocks import Block, Hidden, network_of
from cnnviz.nets.layers import Network


def _lenet(name: str, title: str, about: str, activation: str, pool: str) -> Network:
    parts = {"activation": activation, "pool": pool}
    blocks = [Block(6, 5, **parts), Block(16, 5, padding="valid", **parts)]
    return network_of(name, title, about, "mnist", blocks, [Hidden(120, activation), Hidden(84, activation)])


def _book(name: str, title: str, about: str, dataset: str, dropout: float = 0.0) -> Network:
    blocks = [Block(32, 4, dropout=dropout), Block(64, 4, dropout=dropout)]
    return network_of(name, title, about, dataset, blocks, [Hidden(1024, dropout=dropout)])


def _fashion(name: str, title: str, about: str) -> Network:
    blocks = [Block(64, 3, padding="valid"), Block(64, 3, padding="valid")]
    return network_of(name, title, about, "fashion_mnist", blocks, [Hidden(128)])


_TUTORIAL = [Block(32, 3, padding="valid"), Block(64, 3, padding="valid"), Block(64, 3, padding="valid", pool="none")]

PRESETS: dict[str, Network] = {
    network.name: network
    for network in (
        _lenet("lenet5", "LeNet-5, modern", "LeNet-5 with today's parts: ReLU and max pooling.", "relu", "max"),
        _lenet("lenet5-1998", "LeNet-5, 1998",
               "Close to the network of LeCun, Bottou, Bengio and Haffner (1998): tanh and average pooling.",
               "tanh", "average"),
        network_of("quick-mnist", "Quick, MNIST",
                   "Ours: over 99 % of MNIST in seconds. Its kernels move by two pixels, so nothing has to be pooled.",
                   "mnist", [Block(16, 5, 2, "valid", pool="none"), Block(32, 5, 2, "valid", pool="none")],
                   [Hidden(128)]),
        network_of("tf-tutorial", "TensorFlow tutorial",
                   "The network of TensorFlow's tutorial \"Convolutional Neural Network (CNN)\", here on MNIST.",
                   "mnist", _TUTORIAL, [Hidden(64)]),
        network_of("low-level", "Low-level TensorFlow",
                   "The network of tutorials that write every gradient step out: 200 steps on MNIST.",
                   "mnist", [Block(32, 5), Block(64, 5)], [Hidden(1024)]),
        _book("book-mnist-adam", "Book, MNIST, Adam", "A textbook's network with one wide dense layer.", "mnist"),
        _book("book-mnist-sgd", "Book, MNIST, SGD", "The same network as learned by plain gradient descent.", "mnist"),
        _fashion("fashion", "Fashion-MNIST", "A tutorial's network for photos of clothes."),
        _fashion("fashion-20", "Fashion-MNIST, 20 epochs",
                 "The same, left to learn for 20 epochs: see under Layers how it overfits."),
        network_of("small-fashion", "Small, Fashion-MNIST", "Ours: fewer weights, read better.",
                   "fashion_mnist", [Block(24, 5, 2, pool="none"), Block(48, 3, padding="valid"), Block(96, 3)],
                   [Hidden(128, dropout=0.3)]),
        _book("book-cifar", "Book, CIFAR-10", "The textbook's network on small colour photos, with dropout.",
              "cifar10", 0.2),
        _book("book-cifar-20", "Book, CIFAR-10, 20 epochs", "The same, left to learn for twice as long.",
              "cifar10", 0.2),
        network_of("small-cifar", "Small, CIFAR-10", "Ours: a fifteenth of the weights, read better.", "cifar10",
                   [Block(32, 3), Block(64, 3), Block(128, 3)], [Hidden(80, dropout=0.2)]),
        network_of("small-digits", "Small, optical digits", "For scikit-learn's digits of 8x8 pixels.", "digits",
                   [Block(16, 3), Block(32, 3)], [Hidden(32)]),
    )
}  # fmt: skip
