"""Who a visitor is, and what they may do: a run belongs to who started it. See docs/security.md."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import streamlit as st

from cnnviz import settings
from cnnviz.components.visitor import token
from cnnviz.training import runs
from cnnviz.workers import TRAINERS

DAY = 24 * 60 * 60
ABANDONED = 30 * DAY
"""Seconds after which anybody may delete an unpublished run that has ended, when the disk is full."""


@dataclass(frozen=True)
class Visitor:
    """Who looks at the page.

    Attributes:
        id: what their runs are marked with: a hash, from which nobody gets back to the cookie or the account.
        name: as the provider of the sign-in says; empty without one.
    """

    id: str
    name: str = ""
    teacher: bool = False


def me() -> Visitor:
    """Who is signed in, else who has the cookie."""
    user = st.user
    if not user.get("is_logged_in"):
        return Visitor(identity("cookie", token()))
    address = str(user.get("email") or "").lower()
    # Anybody may claim an address of which the provider does not say, some as text, that it has verified it.
    verified = str(user.get("email_verified")).lower() == "true"
    known_by = {f"sub:{user.get('sub')}", address if verified else ""}
    teacher = not known_by.isdisjoint(settings.teachers())
    return Visitor(identity("account", user.get("iss"), user.get("sub")), str(user.get("name") or address), teacher)


def identity(*parts: object) -> str:
    """What runs are marked with: of ("cookie", token) or ("account", issuer, subject)."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def can_sign_in() -> bool:
    """Whether the server has been given a provider to sign in with."""
    return "is_logged_in" in st.user


def mine(run: runs.Run) -> bool:
    """Whether the visitor started it: who may stop, rename and delete it."""
    return run.owner == me().id


def may_see(run: runs.Run, who: Visitor | None = None) -> bool:
    """Whether it is shown to the visitor; `who`: the one that `me` has found, for many runs."""
    who = who or me()
    return run.published or run.owner == who.id or who.teacher


def may_go_on(run: runs.Run) -> bool:
    """Whether the visitor may have it learn on: their own, and one from the command line, which nobody owns yet."""
    return not run.owner or mine(run)


def may_publish(run: runs.Run) -> bool:
    """Whether the visitor may show it to everybody, and stop that. A run from the command line is everybody's."""
    return bool(run.owner) and (mine(run) or me().teacher)


def visible_runs() -> list[runs.Run]:
    """The runs that the visitor may see, the newest first."""
    who = me()
    return [run for run in runs.all_runs() if may_see(run, who)]


def find(name: str) -> runs.Run:
    """A run that the visitor may see. Raises RunError: there is none of that name, which is also said of others'."""
    run = runs.find(name)
    if not may_see(run):
        raise runs.RunError(runs.GONE)
    return run


def check_bounds(count: int = 1) -> None:
    """Raises RunError: the server's bounds do not let the visitor start so many runs now."""
    own = me().id
    today = [run for run in runs.all_runs() if run.owner == own and abs(time.time() - run.created) < DAY]
    for met, bound in (
        (len(today) + count > settings.RUNS.value, settings.RUNS),
        (TRAINERS.waiting() >= settings.QUEUE.value, settings.QUEUE),
        (runs.is_full(), settings.DISK),
    ):
        if met:
            raise runs.RunError(bound.sentence)


def offered() -> list[runs.Run]:
    """The oldest runs that the visitor may delete when the disk is full, unpublished and ended: their own, and those of
    which nothing was heard for ABANDONED seconds, as the visitors who started them may never come back; a teacher all.
    """
    who, now = me(), time.time()
    return [run for run in runs.expendable()
            if run.owner == who.id or who.teacher or now - runs.last_said(run) > ABANDONED]  # fmt: skip
