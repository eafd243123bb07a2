"""A visitor without a browser: speaks Streamlit's messages over a real websocket, and may say in them what it likes."""

from __future__ import annotations

import json
from typing import Any

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

PATIENCE = 60


class Visitor:
    """One session.

    Attributes:
        elements: what the last rerun put on the page, the kind of each and its message.
        query: what the address holds; the server may change it.
    """

    def __init__(self, url: str, query: str = "", page: str = "") -> None:
        self.line = connect(f"{url.replace('http', 'ws')}/_stcore/stream", max_size=None, open_timeout=PATIENCE)
        self.http = httpx.Client(base_url=url, timeout=PATIENCE)
        self.query, self.hash = query, ""
        self.page = page
        self.elements: list[tuple[str, Any]] = []

    def __enter__(self) -> Visitor:
        self.socket = self.line.__enter__()
        self.rerun()
        return self

    def __exit__(self, *details) -> None:
        self.http.close()
        self.line.__exit__(*details)

    def rerun(self, *states: WidgetState) -> None:
        """Send what widgets are said to hold, and wait until the page is there."""
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_script_hash = self.hash
        message.rerun_script.page_name = self.page
        message.rerun_script.widget_states.widgets.extend(states)
        self.socket.send(message.SerializeToString())
        while True:
            answer = ForwardMsg.FromString(self.socket.recv(PATIENCE))
            match answer.WhichOneof("type"):
                case "new_session":
                    self.elements = []
                case "navigation":
                    self.hash = answer.navigation.page_script_hash
                case "page_info_changed":
                    self.query = answer.page_info_changed.query_string
                case "delta" if (part := answer.delta.WhichOneof("type")) in ("new_element", "add_block"):
                    added = getattr(answer.delta, part)
                    if kind := added.WhichOneof("type"):
                        self.elements.append((kind, getattr(added, kind)))
                case "script_finished" if answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    return

    def upload(self, widget: str, name: str, content: bytes, /, **more: str | int) -> WidgetState:
        """Put a file where the server says it belongs. Returns what its uploader is said to hold then; `more` (name,
        size, file_id) is said otherwise than it is.
        """
        message = BackMsg()
        message.file_urls_request.request_id, message.file_urls_request.file_names[:] = "1", [name]
        self.socket.send(message.SerializeToString())
        while (answer := ForwardMsg.FromString(self.socket.recv(PATIENCE))).WhichOneof("type") != "file_urls_response":
            pass
        (place,) = answer.file_urls_response.file_urls
        if not self.http.cookies:
            self.http.get("/_stcore/health")
        answer = self.http.put(place.upload_url, files={"file": (name, content)},
                               headers={"X-Xsrftoken": self.http.cookies["_streamlit_xsrf"]})  # fmt: skip
        assert answer.status_code in (204, 400), answer  # no name, or one of thousands of letters, is refused
        held = WidgetState(id=widget)
        held.file_uploader_state_value.uploaded_file_info.add(
            **{"name": name, "size": len(content), "file_id": place.file_id, "file_urls": place, **more}
        )
        return held

    def id_of(self, name: str) -> str:
        """The id of the widget with that key or of that component."""
        for _, element in self.elements:
            found = getattr(element, "id", "")
            if found.endswith(f"-{name}") or getattr(element, "component_name", "") == f"cnnviz_{name}":
                return found
        raise KeyError(name)

    def said(self, *kinds: str) -> list[str]:
        """The texts of all elements of these kinds: alert, markdown, heading, progress, exception."""
        text = {"exception": "message", "progress": "text"}
        return [getattr(element, text.get(kind, "body")) for kind, element in self.elements if kind in kinds]

    def answers(self) -> list[str]:
        """The class that the Draw page says it reads: one, or none."""
        return [text.partition("\n")[0][2:] for text in self.said("markdown") if text.startswith("# ")]


def state(widget: str, value: Any) -> WidgetState:
    """What a component is said to hold: any JSON, or any text in its place."""
    return WidgetState(id=widget, json_value=value if isinstance(value, str) else json.dumps(value))


def click(widget: str) -> WidgetState:
    """A click on a button."""
    return WidgetState(id=widget, trigger_value=True)


def trigger(widget: str, event: str, value: Any) -> WidgetState:
    """What a component is said to have sent just now."""
    text = json.dumps([{"event": event, "value": value}])
    return WidgetState(id=f"$$STREAMLIT_INTERNAL_KEY_{widget}__events", json_trigger_value=text)
