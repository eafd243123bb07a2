"""Puts a component's files together for `st.components.v2`, whose inline scripts can't import one another."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
SLOT = """((key) => {
  const slots = (globalThis.cnnviz ??= {});
  if (!slots[key]) {
    slots[key] = {};
    slots[key].code = new Promise((give) => (slots[key].give = give));
  }
  return slots[key];
})("%s")"""
"""Where the browser keeps a component's code, or waits for it. The key changes with the code: a page that stayed open
while its server was started anew gets the new one."""

_deliver: dict[str, Callable] = {}


def register(name: str, *shared: str, style: str = "", apart: bool = False):
    """The component in the folder `name` (component.html, .css, .js), with shared scripts put before its own.

    Args:
        shared: scripts beside this file, in the order in which they need one another.
        style: a shared style sheet, put before the component's own.
        apart: Streamlit sends a component's script with each of its messages. This one's is sent by `deliver` alone.
    """
    folder = HERE / name
    scripts = [*(HERE / f"{script}.js" for script in shared), folder / "component.js"]
    styles = [*([HERE / f"{style}.css"] if style else []), folder / "component.css"]
    script = "\n".join(path.read_text(encoding="utf-8") for path in scripts)
    if apart:
        slot = SLOT % f"{name}-{hashlib.sha256(script.encode()).hexdigest()[:16]}"
        called = re.search(r"^export default function (\w+)", script, re.MULTILINE)[1]
        kept = script.replace("export default function", "function")
        kept += f"\n{slot}.give({called});\nexport default () => {{}};\n"
        _deliver[name] = st.components.v2.component(f"cnnviz_{name}_code", js=kept)
        script = f"const {{ code }} = {slot};\nexport default async (given) => (await code)(given);\n"
    return st.components.v2.component(
        f"cnnviz_{name}",
        html=(folder / "component.html").read_text(encoding="utf-8"),
        css="\n".join(path.read_text(encoding="utf-8") for path in styles),
        js=script,
    )


def deliver(*names: str) -> None:
    """Send the code of components that are registered `apart`, once for all that the page will show of them.

    Before they are shown, and outside of fragments: of a fragment that is run again before it has been sent, Streamlit
    drops what it had to say.
    """
    with st.container(key="code"):
        for name in names:
            _deliver[name](key=f"{name}-code")
