"""Puts a component's files together for `st.components.v2`, whose inline scripts can't import one another."""

from __future__ import annotations

import hashlib
import json
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

KEPT = """%s
const look = %s;
function shown(given) {
  const { parentElement } = given;
  if (!parentElement.isDressed) {
    parentElement.isDressed = true;
    const style = document.createElement("style");
    style.textContent = look.css;
    parentElement.append(style, ...new DOMParser().parseFromString(look.html, "text/html").body.children);
  }
  return %s(given);
}
"""
"""What is sent once of a component: its script, and how it gets its HTML and its style."""

_deliver: dict[str, Callable] = {}


def register(name: str, *shared: str, style: str = "", apart: bool = False):
    """The component in the folder `name` (component.html, .css, .js), with shared scripts put before its own.

    Args:
        shared: scripts beside this file, in the order in which they need one another.
        style: a shared style sheet, put before the component's own.
        apart: Streamlit sends a component's files with each of its messages. This one's are sent by `deliver` alone.
    """
    folder = HERE / name
    scripts = [*(HERE / f"{script}.js" for script in shared), folder / "component.js"]
    styles = [*([HERE / f"{style}.css"] if style else []), folder / "component.css"]
    script = "\n".join(path.read_text(encoding="utf-8") for path in scripts)
    look = {
        "html": (folder / "component.html").read_text(encoding="utf-8"),
        "css": "\n".join(path.read_text(encoding="utf-8") for path in styles),
    }
    if apart:
        called = re.search(r"^export default function (\w+)", script, re.MULTILINE)[1]
        kept = KEPT % (script.replace("export default function", "function"), json.dumps(look), called)
        slot = SLOT % f"{name}-{hashlib.sha256(kept.encode()).hexdigest()[:16]}"
        kept += f"{slot}.give(shown);\nexport default ({{ data }}) => data && {called}.keep(data);\n"
        _deliver[name] = st.components.v2.component(f"cnnviz_{name}_code", js=kept)
        script, look = f"const {{ code }} = {slot};\nexport default async (given) => (await code)(given);\n", {}
    return st.components.v2.component(f"cnnviz_{name}", js=script, **look)


def deliver(*names: str, **kept: bytes | None) -> None:
    """Send the code of components that are registered `apart`, once for all that the page will show of them.

    Before they are shown, and outside of fragments: of a fragment that is run again before it has been sent, Streamlit
    drops what it had to say.

    Args:
        kept: by name, what such a component's function `keep` is to be called with in the browser.
    """
    with st.container(key="code"):
        for name in names:
            _deliver[name](key=f"{name}-code", data=kept.get(name))
