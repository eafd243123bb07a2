"""What lets one web process serve a whole class. Python runs one thread at a time, and all visitors share it with the
thread that sends their answers.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from streamlit.runtime import app_session

TURN = threading.Semaphore(3)
"""Held while a stroke is worked on, but not while somebody else is waited for. With as many threads at work as there
are visitors, the one that sends would hardly ever run: past what the process can do, nobody would get any answer.
"""


@cache
def write_theme_once() -> None:
    """From now on, put the theme together once. Once a process; further calls do nothing.

    Streamlit reads all of its configuration six times at every rerun, for a theme that only a restart can change: a
    tenth of what a stroke takes.
    """
    populate, written = app_session._populate_theme_msg, {}

    def same(message: Any, section: str = "theme") -> None:
        if section not in written:
            written[section] = type(message)()
            populate(written[section], section)
        message.MergeFrom(written[section])

    app_session._populate_theme_msg = same
