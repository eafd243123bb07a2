"""Every figure that the README gives, measured: `make bench`, or `python benchmarks/run.py [NAME...]`.

Prints one JSON object a line: name, unit, median, 95th percentile and number of runs. Nothing is asserted. What a
visitor waits for is measured inside a real headless Chromium (stamps.js): from the pointerup event to the animation
frame after the last change.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import psutil
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "browser")]

from conftest import free_port, healthy, kill_tree  # noqa: E402
from find_browser import ARGUMENTS, MISSING, find_browser  # noqa: E402

from cnnviz import settings  # noqa: E402
from cnnviz.inputs import normalise, parse_strokes, rasterise  # noqa: E402
from cnnviz.inputs.samples import samples  # noqa: E402
from cnnviz.nets.presets import PRESETS  # noqa: E402
from cnnviz.nets.weights import load_weights, shipped  # noqa: E402

MODEL = "lenet5"
COLD_RUNS, SESSIONS, STROKES, BLOCK = 10, 20, 20, 10
QUIET_MS = 300
PATIENCE_MS = 120_000
ANGLES = np.linspace(-1.5, -7.8, 40)
DRAWINGS = [
    [(0.5, y) for y in np.linspace(0.2, 0.8, 20)],
    [(0.5 + 0.2 * np.cos(angle), 0.5 + 0.3 * np.sin(angle)) for angle in ANGLES],
]
"""A 1 and a 0, each one stroke of (x, y) in 0..1 over the canvas, drawn in turns on an empty canvas."""

BENCHMARKS: dict[str, Callable[[int], Iterator[dict]]] = {}


def measures(*names: str):
    """Register a benchmark: a function of the number of runs that yields one line for each of these names."""

    def register(benchmark):
        BENCHMARKS.update(dict.fromkeys(names, benchmark))
        return benchmark

    return register


def summary(name: str, unit: str, values: Iterable[float], **more) -> dict:
    """The line for some measurements of one thing."""
    values = np.array(list(values), float)
    middle, high = np.percentile(values, [50, 95]).round(2).tolist()
    return {"name": name, "unit": unit, "median": middle, "p95": high, "runs": len(values), **more}


def ratio(name: str, above: dict, below: dict) -> dict:
    """The line that says how many times the median of `below` goes into that of `above`."""
    value = round(above["median"] / below["median"], 2)
    return {"name": name, "unit": "x", "median": value, "p95": None, "runs": below["runs"]}


# Servers and pages


@dataclass(frozen=True)
class App:
    """How an app is started, and where its page has what we draw on, read and watch."""

    script: Path
    folder: Path
    canvas: str
    clear: str
    answer: str
    pattern: str
    maps: str


OURS = App(
    ROOT / "app.py",
    folder=ROOT,
    canvas=".st-key-sketchpad canvas",
    clear='.st-key-sketchpad [data-action="clear"]',
    answer=".st-key-prediction",
    pattern=r"^\d",
    maps=".st-key-network",
)
NAIVE = App(
    ROOT / "benchmarks" / "naive_app.py",
    folder=Path(tempfile.gettempdir()),  # where no configuration is: Streamlit's own defaults
    canvas="canvas.upper-canvas",
    clear='button[aria-label^="Reset canvas"]',
    answer='[data-testid="stHeading"]:has(h2)',
    pattern=r"\d",
    maps='[data-testid="stImage"]',
)


@contextmanager
def serving(app: App, *options: str) -> Iterator[tuple[str, psutil.Process]]:
    """A freshly started server that listens already and has not been asked yet: its address and its web process."""
    port = free_port()
    url = f"http://localhost:{port}"
    command = [sys.executable, "-m", "streamlit", "run", str(app.script), "--server.port", str(port)]
    command += ["--server.headless", "true", "--browser.gatherUsageStats", "false", *options]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=app.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            deadline = time.monotonic() + 60
            while not healthy(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    sys.exit(f"{app.script.name} did not start:\n{said.read()}")
                time.sleep(0.05)
            yield url, psutil.Process(process.pid)
        finally:
            kill_tree(process.pid)
            process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    path = find_browser()
    if not path:
        sys.exit(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def visitor(browser: Browser) -> BrowserContext:
    """A visitor with an empty cache, on a laptop's screen."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(path=ROOT / "benchmarks" / "stamps.js")
    return context


def opened(context: BrowserContext, app: App, url: str) -> Page:
    """A page of its own, with something to draw on."""
    page = context.new_page()
    page.goto(url)
    page.locator(app.canvas).wait_for()
    return page


def painted(page: Page, app: App, act: Callable[[], None], pattern: str = "") -> dict[str, float]:
    """Do something that changes the answer; milliseconds from pointerup until answer and maps are painted."""
    wanted = {"answer": app.answer, "pattern": pattern, "maps": app.maps}
    page.evaluate("wanted => bench.wait(wanted)", wanted)
    act()
    return page.wait_for_function("quiet => bench.times(quiet)", arg=QUIET_MS, polling=50).json_value()


def stroke(page: Page, app: App, points: list[tuple[float, float]]) -> dict[str, float]:
    """Draw one stroke with the mouse; as `painted`."""
    box = page.locator(app.canvas).bounding_box()

    def draw() -> None:
        for at, (x, y) in enumerate(points):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            if at == 0:
                page.mouse.down()
        page.mouse.up()

    return painted(page, app, draw, app.pattern)


def clear(page: Page, app: App) -> None:
    """Empty the canvas, and wait until everything shows it."""
    page.locator(app.canvas).hover()  # a toolbar may be shown only under the pointer
    painted(page, app, page.locator(app.clear).click)


def strokes(page: Page, app: App, count: int) -> list[dict[str, float]]:
    """Draw the two drawings in turns, each on an empty canvas."""
    times = []
    for number in range(count):
        times.append(stroke(page, app, DRAWINGS[number % 2]))
        clear(page, app)
    return times


# Benchmarks


@measures(
    "pen_up_to_answer",
    "pen_up_to_maps",
    "naive_pen_up_to_answer",
    "naive_pen_up_to_maps",
    "answer_speedup",
    "maps_speedup",
)
def pen_up(runs: int) -> Iterator[dict]:
    """From pen-up to the new answer and to all maps painted: this app and the naive one, in turns of ten strokes."""
    times: dict[App, list] = {OURS: [], NAIVE: []}
    with serving(OURS) as (our_url, _), serving(NAIVE) as (naive_url, _), chromium() as browser:
        pages = {app: opened(visitor(browser), app, url) for app, url in ((OURS, our_url), (NAIVE, naive_url))}
        for app, page in pages.items():
            strokes(page, app, 4)  # TensorFlow has started, everything is compiled
        while len(times[NAIVE]) < runs:
            for app, page in pages.items():
                page.bring_to_front()
                times[app] += strokes(page, app, min(BLOCK, runs - len(times[app])))
    for part in "answer", "maps":
        ours = summary(f"pen_up_to_{part}", "ms", (time[part] for time in times[OURS]))
        naive = summary(f"naive_pen_up_to_{part}", "ms", (time[part] for time in times[NAIVE]))
        yield from (ours, naive, ratio(f"{part}_speedup", naive, ours))


@measures("pen_up_alone", "pen_up_while_training", "training_slows_answer")
def pen_up_while_training(runs: int) -> Iterator[dict]:
    """From pen-up to the new answer without a run and with one going, which lets others go first, as the app's do."""
    train = [sys.executable, "-m", "cnnviz", "train", "--preset", "lenet5", "--epochs", "100", "--augmentation", "none"]
    with tempfile.TemporaryDirectory() as folder, serving(OURS) as (url, _), chromium() as browser:
        page = opened(visitor(browser), OURS, url)
        strokes(page, OURS, 4)
        alone = summary("pen_up_alone", "ms", (time["answer"] for time in strokes(page, OURS, runs)))
        run = subprocess.Popen(train, cwd=ROOT, env=os.environ | {"CNNVIZ_RUNS": folder}, stderr=subprocess.DEVNULL,
                               preexec_fn=lambda: os.nice(settings.NICE.value))  # fmt: skip
        try:
            while not any('"batch"' in events.read_text() for events in Path(folder).glob("*/events.jsonl")):
                time.sleep(0.1)
            beside = summary("pen_up_while_training", "ms", (time["answer"] for time in strokes(page, OURS, runs)))
            assert run.poll() is None, "the run was over too soon"
        finally:
            run.kill()
            run.wait()
    yield from (alone, beside, ratio("training_slows_answer", beside, alone))


@measures("first_paint_cold", "first_answer_cold")
def cold(runs: int) -> Iterator[dict]:
    """A new server's first visitor, whose cache is empty: navigation to sketchpad, first pen-up to its answer."""
    paints, answers, since = [], [], []
    with chromium() as browser:
        for _ in range(min(runs, COLD_RUNS)):
            with serving(OURS) as (url, _):
                context = visitor(browser)
                page = opened(context, OURS, url)
                paints.append(page.wait_for_function("bench.sketchpad()").json_value())
                times = stroke(page, OURS, DRAWINGS[0])
                answers.append(times["answer"])
                since.append(times["at"])
                context.close()
    yield summary("first_paint_cold", "ms", paints)
    yield summary("first_answer_cold", "ms", answers, median_since_navigation=round(float(np.median(since)), 2))


WALKED = {"lenet5": "conv2", "tf-tutorial": "conv2"}
"""Presets whose stepper is measured, and the layer that is played: 6 maps of 5x5 windows, 32 maps with 64 filters."""
WALKS = ["play_frame", "play_messages", "layer_ready"]


@measures(*(f"{what}_{model}" for model in WALKED for what in WALKS))
def stepper(runs: int) -> Iterator[dict]:
    """Step through: milliseconds a frame while playing, messages sent meanwhile, a layer's chip to its stage."""
    with serving(OURS) as (url, _), chromium() as browser:
        for model, layer in WALKED.items():
            page, sent = walking(browser, f"{url}/step?model={model}&sample=two&layer={layer}&cell=0,0")
            sent.clear()
            frames = page.evaluate("frames => stepping.play(frames)", 20 * runs)
            messages = len(sent)
            yield summary(f"play_frame_{model}", "ms", frames)
            yield summary(f"play_messages_{model}", "", [messages])
            yield summary(f"layer_ready_{model}", "ms", page.evaluate("n => stepping.layers(n)", max(runs // 5, 1)))


LABS = {
    "lab_update_grid": "input=" + ";".join([",".join("123456789123")] * 12) + "&padding=same",
    "lab_update_picture": "input=upload&padding=same",
}


@measures(*LABS, *(f"{name}_idle" for name in LABS))
def labs(runs: int) -> Iterator[dict]:
    """Convolution lab, 7x7 kernel: a slider's event to the painted output, 12x12 numbers and a 128x128 RGB picture;
    idle: the same without a change, which is the wait for the next frame."""
    kernel = ";".join([",".join(["0.1"] * 7)] * 7)
    with serving(OURS) as (url, _), chromium() as browser:
        for name, link in LABS.items():
            page, _ = walking(browser, f"{url}/convolution?{link}&kernel={kernel}")
            if "upload" in link:
                noise = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)
                picture = cv2.imencode(".png", noise)[1].tobytes()
                upload = page.locator("[data-testid=stFileUploader] input[type=file]")
                upload.set_input_files({"name": "noise.png", "mimeType": "image/png", "buffer": picture})
                page.get_by_text("3 maps of 128×128").wait_for()
            times = page.evaluate("n => stepping.slide(n)", runs)
            yield summary(name, "ms", times["changed"])
            yield summary(f"{name}_idle", "ms", times["idle"])


def walking(browser: Browser, link: str) -> tuple[Page, list]:
    """A page with a stepper that shows a cell and has come to rest, and the list of what it sends from then on."""
    page = visitor(browser).new_page()
    sent: list = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.goto(link)
    page.locator("[data-role=formula] math").first.wait_for(state="attached")
    page.wait_for_timeout(2000)
    page.add_script_tag(path=ROOT / "benchmarks" / "stepping.js")
    return page, sent


@measures("web_process_memory", "session_memory")
def memory(runs: int) -> Iterator[dict]:
    """The web process after 20 strokes, and what each of 20 further sessions with a stroke adds to it."""
    with serving(OURS) as (url, server), chromium() as browser:
        context = visitor(browser)
        strokes(opened(context, OURS, url), OURS, STROKES)
        resident = [server.memory_info().rss]
        shared_out = getattr(server.memory_full_info(), "pss", None)  # Linux only
        for number in range(SESSIONS):
            stroke(opened(context, OURS, url), OURS, DRAWINGS[number % 2])
            resident.append(server.memory_info().rss)
    megabytes = np.array(resident) / 2**20
    yield summary("web_process_memory", "MB", megabytes[:1], pss=shared_out and round(shared_out / 2**20, 2))
    mean = round(float(megabytes[-1] - megabytes[0]) / SESSIONS, 2)
    yield summary("session_memory", "MB", np.diff(megabytes), mean=mean)


@measures("tracer", "bare_tensorflow", "tracer_ratio")
def tracer(runs: int) -> Iterator[dict]:
    """One image's pass that keeps every number, in process, against plain compiled TensorFlow with the same outputs."""
    from cnnviz.nets.quiet import import_keras

    import_keras()
    from cnnviz.trace.tracer import trace, warm_up

    warm_up()
    image = network_input()[None]
    every_tensor = bare()
    # The same numbers, or there is nothing to compare.
    expected = np.concatenate([array.numpy().ravel() for array in every_tensor(image)])
    np.testing.assert_allclose(trace(shipped(PRESETS[MODEL]), image)[0], expected, rtol=1e-5, atol=1e-5)
    candidates = {
        "tracer": lambda: trace(shipped(PRESETS[MODEL]), image),
        "bare_tensorflow": lambda: [array.numpy() for array in every_tensor(image)],
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(20 * runs):  # in turns, so that both meet the same machine
        for name, call in candidates.items():
            began = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - began))
    ours, plain = (summary(name, "ms", values) for name, values in times.items())
    yield from (ours, plain, ratio("tracer_ratio", ours, plain))


@measures("tracer_round_trip")
def round_trip(runs: int) -> Iterator[dict]:
    """The same pass asked of the worker process, as the page asks it."""
    from cnnviz.workers import TRACER

    image = network_input()
    TRACER.trace(shipped(PRESETS[MODEL]), image)
    times = []
    for _ in range(20 * runs):
        began = time.perf_counter()
        TRACER.trace(shipped(PRESETS[MODEL]), image)
        times.append(1000 * (time.perf_counter() - began))
    yield summary("tracer_round_trip", "ms", times)
    TRACER.start().shutdown(kill_workers=True)


def network_input() -> np.ndarray:
    """A sample as the network is given it: float32 (28, 28, 1)."""
    return normalise(rasterise(parse_strokes(samples()["two"].strokes))).pixels


@cache
def bare() -> Callable:
    """The preset `lenet5` in plain `tf.nn`, compiled once: every pre-activation and output, each a tensor of its own.

    That is the least work that gives these numbers. The caller turns each into an array, because the tracer's caller
    gets arrays, too; on a CPU that copies nothing.
    """
    import tensorflow as tf

    weights = {name: [tf.constant(array) for array in pair] for name, pair in load_weights(PRESETS[MODEL]).items()}

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32)])
    def every_tensor(images):
        kept, given = [], images
        for name, padding in ("conv1", "SAME"), ("conv2", "VALID"):
            kernel, bias = weights[name]
            sums = tf.nn.conv2d(given, kernel, 1, padding) + bias
            rectified = tf.nn.relu(sums)
            given = tf.nn.max_pool2d(rectified, 2, 2, "VALID")
            kept += [sums, rectified, given]
        given = tf.reshape(given, (-1, 400))
        kept.append(given)
        for name in "dense1", "dense2":
            kernel, bias = weights[name]
            sums = given @ kernel + bias
            given = tf.nn.relu(sums)
            kept += [sums, given]
        kernel, bias = weights["logits"]
        logits = given @ kernel + bias
        return [*kept, logits, tf.nn.softmax(logits)]

    return every_tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure; everything if none is given")
    parser.add_argument("--runs", type=int, default=50, help="strokes measured in each app (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="print the names, with what each measures")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(BENCHMARKS)):
        parser.error(f"no such benchmark: {', '.join(unknown)} (--list prints them)")
    names = options.names or list(BENCHMARKS)
    if options.list:
        for name in names:
            print(f"{name}\t{BENCHMARKS[name].__doc__}")
        return
    for benchmark in dict.fromkeys(BENCHMARKS[name] for name in names):
        for line in benchmark(options.runs):
            if line["name"] in names:
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
