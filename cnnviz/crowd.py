"""What lets one web process serve a whole class. Python runs one thread at a time, and all visitors share it with the
thread that sends their answers.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from streamlit.runtime import app_session

TURN = threading.Semaphore(3)
"""Held while a drawing is read and its answer is put together, but not while somebody else is waited for. With as many
threads at work as there are visitors, the one that sends would hardly ever run: past what the process can do, nobody
would get any answer.
"""


@cache
def write_theme_once() -> None:
    """From now on, put the theme together once. Once a process; further calls do nothing.

    Streamlit reads all of its configuration six times at every rerun, a tenth of what a stroke takes. A change of the
    theme in config.toml is seen when the app is started anew.
    """
    populate, written = getattr(app_session, "_populate_theme_msg", None), {}
    if not populate:  # another version of Streamlit: slower, and all right
        return

    def same(message: Any, section: str = "theme") -> None:
        if section not in written:
            theme = type(message)()
            populate(theme, section)
            written[section] = theme
        if written[section].ListFields():
            message.MergeFrom(written[section])

    app_session._populate_theme_msg = same
