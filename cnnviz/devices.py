"""Which GPUs this computer has, without TensorFlow."""

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
