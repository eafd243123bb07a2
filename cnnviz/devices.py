"""Which GPUs this computer has, and whether its memory was enough, without TensorFlow."""

from __future__ import annotations

import subprocess
from functools import cache


@cache
def gpus() -> list[str]:
    """The names of the NVIDIA GPUs, in the driver's order; empty where there is none."""
    try:
        said = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True,
                              text=True, timeout=10, check=True).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.splitlines() if line.strip()]


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of Python's, or one that any backend of Keras raises, says so."""
    said = str(error)
    return (
        isinstance(error, MemoryError)
        or "RESOURCE_EXHAUSTED" in said
        or "OOM" in said
        or ("out of memory" in said.lower())
    )
