"""Puts a component's files together for `st.components.v2`, whose inline scripts can't import one another."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent


def register(name: str, *shared: str, style: str = ""):
    """The component in the folder `name` (component.html, .css, .js), with shared scripts put before its own.

    Args:
        shared: scripts beside this file, in the order in which they need one another.
        style: a shared style sheet, put before the component's own.
    """
    folder = HERE / name
    scripts = [*(HERE / f"{script}.js" for script in shared), folder / "component.js"]
    styles = [*([HERE / f"{style}.css"] if style else []), folder / "component.css"]
    return st.components.v2.component(
        f"cnnviz_{name}",
        html=(folder / "component.html").read_text(encoding="utf-8"),
        css="\n".join(path.read_text(encoding="utf-8") for path in styles),
        js="\n".join(path.read_text(encoding="utf-8") for path in scripts),
    )
