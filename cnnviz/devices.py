"""Which GPUs this computer has, and whether its memory was enough, without TensorFlow."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache

GPU_SETTINGS = {
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # numbers the GPUs as nvidia-smi does; else the fastest comes first
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # takes of a GPU's memory what is needed; else most of it at once
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the same for JAX
}
IN_ORDER = "--xla_gpu_deterministic_ops"
"""Has XLA make sums in one order: equal to the last digit, and no slower."""


def gpu_settings() -> dict[str, str]:
    """The environment variables of whatever may train on a GPU; those that are set stay, and flags are added to."""
    flags = os.environ.get("XLA_FLAGS", "")
    settings = {name: os.environ.get(name, value) for name, value in GPU_SETTINGS.items()}
    return settings | {"XLA_FLAGS": flags if IN_ORDER in flags else f"{flags} {IN_ORDER}=true".strip()}


@cache
def gpus() -> list[str]:
    """The names of the NVIDIA GPUs that this process may use, in the order in which it numbers them."""
    try:
        said = subprocess.run(["nvidia-smi", "--query-gpu=uuid,name", "--format=csv,noheader"], capture_output=True,
                              text=True, timeout=10, check=True).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return visible([line.strip().split(", ", 1) for line in said.splitlines() if ", " in line])


def visible(there: list[list[str]]) -> list[str]:
    """Of (UUID, name) of all GPUs the names of those that CUDA_VISIBLE_DEVICES leaves, in its order.

    As CUDA reads it: numbers, or beginnings of UUIDs; what comes after one that is not there is not seen either.
    """
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    if asked is None:
        return [name for _, name in there]
    names = []
    for one in asked.replace(" ", "").split(","):
        found = [gpu for number, gpu in enumerate(there) if one == str(number) or (one and gpu[0].startswith(one))]
        if len(found) != 1:
            break
        names.append(found[0][1])
    return names


def threads(cores: int) -> int:
    """How many threads training uses on a computer with so many cores: one core is left to the class.

    Not of two, where somebody who is alone would wait longer: there all threads keep off one core while the web process
    is busy (`cnnviz.workers.leave_room`).
    """
    return cores - 1 if cores > 2 else cores


def training_settings() -> dict[str, str]:
    """The environment variables of a process that trains: those for GPUs, and those that have TensorFlow, and
    whatever uses OpenMP, keep to so many threads; those that are set stay.

    With another number of threads sums are made in another order, and the last digits differ: all training on this
    computer, from the page or the command line, takes the same number.
    """
    number = str(threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))
    names = "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"
    return gpu_settings() | {name: os.environ.get(name, number) for name in names}


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of Python's, or one that any backend of Keras raises, says so."""
    # Whole words: a path may hold CLASSROOM.
    said = re.search(r"\b(RESOURCE_EXHAUSTED|OOM|[Oo]ut of memory|OUT OF MEMORY)\b", str(error))
    return isinstance(error, MemoryError) or bool(said)
