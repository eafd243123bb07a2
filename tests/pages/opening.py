"""The app as a visitor opens it, without a browser."""

import sys
from pathlib import Path

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]


def opened(**query) -> AppTest:
    """The app at an address with these query parameters, run once."""
    # Every AppTest is a new runtime, and Streamlit 1.65 (for Python 3.10) registers components only at their import.
    for name in [name for name in sys.modules if name.startswith("cnnviz.components")]:
        del sys.modules[name]
    app = AppTest.from_file(ROOT / "app.py", default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app
