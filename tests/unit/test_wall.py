"""The web process never imports TensorFlow or Keras: neither when it starts nor when it answers."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BARRED = "assert not {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules), sorted(sys.modules)"


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_dask_is_imported_only_where_there_is_a_scheduler_to_ask_and_keras_not_even_then():
    result = run(f"""
import os, sys
os.environ.pop("CNNVIZ_SCHEDULER", None)
from cnnviz import workers
workers.TRACER.start = lambda: None  # nobody asks it anything
import app
assert "distributed" not in sys.modules
os.environ["CNNVIZ_SCHEDULER"] = "tcp://127.0.0.1:1"
from cnnviz.workers import training_place
place = training_place()
assert "distributed" not in sys.modules
place.refresh()
assert place.address in place.trouble or "not installed" in place.trouble, place.trouble
{BARRED}
""")
    assert result.returncode == 0, result.stderr


def test_neither_a_module_nor_a_page_nor_answering_a_sketch_imports_them():
    """Import what the web process uses, run every page as Streamlit does, draw a 2, wait for the worker's answer."""
    result = run(f"""
import sys
import cnnviz.components, cnnviz.figures, cnnviz.inputs.pictures, cnnviz.data.datasets, cnnviz.session, cnnviz.workers
{BARRED}
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=100)
app.query_params["sample"] = "two"
app.run()
assert not app.exception and any(one.value.startswith("# ") for one in app.markdown), app
for page in "step", "convolution", "pooling", "learning", "layers", "training", "runs", "sweeps":
    app.switch_page("pages/" + page + ".py").run()
    assert not app.exception and app.markdown, page
{BARRED}
""")
    assert result.returncode == 0, result.stderr[-3000:]
