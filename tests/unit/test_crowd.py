"""What lets many visitors share one web process."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from cnnviz import session
from cnnviz.crowd import TURN
from cnnviz.inputs import Stroke

ROOT = Path(__file__).resolve().parents[2]
THEME = """
from streamlit import config
from streamlit.proto.NewSession_pb2 import NewSession
from streamlit.runtime import app_session
from cnnviz.crowd import write_theme_once

def written():  # as app_session does it
    session = NewSession()
    theme = session.custom_theme
    for message, section in ((theme, "theme"), (theme.light, "theme.light"), (theme.dark, "theme.dark"),
                             (theme.sidebar, "theme.sidebar"), (theme.light.sidebar, "theme.light.sidebar"),
                             (theme.dark.sidebar, "theme.dark.sidebar")):
        app_session._populate_theme_msg(message, section)
    return session.SerializeToString(deterministic=True)

config.get_config_options()
by_streamlit = written()
assert b"#fbfaf7" in by_streamlit
write_theme_once()
assert written() == by_streamlit
config.get_options_for_section = None  # it is not asked again
assert written() == by_streamlit
"""


def test_the_theme_is_written_once_and_is_streamlits():
    said = subprocess.run([sys.executable, "-c", THEME], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr


def test_who_has_drawn_waits_for_a_turn_and_gets_one(monkeypatch):
    stroke = Stroke(np.float32([[0.5, 0.2], [0.5, 0.8]]), 0.06)
    monkeypatch.setattr(session, "strokes", lambda sketch: (stroke,))
    monkeypatch.setattr(session.st, "session_state", type("State", (), {"sketch": {}, "example": None}))
    taken = 0
    while TURN.acquire(blocking=False):
        taken += 1
    read = []
    visitor = threading.Thread(target=lambda: read.append(session.from_sketch()))
    try:
        visitor.start()
        visitor.join(0.3)
        assert taken
        assert not read
    finally:
        TURN.release(taken)
    visitor.join(10)
    assert read[0].pixels.max() > 0.5
