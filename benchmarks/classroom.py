"""A class that draws: many sessions over real websockets against a freshly started server. Prints JSON lines.

    python benchmarks/classroom.py                        # 30 sessions, five minutes
    python benchmarks/classroom.py --training             # the same while one of them trains a network
    python benchmarks/classroom.py --knee --seconds 30    # more and more, until the 95th percentile passes one second
    python benchmarks/classroom.py --knee --servers 2     # the same, every other session at a second server
    python benchmarks/classroom.py --watch                # all watch a network learn: how far behind are its curves
    python benchmarks/classroom.py --soak                 # half an hour of 10 that also change pages and upload
    python benchmarks/classroom.py --steps 1              # one of them takes steps of learning instead of drawing

A session is a small client that says what the browser's part of Streamlit says (protobuf messages over
/_stcore/stream); thirty browsers would measure the browsers. Every two seconds it draws one stroke, and between two
digits it clears. Every answer is checked: the image must be the drawing with all its strokes, and label and
probabilities what Keras gives for it in another process before the class comes in. A stroke that is still unanswered
when the next one is drawn counts until the answer that shows it; one that is never answered, because nobody waits any
longer or the connection broke, is lost, and in the percentiles as if it had taken that longest time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import platform
import random
import sys
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import loky
import numpy as np
import psutil
import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cnnviz import memory as memory_rounds  # noqa: E402
from cnnviz.components.sketchpad import MAX_HISTORY  # noqa: E402
from cnnviz.data.generator import STYLES, sketch, writer  # noqa: E402
from cnnviz.inputs import normalise, parse_strokes, rasterise  # noqa: E402
from cnnviz.inputs.pictures import for_network  # noqa: E402
from cnnviz.inputs.samples import samples  # noqa: E402
from cnnviz.training import runs  # noqa: E402

MODEL = "lenet5"
EVERY = 2.0
"""Seconds from one stroke to the next; a drawing is cleared halfway."""
SETTLED = 3.0
"""Seconds before anything is measured: the last ones have just come in."""
SPREAD = 0.2
"""Seconds from one session's coming in to the next one's."""
PATIENCE = 30.0
"""Seconds after which an answer is given up."""
QUIET = 1.0
"""Seconds without a message after which a finished page shows what it will show."""
DIGITS = 300
"""How many different digits a class draws."""
PICTURES = 20
"""How many of them are uploaded as pictures too."""
CLOSE = 1e-5
"""How far a probability may be from the one that is computed offline, one image or a batch of another size."""
KNEE = 1000
"""Milliseconds that the 95th percentile has passed at the knee."""
PRESSED = 5.0
"""Seconds from one step of learning to the next."""
FORGOTTEN = 5
"""Seconds after which the server forgets who has left; Streamlit's own two minutes would only be waited for."""
GROWTH = 1.25
"""How many times as many sessions the next stage of the knee has."""


# What is drawn, and what the network answers to it


@dataclass(frozen=True)
class Drawing:
    """A digit with some of its strokes: each as the sketchpad writes it, and what must come back.

    image: float32 (28, 28, 1). chances: float32 (10,). link: as the sketchpad writes it into the address.
    """

    strokes: tuple[str, ...]
    link: str
    image: np.ndarray
    chances: np.ndarray

    @property
    def label(self) -> str:
        return str(int(self.chances.argmax()))


def digits() -> list[list[dict]]:
    """Digits of two strokes and more, samples and generated: each a list of strokes as the sketchpad sends them."""
    rng = np.random.default_rng(1)
    drawn = [sample.strokes for sample in samples().values() if len(sample.strokes) > 1]
    styles = [style for style in STYLES if len(style.outlines) > 1]
    while len(drawn) < DIGITS:
        strokes = sketch(styles[rng.integers(len(styles))], writer(rng), rng)
        drawn.append([{"points": stroke.points.round(4).ravel().astype(float).round(4).tolist(),
                       "width": round(float(stroke.width), 3)} for stroke in strokes])  # fmt: skip
    return drawn


def to_text(stroke: dict) -> str:
    """The other direction of `as_stroke` in cnnviz.components.sketchpad, as the sketchpad's `toText`, in quotes."""
    numbers = np.round(np.array([stroke["width"], *stroke["points"]]) * 1e4).astype("<i2")
    return f'"{base64.b64encode(numbers.tobytes()).decode()}"'


def to_link(strokes: list[dict]) -> str:
    """The other direction of cnnviz.inputs.links, as the sketchpad's `toLink`."""
    data = bytearray()

    def write(number: int) -> None:
        while number > 127:
            data.append(number % 128 | 128)
            number //= 128
        data.append(number)

    for stroke in strokes:
        write(round(stroke["width"] * 1000))
        write(len(stroke["points"]) // 2)
        steps = np.diff(np.round(np.array(stroke["points"]).reshape(-1, 2) * 1e4).astype(int), axis=0, prepend=0)
        for step in steps.ravel().tolist():
            write(2 * step if step >= 0 else -2 * step - 1)
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    return text if len(text) <= 4000 else ""


def offline(images: np.ndarray) -> np.ndarray:
    """What the command line's `classify` computes: float32 (n, 28, 28, 1) to probabilities. Runs in a worker."""
    from cnnviz.nets.quiet import import_keras

    import_keras()
    from cnnviz.__main__ import predict
    from cnnviz.nets.build import load_model

    return predict(load_model(MODEL), images)


def drawings() -> tuple[list[list[Drawing]], list[Drawing]]:
    """Every digit as it grows stroke by stroke, and some as pictures (whose one stroke is the file), with what Keras
    answers to each."""
    states = [[digit[: count + 1] for count in range(len(digit))] for digit in digits()]
    inputs = [[normalise(rasterise(parse_strokes(drawn))) for drawn in state] for state in states]
    files = [cv2.imencode(".png", 255 - state[-1].steps[0].picture)[1].tobytes() for state in inputs[:PICTURES]]
    images = [each.pixels for state in inputs for each in state]
    images += [for_network(file, "photo", (28, 28, 1)).pixels for file in files]
    executor = loky.ProcessPoolExecutor(1)
    answers = iter(zip(images, executor.submit(offline, np.stack(images)).result(), strict=True))
    executor.shutdown()
    drawn = [[Drawing(tuple(map(to_text, part)), to_link(part), *next(answers)) for part in state] for state in states]
    return drawn, [Drawing((file,), "", *next(answers)) for file in files]


# A session


class Figures:
    """What the sessions measure together between two moments; milliseconds."""

    def __init__(self) -> None:
        self.answers: list[float] = []
        self.maps: list[float] = []
        self.steps: list[float] = []
        self.strokes = self.clearings = self.overtaken = self.checked = self.lost = self.received = 0


@dataclass
class Sent:
    """A stroke that was sent, or a clearing: when, what must be shown for it (None: an empty sketchpad), and where its
    answer counts (None: it was given up).
    """

    at: float
    drawing: Drawing | None
    figures: Figures | None


@dataclass
class Classroom:
    """The servers' addresses, what is drawn, what is measured now, and what went wrong so far, measured or not."""

    urls: list[str]
    digits: list[list[Drawing]]
    pictures: list[Drawing]
    figures: Figures = field(default_factory=Figures)
    errors: list[str] = field(default_factory=list)
    lost: int = 0


def unpack(packed: bytes) -> dict[str, np.ndarray]:
    """The arrays that cnnviz.components.packing has packed."""
    length = int.from_bytes(packed[:4], "little")
    arrays = {}
    for name, entry in json.loads(packed[4 : 4 + length])["arrays"].items():
        count = int(np.prod(entry["shape"], dtype=int))
        array = np.frombuffer(packed, entry["type"], count, 4 + length + entry["offset"])
        arrays[name] = array.reshape(entry["shape"])
    return arrays


class Session:
    """One visitor of the Draw page: comes in, draws and goes. Everything that comes back is checked."""

    def __init__(self, room: Classroom, number: int) -> None:
        self.room, self.url = room, room.urls[number % len(room.urls)]
        self.random = random.Random(number)
        self.history: list[str] = []
        self.link = self.query = ""
        self.waiting: deque[Sent] = deque()
        self.shown: Drawing | None = None
        self.asked: Drawing | None = None
        self.last = 0.0
        self.doing = "coming in"
        self.socket = self.listening = None
        self.inside = False
        self.states: dict[str, WidgetState] = {}  # what the page's widgets hold, by their ids
        self.fragments: dict[str, str] = {}  # the fragment that a widget belongs to, by its id
        self.elements: dict[str, Any] = {}  # what is on the page, by label or component
        self.page = ""
        self.heading: tuple[float, str] | None = None
        self.repeat: tuple[float, str] | None = None  # the fragment that the page wants run again and again, in seconds
        self.places: asyncio.Queue = asyncio.Queue()  # where files can be uploaded to
        self.ended = asyncio.Event()
        self.going = True

    # Coming and going

    async def enter(self) -> None:
        """Open the page as a browser does, and wait until it is there with its first picture of the network."""
        self.http = requests.Session()
        for path in "/", "/_stcore/health", "/_stcore/host-config":
            (await asyncio.to_thread(self.http.get, self.url + path, timeout=PATIENCE)).raise_for_status()
        cookies = self.http.cookies.get_dict()
        self.token = cookies["_streamlit_xsrf"]
        cookies["cnnviz_visitor"] = f"{self.random.getrandbits(128):032x}"
        self.socket = await connect(
            self.url.replace("http", "ws") + "/_stcore/stream",
            origin=self.url,
            subprotocols=["streamlit", self.token],
            additional_headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
            max_size=None,
            max_queue=None,
            open_timeout=PATIENCE,
            ping_timeout=None,
        )
        self.listening = asyncio.create_task(self.listen())
        await self.ask()
        await self.end()

    async def leave(self) -> None:
        self.inside = False
        if self.listening:
            await self.socket.close()
            await self.listening
        self.http.close()

    async def ask(self, *changed: WidgetState, page: str = "", fragment: str = "") -> None:
        """Have the server run the page, or a fragment of it."""
        self.ended.clear()
        message = BackMsg()
        client = message.rerun_script
        client.query_string = self.query or (f"drawing={self.link}" if self.link else "")
        client.page_script_hash = page or self.page
        client.fragment_id = fragment
        client.widget_states.widgets.extend([*self.states.values(), *changed])
        client.context_info.timezone, client.context_info.locale = "UTC", "en-US"
        client.context_info.url = self.url + "/"
        await self.socket.send(message.SerializeToString())

    async def end(self) -> None:
        """Wait until the server has run what it was asked to."""
        await asyncio.wait_for(self.ended.wait(), PATIENCE)

    # What comes back

    async def listen(self) -> None:
        try:
            async for data in self.socket:
                self.take(data, time.perf_counter())
        except ConnectionClosed as error:
            self.wrong(f"the connection broke: {error}")
        else:
            if self.inside:
                self.wrong("the server has closed the connection")
        self.inside = False

    def wrong(self, what: str) -> None:
        self.room.errors.append(what)

    def pending(self, figures: Figures | None = None) -> list[Sent]:
        """The strokes that wait for an answer: all, or those that count in these figures."""
        waiting = [sent for sent in self.waiting if sent.drawing and sent.figures]
        return [sent for sent in waiting if sent.figures is figures] if figures else waiting

    def give_up(self, figures: Figures | None = None) -> None:
        """Count the strokes that wait for an answer as lost. The answer may come all the same."""
        for sent in self.pending(figures):
            sent.figures.lost += 1
            self.room.lost += 1
            sent.figures = None

    def take(self, data: bytes, now: float) -> None:
        """One message of the server's."""
        self.room.figures.received += len(data)
        self.last = now
        message = ForwardMsg()
        message.ParseFromString(data)
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            name = message.delta.new_element.WhichOneof("type")
            self.see(name, getattr(message.delta.new_element, name), message.delta.fragment_id, now)
        elif kind == "delta" and message.delta.add_block.HasField("expandable"):
            self.elements[message.delta.add_block.expandable.label] = message.delta.add_block.expandable
        elif kind == "new_session":
            self.page, self.heading = message.new_session.page_script_hash, None
            self.id = message.new_session.initialize.session_id
        elif kind == "navigation":
            self.pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
        elif kind == "file_urls_response":
            self.places.put_nowait(message.file_urls_response.file_urls[0])
        elif kind == "auto_rerun":
            self.repeat = message.auto_rerun.interval, message.auto_rerun.fragment_id
        elif kind == "script_finished":
            if message.script_finished == message.FINISHED_WITH_COMPILE_ERROR:
                self.wrong("the page could not be compiled")
            if message.script_finished != message.FINISHED_EARLY_FOR_RERUN:
                self.ended.set()

    def see(self, name: str, element: Any, fragment: str, now: float) -> None:
        """One element of the page."""
        label = element.component_name if name == "bidi_component" else getattr(element, "label", name)
        self.elements[label] = element
        if name == "exception" or name == "alert" and element.format == element.ERROR:
            self.wrong(f"{name}: {getattr(element, 'message', '') or element.body}")
        elif name == "heading" or name == "markdown" and element.body.startswith("# "):
            self.heading = now, element.body.partition("\n")[0].removeprefix("# ")
        elif label == "cnnviz_network":
            self.check(unpack(element.bytes), now)
        elif hasattr(element, "id"):
            self.fragments[element.id] = fragment
            # What a widget holds before anybody has touched it, as the browser says it with every message.
            if name == "selectbox" and element.HasField("default"):
                first = WidgetState(id=element.id, string_value=element.options[element.default])
                self.states.setdefault(element.id, first)
            elif name == "button_group":
                held = [element.options[at].content for at in element.default]
                self.states.setdefault(element.id, WidgetState(id=element.id, string_array_value={"data": held}))

    def check(self, arrays: dict[str, np.ndarray], now: float) -> None:
        """Find the stroke that is answered, and compare."""
        image, chances = arrays["input/output"], arrays["softmax/output"]
        # Last what is there already: a page that comes back shows it again, before what was asked since.
        candidates = [*(sent.drawing for sent in self.waiting), self.shown]
        of = next((at for at, drawing in enumerate(candidates)
                   if (np.array_equal(image, drawing.image) if drawing else not image.any())), None)  # fmt: skip
        if of is None:
            self.wrong(f"an answer to something that was not drawn, while {len(self.waiting)} wait")
            return
        if drawing := candidates[of]:
            said = self.heading[1] if self.heading else "nothing"
            if said != drawing.label or np.abs(chances - drawing.chances).max() > CLOSE:
                self.wrong(f"the answer is {said}, the network's own is {drawing.label}")
            self.room.figures.checked += 1
        if of == len(self.waiting):
            return
        answered = [self.waiting.popleft() for _ in range(of + 1)]
        self.shown = drawing
        for sent in answered:
            if sent.drawing and sent.figures:
                sent.figures.overtaken += sent is not answered[-1]
                sent.figures.answers.append(1000 * ((self.heading[0] if self.heading else now) - sent.at))
                sent.figures.maps.append(1000 * (now - sent.at))

    # What it does

    async def draw(self) -> None:
        """Draw digit after digit, a stroke every EVERY seconds, until it is told to stop."""
        tick = time.monotonic()
        while True:
            for drawing in self.random.choice(self.room.digits):
                await asyncio.sleep(tick - time.monotonic())
                if not self.going:
                    return
                self.room.figures.strokes += 1
                await self.change(drawing)
                tick += EVERY
            await self.between()
            tick = max(tick, time.monotonic() + EVERY / 2)
            await asyncio.sleep(tick - EVERY / 2 - time.monotonic())
            self.room.figures.clearings += 1
            await self.change(None)

    async def between(self) -> None:
        """What is done when a digit is finished: nothing here."""

    async def change(self, drawing: Drawing | None) -> None:
        """Send the sketch with a stroke more, or cleared, as the sketchpad does."""
        self.history.append(drawing.strokes[-1] if drawing else "null")
        if len(self.history) > MAX_HISTORY and "null" in self.history[1:]:  # as the sketchpad does
            spare = len(self.history) - 1 - self.history[::-1].index("null")
            del self.history[: min(spare, len(self.history) - MAX_HISTORY)]
        link = drawing.link if drawing else ""
        rest = json.dumps({"cursor": len(self.history), "width": 0.06, "live": False, "link": link or None})
        text = f'{{"sketch":{{"history":[{",".join(self.history)}],{rest[1:]}}}'
        pad = self.elements["cnnviz_sketchpad"]
        self.states[pad.id] = WidgetState(id=pad.id, json_value=text)
        self.asked, self.doing = drawing, "a stroke"
        self.waiting.append(Sent(time.perf_counter(), drawing, self.room.figures))
        await self.ask(fragment=self.fragments[pad.id])
        self.link = link  # the address follows while the pen rests, and is sent with the next stroke

    async def rest(self) -> None:
        """Wait until what was drawn last is shown. What is not is lost."""
        deadline = time.monotonic() + PATIENCE
        while self.waiting and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            # An empty sketchpad's answer may be to a later clearing than to the first that waits for one.
            if self.ended.is_set() and time.perf_counter() - self.last > QUIET and self.shown is self.asked:
                for sent in self.pending():
                    sent.figures.overtaken += 1
                self.waiting.clear()
        self.give_up()
        self.waiting.clear()
        await self.end()  # the rest of the page follows the answer

    async def visit(self, wait: float) -> None:
        """Come in after some seconds, draw, and go."""
        await asyncio.sleep(wait)
        try:
            await self.enter()
            self.inside = True
            await self.draw()
            await self.rest()
        except (OSError, TimeoutError, ConnectionClosed, requests.RequestException) as error:
            self.wrong(f"{type(error).__name__} after {self.doing}: {error}")
        self.give_up()
        await self.leave()


class Wanderer(Session):
    """Somebody who looks at another page or has a picture read after each digit."""

    async def between(self) -> None:
        await self.rest()
        await self.random.choice([self.look_elsewhere, self.upload])()

    async def look_elsewhere(self) -> None:
        """Open another page, and come back to the sketchpad."""
        await self.look_at(self.random.choice([page for page in self.pages.values() if page != self.page]))

    async def look_at(self, page: str) -> None:
        here, states = self.page, self.states
        self.doing = "another page"
        self.states = {}
        await self.ask(page=page)
        await self.end()
        await asyncio.sleep(self.random.uniform(0.5, EVERY))
        self.states = states
        await self.ask(page=here)
        await self.end()

    async def upload(self) -> None:
        """Have a picture read, and come back to the sketchpad."""
        drawn, self.doing = self.shown, "a picture"
        source = self.states[self.elements["Input"].id].string_array_value
        source.data[:] = ["Picture"]
        await self.ask()
        await self.end()
        request = BackMsg()
        request.file_urls_request.request_id, request.file_urls_request.file_names[:] = "1", ["digit.png"]
        await self.socket.send(request.SerializeToString())
        place = await asyncio.wait_for(self.places.get(), PATIENCE)
        picture = self.random.choice(self.room.pictures)
        # Not over the kept connection, which the server may close at the same moment: a browser tries again then.
        (await asyncio.to_thread(requests.put, self.url + place.upload_url, timeout=PATIENCE,
                                 cookies=self.http.cookies,
                                 files={"file": ("digit.png", picture.strokes[0])},
                                 headers={"X-Xsrftoken": self.token})).raise_for_status()  # fmt: skip
        state = WidgetState(id=self.elements["A picture of one digit"].id)
        state.file_uploader_state_value.uploaded_file_info.add(
            name="digit.png", size=len(picture.strokes[0]), file_id=place.file_id, file_urls=place
        )
        self.asked = picture
        self.waiting.append(Sent(time.perf_counter(), picture, self.room.figures))
        await self.ask(state, fragment=self.fragments[state.id])
        await self.end()
        await asyncio.sleep(self.random.uniform(0.5, EVERY))
        source.data[:] = ["Draw"]
        self.shown = drawn
        await self.ask()
        await self.end()


class Guide(Wanderer):
    """Somebody who sees every page once and draws nothing: the pages show a sample then, which is not checked."""

    async def look_everywhere(self, but: str = "") -> None:
        """Come in, see every page (except one), have a picture read, and go."""
        await self.enter()
        for page in [page for name, page in self.pages.items() if page != self.page and name != but]:
            await self.look_at(page)
        await self.upload()
        await self.leave()

    def check(self, arrays: dict[str, np.ndarray], now: float) -> None:
        pass


class Learner(Session):
    """Somebody who does not draw: on the page 'One step of learning' they take a step every PRESSED seconds."""

    async def enter(self) -> None:
        await super().enter()
        self.doing, self.states = "opening the steps", {}
        await self.ask(page=self.pages["learning"])
        await self.end()

    async def draw(self) -> None:
        self.doing, tick = "a step", time.monotonic()
        while self.going:
            taken = self.elements["Take the step"]
            button = self.elements["Start over"] if taken.disabled else taken
            number = 1 if taken.disabled else int(self.heading[1].split()[1]) + 1
            figures, began = self.room.figures, time.perf_counter()
            await self.ask(WidgetState(id=button.id, trigger_value=True), fragment=self.fragments[button.id])
            await self.end()
            figures.steps.append(1000 * (time.perf_counter() - began))
            if not self.heading or self.heading[1] != f"Step {number}":
                self.wrong(f"the step is {self.heading}, not {number}")
                return
            while self.going and time.monotonic() < tick + PRESSED:
                await asyncio.sleep(0.1)
            tick = max(tick + PRESSED, time.monotonic())


class Watcher(Session):
    """Somebody who does not draw: on the page of the only run they see how its curves grow.

    seen: when, by the clock, which point of the loss came last, in epochs.
    """

    async def enter(self) -> None:
        self.seen: list[tuple[float, float]] = []
        await super().enter()
        self.doing, self.states = "opening the run", {}
        self.query = f"run={runs.all_runs()[0].id}"
        await self.ask(page=self.pages["training"])
        await self.end()

    def see(self, name: str, element: Any, fragment: str, now: float) -> None:
        super().see(name, element, fragment, now)
        if name == "plotly_chart" and (points := json.loads(element.spec)["data"][0]["x"]):
            self.seen.append((time.time(), points[-1]))

    async def draw(self) -> None:
        """Have the page look again as often as it wants to, as the browser does: by the clock."""
        tick = time.monotonic()
        while self.going:
            tick = max(tick + self.repeat[0], time.monotonic())
            await asyncio.sleep(tick - time.monotonic())
            await self.ask(fragment=self.repeat[1])


class Teacher(Session):
    """Somebody who opens the form, has a network trained for as many epochs as there may be, and watches."""

    async def train(self) -> None:
        """Come in, start, and wait for the first batches."""
        await self.enter()
        form = WidgetState(id=self.elements["Retrain"].id, bool_value=True)
        await self.ask(form)
        await self.end()
        epochs, start = self.elements["Epochs"], self.elements["Start training"]
        await self.ask(form, WidgetState(id=epochs.id, double_value=epochs.max),
                       WidgetState(id=start.id, trigger_value=True), fragment=self.fragments[start.id])  # fmt: skip
        self.watching = asyncio.create_task(self.watch())
        said, deadline = 0, time.monotonic() + 5 * PATIENCE
        while not self.heard("batch"):
            if len(now := self.heard("download")) > said:  # the first time, 80,000 sketches are drawn to learn from
                said, deadline = len(now), time.monotonic() + 5 * PATIENCE
            if time.monotonic() > deadline:
                sys.exit(f"No run has begun: {self.room.errors}")
            await asyncio.sleep(0.5)

    async def watch(self) -> None:
        """Have the page look again at the run as often as it wants to."""
        while True:
            await asyncio.sleep(self.repeat[0] if self.repeat else 0.1)
            if self.repeat:
                await self.ask(fragment=self.repeat[1])

    def heard(self, kind: str) -> list[dict]:
        """What the run has said of one kind."""
        texts = [file.read_text() for file in Path(os.environ["CNNVIZ_RUNS"]).glob("*/events.jsonl")]
        said = [json.loads(line) for text in texts for line in text.splitlines()]
        return [one for one in said if one["event"] == kind]

    async def leave(self) -> None:
        self.watching.cancel()
        await super().leave()


# A class


class Class:
    """Sessions that draw at the same time, and what is measured of them and of the servers."""

    def __init__(
        self, room: Classroom, servers: list[psutil.Process], learners: int, kind: type[Session] = Session
    ) -> None:
        self.room, self.servers, self.learners, self.kind = room, servers, learners, kind
        self.sessions: list[Session] = []
        self.tasks: list[asyncio.Task] = []

    async def join(self, count: int) -> None:
        """Let sessions come in one after another until there are so many; back when all draw, or could not come in."""
        new = [(Learner if number < self.learners else self.kind)(self.room, number)
               for number in range(len(self.sessions), count)]  # fmt: skip
        self.sessions += new
        # Not in step: strokes that fall together by the clock would wait for one another.
        waits = [number * SPREAD + session.random.uniform(0, EVERY) for number, session in enumerate(new)]
        tasks = [asyncio.create_task(session.visit(wait)) for session, wait in zip(new, waits, strict=True)]
        self.tasks += tasks
        while not all(session.inside or task.done() for session, task in zip(new, tasks, strict=True)):
            await asyncio.sleep(0.1)
        await asyncio.sleep(EVERY + SETTLED)

    async def leave(self) -> None:
        for session in self.sessions:
            session.going = False
        await asyncio.gather(*self.tasks)
        self.sessions, self.tasks = [], []

    def clocks(self) -> dict[str, float]:
        """CPU seconds so far: of the web processes and their workers, of this client, and of the whole machine."""
        spent = dict.fromkeys(("web", "tracer", "trainer", "learner"), 0.0)
        for name, process in processes(self.servers):
            spent[name] += sum(process.cpu_times()[:2])
        busy = psutil.cpu_times()
        return {
            **spent,
            "client": time.process_time(),
            "machine": sum(busy) - busy.idle - getattr(busy, "iowait", 0),
            "at": time.monotonic(),
        }

    def inside(self) -> int:
        """How many sessions are in the class now."""
        return sum(session.inside for session in self.sessions)

    async def measure(self, name: str, seconds: float) -> dict:
        """Look on for some seconds, and then, while the class goes on, until their strokes are answered or given up.
        Returns the line.
        """
        room, figures = self.room, Figures()
        room.figures, errors = figures, len(room.errors)
        began, late, fewest = self.clocks(), 0.0, self.inside()
        while (left := seconds - (time.monotonic() - began["at"])) > 0:
            before = time.monotonic()
            await asyncio.sleep(min(0.1, left))
            late = max(late, time.monotonic() - before - 0.1)
            fewest = min(fewest, self.inside())
        ended = self.clocks()
        room.figures = Figures()
        deadline = time.monotonic() + PATIENCE
        while any(session.pending(figures) for session in self.sessions) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for session in self.sessions:
            session.give_up(figures)
        spent = {part: ended[part] - began[part] for part in ended}
        said = line(name, figures, fewest, spent, late)
        said |= {"errors": len(room.errors) - errors, "errors_so_far": len(room.errors), "lost_so_far": room.lost}
        if self.learners:
            median, p95 = percentiles(figures.steps)
            said |= {"learners": self.learners, "steps": len(figures.steps), "step_median": median, "step_p95": p95}
        return said


def percentiles(times: list[float]) -> tuple[float | None, float | None]:
    """The median and the 95th percentile; None of nothing."""
    return tuple(np.percentile(times, [50, 95]).round(2).tolist()) if times else (None, None)


def line(name: str, figures: Figures, sessions: int, spent: dict[str, float], late: float) -> dict:
    """What is printed of one measurement. A message of a session's is a stroke or a clearing."""
    messages = max(figures.strokes + figures.clearings, 1)
    seconds = spent.pop("at")
    cores = {part: round(busy / seconds, 2) for part, busy in spent.items()}
    machine = cores.pop("machine")
    cores |= {"others": round(machine - sum(cores.values()), 2), "there": psutil.cpu_count()}
    lost = [1000 * PATIENCE] * figures.lost
    (median, p95), (middle, high) = percentiles(figures.answers + lost), percentiles(figures.maps + lost)
    return {
        "name": name, "unit": "ms", "median": median, "p95": p95, "runs": len(figures.answers), "maps_median": middle,
        "maps_p95": high, "sessions": sessions, "seconds": round(seconds, 1), "strokes": figures.strokes,
        "clearings": figures.clearings, "checked": figures.checked, "overtaken": figures.overtaken,
        "lost": figures.lost,
        "kilobytes_a_message": round(figures.received / messages / 1000, 1),
        "web_cpu_ms_a_message": round(1000 * spent["web"] / messages, 2),
        "tracer_cpu_ms_a_message": round(1000 * spent["tracer"] / messages, 2), "cores": cores,
        "client_late_ms": round(1000 * late, 1),
    }  # fmt: skip


def role(worker: psutil.Process) -> str:
    """What a child of the server's does. Nice ones train, or take steps of learning where no graphics card is seen."""
    if "popen_loky" not in " ".join(worker.cmdline()):
        return ""
    if not worker.nice():
        return "tracer"
    return "learner" if worker.environ().get("CUDA_VISIBLE_DEVICES") == "-1" else "trainer"


def processes(servers: list[psutil.Process]) -> Iterator[tuple[str, psutil.Process]]:
    """The web processes and their workers, each with what it does."""
    for server in servers:
        yield "web", server
        yield from ((name, worker) for worker in server.children(recursive=True) if (name := role(worker)))


def memory(servers: list[psutil.Process]) -> dict[str, float]:
    """Resident megabytes of the web processes and of their workers."""
    each = defaultdict(float)
    for name, process in processes(servers):
        each[name] += process.memory_info().rss / 2**20
    return {name: round(megabytes, 1) for name, megabytes in each.items()}


def machine() -> dict:
    """What this runs on, in one line that can be quoted."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    gigabytes = round(psutil.virtual_memory().total / 2**30, 1)
    return {"name": "machine", "cpu": models[0] if models else platform.processor() or platform.machine(),
            "cores": psutil.cpu_count(), "memory_gb": gigabytes}  # fmt: skip


async def come_and_go(room: Classroom, strokes: int = 3) -> None:
    """One visitor of each server, who draws a little. TensorFlow has started then, and who has left is forgotten."""
    for number in range(len(room.urls)):
        session = Session(room, number)
        stay = asyncio.create_task(session.visit(0))
        while not stay.done() and len(session.history) < strokes:
            await asyncio.sleep(0.1)
        session.going = False
        await stay
    await asyncio.sleep(FORGOTTEN + memory_rounds.EVERY + 1)


async def lesson(room: Classroom, servers: list[psutil.Process], options: argparse.Namespace) -> AsyncIterator[dict]:
    """A class of some size for some time; with a network in training beside it if that is asked for."""
    for number in range(len(room.urls)):  # what is loaded once, a class does not leave
        await Guide(room, number).look_everywhere(but="learning")  # which has a process of its own
    await come_and_go(room)
    yield {"name": "memory_before", "unit": "MB", **(before := memory(servers))}
    these = Class(room, servers, options.steps)
    teacher = Teacher(room, -1)
    if options.training:
        await teacher.train()
    await these.join(options.sessions)
    name = "classroom_while_training" if options.training else "classroom"
    yield await these.measure(name, options.seconds)
    during = memory(servers)
    await these.leave()
    yield {"name": f"{name}_memory", "unit": "MB", **during,
           "a_session": round((during["web"] - before["web"]) / options.sessions, 2)}  # fmt: skip
    if options.training:
        said, over = teacher.heard("batch"), [teacher.heard(kind) for kind in ("done", "failed", "stopped")]
        speeds = [batch["images_per_second"] for batch in said[len(said) // 2 :]]
        yield {"name": "training_beside", "unit": "images/s", "median": round(float(np.median(speeds)), 1),
               "epochs": len(teacher.heard("epoch")), "over_before_the_end": any(over)}  # fmt: skip
        await teacher.leave()
    await asyncio.sleep(FORGOTTEN + 1)
    await come_and_go(room)
    after = memory(servers)
    yield {"name": "memory_after", "unit": "MB", **after, "by_before": round(after["web"] / before["web"], 3)}


async def knee(room: Classroom, servers: list[psutil.Process], options: argparse.Namespace) -> AsyncIterator[dict]:
    """More and more sessions, until the 95th percentile passes KNEE; the last number of them that stayed below it."""
    await come_and_go(room)
    these, count, held = Class(room, servers, options.steps), options.sessions, 0
    while True:
        await these.join(count)
        stage = await these.measure("stage", options.seconds)
        yield stage
        if stage["p95"] is None or stage["p95"] > KNEE:
            break
        held, count = count, max(round(count * GROWTH), count + 1)
    await these.leave()
    yield {"name": "knee", "unit": "sessions", "median": held, "passed_at": count}


async def soak(room: Classroom, servers: list[psutil.Process], options: argparse.Namespace) -> AsyncIterator[dict]:
    """Sessions that change pages and upload pictures as well: does any process grow?"""
    await come_and_go(room)
    for number in range(len(room.urls)):  # what is loaded once is no growth
        await Guide(room, number).look_everywhere()
    these = Class(room, servers, options.steps, Wanderer)
    await these.join(options.sessions)
    found, seen = {"start": memory(servers)}, []

    async def look() -> None:
        while True:
            seen.append(memory(servers))
            await asyncio.sleep(SETTLED)

    looking = asyncio.create_task(look())
    for part in "middle", "end":
        yield await these.measure(f"soak_to_the_{part}", options.seconds / 2)
        found[part] = memory(servers)
    looking.cancel()
    await these.leave()
    for name in {name: None for one in seen for name in one}:
        each = {part: one.get(name) for part, one in found.items()}  # a learner is only there while it is asked
        growth = round(each["end"] / each["middle"], 3) if each["end"] and each["middle"] else None
        tenths = [[one[name] for one in part if name in one] for part in np.array_split(seen, 10)]
        yield {"name": f"soak_memory_{name}", "unit": "MB", **each, "by_middle": growth,
               "tenths": [round(float(np.median(part)), 1) if part else None for part in tenths]}  # fmt: skip


async def watch(room: Classroom, servers: list[psutil.Process], options: argparse.Namespace) -> AsyncIterator[dict]:
    """All look on while a network learns: milliseconds from what the trainer says of a batch to the curve with it."""
    await come_and_go(room)
    teacher = Teacher(room, -1)
    await teacher.train()
    runs.all_runs()[0].publish(True)  # for others to see
    these = Class(room, servers, 0, Watcher)
    await these.join(options.sessions)
    began, clocks = time.time(), these.clocks()
    await asyncio.sleep(options.seconds)
    spent = {part: busy - clocks[part] for part, busy in these.clocks().items()}
    await asyncio.sleep(PATIENCE / 3)  # for what was said last
    batches, per_epoch = teacher.heard("batch"), teacher.heard("started")[0]["batches"]
    said = [(one["time"], one["epoch"] - 1 + one["batch"] / per_epoch) for one in batches
            if began < one["time"] < began + options.seconds]  # fmt: skip
    behind = []
    for watcher in these.sessions:
        for at, point in said:
            shown = next((when for when, last in watcher.seen if when >= at and last >= point - 1e-9), None)
            behind.append(1000 * (shown - at if shown else PATIENCE))
    looks = sum(began < when < began + options.seconds for watcher in these.sessions for when, _ in watcher.seen) / 2
    median, p95 = percentiles(behind)
    yield {"name": "curve_behind", "unit": "ms", "median": median, "p95": p95, "runs": len(behind),
           "sessions": these.inside(), "said_every": round(1000 * float(np.median(np.diff([at for at, _ in said])))),
           "looks": round(looks), "web_cpu_ms_a_look": round(1000 * spent["web"] / looks, 2),
           "web_cores": round(spent["web"] / spent["at"], 2)}  # fmt: skip
    await these.leave()
    await teacher.leave()


MODES = {"knee": knee, "lesson": lesson, "soak": soak, "watch": watch}


async def hold(mode: Callable, room: Classroom, servers: list[psutil.Process], options: argparse.Namespace) -> None:
    async def lines() -> AsyncIterator[dict]:
        async for said in mode(room, servers, options):
            yield said
        # In all: also what went wrong while sessions came in, left, or nothing was measured.
        yield {"name": "wrong", "errors": len(room.errors), "lost": room.lost,
               "first_errors": list(dict.fromkeys(room.errors))[:3]}  # fmt: skip
        yield machine()

    async for said in lines():
        print(
            json.dumps(
                {"seconds": options.seconds, "servers": options.servers, **said, "load": round(os.getloadavg()[0], 2)}
            ),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, help="how many (30; with --soak 10); with --knee: to begin with")
    parser.add_argument(
        "--seconds", type=float, help="how long each number of them is measured (300; with --soak 1800)"
    )
    parser.add_argument("--steps", type=int, default=0, metavar="N", help="N of them take steps of learning meanwhile")
    parser.add_argument("--training", action="store_true", help="one more visitor trains a network meanwhile")
    parser.add_argument("--servers", type=int, default=1, help="servers that the sessions share between them (1)")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--knee", action="store_true", help=f"ever more sessions, until the answers take {KNEE} ms")
    modes.add_argument("--watch", action="store_true", help="sessions that watch a network learn")
    modes.add_argument("--soak", action="store_true", help="sessions that also change pages and upload pictures")
    options = parser.parse_args()
    mode = next((mode for mode in ("knee", "soak", "watch") if getattr(options, mode)), "lesson")
    options.sessions = options.sessions or (10 if options.soak else 30)
    options.seconds = options.seconds or (1800 if options.soak else 300)
    room = Classroom([], *drawings())
    from run import OURS, serving

    with ExitStack() as stack:
        servers = []
        for _ in range(options.servers):
            url, server = stack.enter_context(serving(OURS, "--server.disconnectedSessionTTL", str(FORGOTTEN)))
            room.urls.append(url)
            servers.append(server)
        asyncio.run(hold(MODES[mode], room, servers, options))


if __name__ == "__main__":
    main()
