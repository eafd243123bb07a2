"""Makes a worker of a Dask cluster a trainer: `dask worker ADDRESS --nthreads 1 --preload cnnviz.training.preload`.

Keras is loaded before the first run comes, on the backend that $KERAS_BACKEND names, without its notices.
"""

from __future__ import annotations

import os
from typing import Any

from cnnviz.devices import gpu_settings
from cnnviz.nets.quiet import import_keras


def dask_setup(worker: Any) -> None:
    """Called by Dask in the worker's process before it takes work. Raises ValueError: more than one thread."""
    if worker.state.nthreads != 1:
        raise ValueError("Training is not thread safe: start the worker with --nthreads 1, and --nworkers for more.")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.update(gpu_settings())
    os.environ["CNNVIZ_WORKER"] = str(worker.name)
    import_keras()
