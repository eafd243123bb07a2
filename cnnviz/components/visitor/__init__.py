"""Who a visitor is: a token in a cookie of the browser, so that runs have an owner who may reload the page."""

from __future__ import annotations

import re
import secrets

import streamlit as st

from cnnviz.components.files import register

_mount = register("visitor")


def token() -> str:
    """The visitor's token: 32 hexadecimal digits, the same in every tab and after a reload."""
    state = st.session_state
    if "visitor" not in state:
        known = st.context.cookies.get("cnnviz_visitor", "")
        # A test without a browser has no cookies, and says so with something that is no text.
        is_token = isinstance(known, str) and re.fullmatch("[0-9a-f]{32}", known)
        state.visitor = known if is_token else secrets.token_hex(16)
    return state.visitor


def keep_visitor() -> None:
    """Have the browser keep the token. Once a page."""
    if st.context.cookies.get("cnnviz_visitor") != token():
        _mount(key="visitor-cookie", data=token())
