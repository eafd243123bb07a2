"""The benchmark's class against the real server: every answer is looked at, and a wrong one is noticed."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import classroom
from classroom import Classroom, Session, Wanderer, drawings


@pytest.fixture(scope="module")
def drawn():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classroom, "DIGITS", 12)
        return drawings()


@pytest.fixture
def hurried(monkeypatch):
    """Strokes that come faster than anybody's."""
    monkeypatch.setattr(classroom, "EVERY", 0.5)


def class_of(room, *kinds, seconds):
    """The class after sessions of these kinds have been there for some seconds."""

    async def lesson():
        sessions = [kind(room, number) for number, kind in enumerate(kinds)]
        stays = [asyncio.create_task(session.visit(0.1 * number)) for number, session in enumerate(sessions)]
        while not all(session.history for session in sessions) and not room.errors:
            await asyncio.sleep(0.1)  # the first one waits for TensorFlow
        await asyncio.sleep(seconds)
        for session in sessions:
            session.going = False
        await asyncio.gather(*stays)

    with ThreadPoolExecutor(1) as pool:  # Playwright keeps a loop of its own running in the tests' thread
        pool.submit(lambda: asyncio.run(lesson())).result()
    return room


def test_every_answer_is_checked_and_none_is_lost(server, drawn, hurried):
    room = class_of(Classroom([server.url], *drawn), Session, Session, Wanderer, seconds=6)
    figures = room.figures
    assert room.errors == []
    assert room.lost == 0
    assert figures.strokes >= 12
    assert figures.checked + figures.overtaken >= figures.strokes
    assert len(figures.answers) >= figures.strokes


def test_a_wrong_answer_is_noticed(server, drawn, hurried):
    other = [[replace(one, chances=np.roll(one.chances, 1)) for one in digit] for digit in drawn[0]]
    room = class_of(Classroom([server.url], other, drawn[1]), Session, seconds=1)
    assert "the network's own is" in room.errors[0]
