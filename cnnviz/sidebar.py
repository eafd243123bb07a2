"""The sidebar of every page: which network is looked at, and training another one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz import access, data
from cnnviz.components.visitor import keep_visitor
from cnnviz.nets.blocks import POOLINGS, Block, Hidden
from cnnviz.nets.describe import FUNCTIONS, table
from cnnviz.nets.presets import PRESETS
from cnnviz.run_view import LOOK, clock, plain, progress_line, stop_button
from cnnviz.training import runs, sweeps
from cnnviz.training.config import (
    ACTIVATIONS,
    AUGMENTATIONS,
    INITIALIZERS,
    LIMITS,
    OPTIMIZERS,
    PADDINGS,
    PRECISIONS,
    SCHEDULES,
    ConfigError,
    TrainingConfig,
    fitting,
)
from cnnviz.training.recipes import PUBLISHED, RECIPES
from cnnviz.workers import TRAINERS

OWN = "blocks of your own"
OURS = ("quick-mnist", "small-fashion", "small-cifar", "small-digits")
"""The presets that the form begins with, one for each data set: the quickest that read it well."""
RATES = [float(f"{digit}e{power}") for power in range(-5, 0) for digit in range(1, 10)] + [1.0, 3.0, 10.0]
BATCHES = [8, 16, 32, 64, 100, 128, 256, 512, 1024, 2048, 4096]
SHARES = [float(share) for share in range(1, 101)]
DECAYS = [0.0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1]
STARTING = threading.Lock()
"""Held from the look whether something goes on until the next thing does."""
ONE = "One run at a time: stop yours first, or wait for its end."
KEEP = {"persist_state": "session"}

state = st.session_state


def choose_model() -> None:
    """The network whose numbers the pages show: a preset or a run, and which epoch of it."""
    with_weights = {f"run-{run.id}": run for run in access.visible_runs() if run.has_weights}
    options = [*PRESETS, *with_weights]
    if wanted := state.pop("wanted", None):  # another page asks for a run, and perhaps for one of its epochs
        state.model = wanted[0] if wanted[0] in options else options[0]
        state.pop("epoch", None)
        if wanted[1] is not None:
            state.epoch = wanted[1]
    if state.get("model", options[0]) not in options:  # a run that was deleted
        state.model = options[0]
    # By hand, because a bound select box would put a run's title into the address, which may change.
    asked = st.query_params.get("model")
    if asked and asked not in options:
        state.no_model = asked
    if asked in options and asked != state.get("model_shown"):
        state.model = asked
    name = state.model_shown = st.selectbox(
        "Network", options, key="model",
        format_func=lambda name: f"{with_weights[name].title} ({name[-4:]})" if name in with_weights else name,
    )  # fmt: skip
    if name == options[0]:
        st.query_params.pop("model", None)
    elif asked != name:
        st.query_params["model"] = name
    if name in PRESETS:
        network = PRESETS[name]
        state.pop("epoch", None)
    else:
        network = with_weights[name].network
        choose_epoch(with_weights[name])
    st.markdown(f"**{plain(network.title)}.** {network.about}")
    st.caption(f"{sum(network.parameters()):,} trained parameters.")


def choose_epoch(run: runs.Run) -> None:
    """The time machine: after which epoch every page shows the network."""
    kept = run.epochs()
    if len(kept) < 2:
        return
    try:
        best = runs.story(run).best.get("epoch", kept[-1])
    except runs.RunError:  # deleted this moment
        return
    given = best if best in kept else kept[-1]
    if state.get("epoch") not in kept:
        state.pop("epoch", None)
    elif state.epoch == state.get("epoch_given"):  # nobody has moved it: it follows what the run has come to
        state.epoch = given
    state.epoch_given = given
    with st.container(key="time-machine"):
        st.select_slider(
            "Time machine: after epoch", kept, value=given, key="epoch",
            bind="query-params", help="Every page shows the network as it was then; 0 is before training",
        )  # fmt: skip


def own_run() -> runs.Run | None:
    """The visitor's run that waits or goes on now, if any."""
    own = access.me().id
    for run in runs.all_runs():
        with contextlib.suppress(runs.RunError):  # deleted this moment
            if run.owner == own and runs.story(run).state in ("waiting", "running"):
                return run
    return None


def own_sweep() -> sweeps.Sweep | None:
    """The visitor's sweep that goes on now, if any."""
    return next((sweep for sweep in sweeps.all_sweeps(access.me().id) if runs.is_alive(sweep.folder)), None)


def busy() -> bool:
    """Whether a run or a sweep of the visitor's waits or goes on now."""
    return bool(own_sweep() or own_run())


@contextlib.contextmanager
def one_at_a_time(count: int = 1) -> Iterator[None]:
    """Where something of the visitor's is about to begin, with so many new runs.

    Raises:
        RunError: another one goes on, from another tab perhaps; or a bound of the server is met.
    """
    with STARTING:
        if busy():
            raise runs.RunError(ONE)
        access.check_bounds(count)
        yield


def start(config: TrainingConfig, title: str) -> None:
    """Queue a run of the visitor's, and show it. Raises RunError: as `one_at_a_time`, or it can't be kept."""
    with one_at_a_time():
        run = runs.create(config, title, access.me().id)
        TRAINERS.submit(run)
    state.started = run.id


def go_on(run: runs.Run, finish: bool = False) -> None:
    """Queue a run once more, to learn on or to be tested as it is. One that nobody owns, from the command line, becomes
    the visitor's.

    Raises:
        RunError: as `one_at_a_time`; it is another's; or it can't be written.
    """
    with one_at_a_time(0):
        TRAINERS.submit(runs.ask_again(access.find(run.id), access.me().id, finish))


def fill(config: TrainingConfig) -> None:
    """Put settings into the form."""
    values = asdict(config)
    for name in ("dataset", "optimizer", "learning_rate", "schedule", "batch_size", "epochs", "steps", "weight_decay",
                 "augmentation", "initializer", "seed", "precision"):  # fmt: skip
        state[f"t_{name}"] = values[name]
    state.t_device = config.device if config.device in devices() else "auto"  # it may be another computer's
    state.t_share = round(100 * config.share, 6)
    state.t_preset = config.preset or OWN
    if not config.preset:
        state.t_blocks, state.t_hidden = len(config.blocks), len(config.hidden)
    for number, block in enumerate(config.blocks, 1):
        for name, value in asdict(block).items():
            state[f"t_{number}_{name}"] = value
    for number, one in enumerate(config.hidden, 1):
        for name, value in asdict(one).items():
            state[f"t_h{number}_{name}"] = value


def open_form(config: TrainingConfig) -> None:
    """Open the form with a run's settings."""
    fill(config)
    state.retrain = True


def devices() -> dict[str, str]:
    """What there is to train on, by its name in the settings."""
    # Streamlit knows a choice by its words: of two with the same it would always take the last.
    there = {f"gpu:{number}": f"{name} (gpu:{number})" for number, name in enumerate(TRAINERS.where.gpus())}
    return {"auto": "automatic", "cpu": "CPU", **there}


def take_recipe() -> None:
    """A preset was chosen: take the settings of its recipe, as far as they suit the data."""
    if recipe := RECIPES.get(state.t_preset):
        suits = recipe.dataset == state.t_dataset
        fill(recipe if suits else replace(recipe, dataset=state.t_dataset, augmentation="none"))


def take_dataset() -> None:
    """A data set was chosen: take ours for it, with its recipe."""
    if state.t_dataset in data.DATASETS:
        fill(RECIPES[next(name for name in OURS if PRESETS[name].dataset == state.t_dataset)])


def choice(label: str, name: str, options, **more):
    """A select box of the form; `options` may be a mapping from values to words."""
    words = options.get if isinstance(options, dict) else str
    return st.selectbox(label, list(options), format_func=words, key=f"t_{name}", **KEEP, **more)


def number(label: str, name: str, limit: str, value, step=1, **more):
    """A number of the form, within its limits; `value` is what it begins with."""
    least, most = (type(value)(bound) for bound in LIMITS[limit])
    state.setdefault(f"t_{name}", value)
    return st.number_input(label, least, most, step=step, key=f"t_{name}", **KEEP, **more)


def steps_of(label: str, name: str, choices: list[float]) -> float:
    """A slider over the choices, and over the value that a run's settings brought along."""
    values = sorted({*choices, state[f"t_{name}"]})
    return st.select_slider(label, values, format_func="{:g}".format, key=f"t_{name}", **KEEP)


def own_network() -> tuple[tuple[Block, ...], tuple[Hidden, ...]]:
    """Blocks and dense layers of one's own."""
    functions = {name: FUNCTIONS[name] or "none" for name in ACTIVATIONS}
    blocks, hidden = [], []
    count = number("Convolution blocks", "blocks", "blocks", 2)
    for i in range(1, count + 1):
        for name, value in (("padding", "same"), ("activation", "relu"), ("pool", "max")):
            state.setdefault(f"t_{i}_{name}", value)
        with st.popover(f"Block {i}", width="stretch"):
            blocks.append(Block(
                number("Filters", f"{i}_filters", "filters", 8 * 2**i),
                number("Kernel size", f"{i}_kernel", "kernel", 3),
                number("Stride", f"{i}_stride", "stride", 1),
                choice("Padding", f"{i}_padding", PADDINGS),
                choice("Activation", f"{i}_activation", functions),
                choice("Pooling, 2×2", f"{i}_pool", POOLINGS),
                number("Dropout", f"{i}_dropout", "dropout", 0.0, 0.05),
            ))  # fmt: skip
    count = number("Dense layers before the logits", "hidden", "hidden", 1)
    for i in range(1, count + 1):
        state.setdefault(f"t_h{i}_activation", "relu")
        with st.popover(f"Dense layer {i}", width="stretch"):
            hidden.append(Hidden(
                number("Units", f"h{i}_units", "units", 64),
                choice("Activation", f"h{i}_activation", functions),
                number("Dropout", f"h{i}_dropout", "dropout", 0.0, 0.05),
            ))  # fmt: skip
    return tuple(blocks), tuple(hidden)


def asked() -> tuple[TrainingConfig, DeltaGenerator]:
    """The form: what it says, and the place where the layers go."""
    dataset = choice("Data", "dataset", {name: row.title for name, row in data.DATASETS.items()},
                     on_change=take_dataset)  # fmt: skip
    if not data.is_here(dataset):
        st.caption(f"Downloaded first: {data.find(dataset).bytes / 1e6:.0f} MB.")
    preset = choice("Network to train", "preset", [*fitting(dataset), OWN], on_change=take_recipe,
                    help="A preset brings the settings of its recipe along")  # fmt: skip
    recipe = st.empty()
    blocks, hidden = own_network() if preset == OWN else ((), ())
    layers = st.container(key="train-layers")
    share = steps_of("Share of the training images, %", "share", SHARES)
    epochs = number("Epochs", "epochs", "epochs", 5)
    optimizer = choice("Optimizer", "optimizer", OPTIMIZERS)
    rate = steps_of("Learning rate", "learning_rate", RATES)
    schedule = choice("Schedule", "schedule", SCHEDULES, help="Cosine: down to 0. One cycle: up, then down to 0")
    batch = steps_of("Batch size", "batch_size", BATCHES)
    with st.popover("More settings", icon=":material/tune:", width="stretch"):
        augmentation = choice("Augmentation", "augmentation", AUGMENTATIONS)
        decay = steps_of("Weight decay", "weight_decay", DECAYS)
        initializer = choice("First weights", "initializer", INITIALIZERS)
        seed = number("Seed", "seed", "seed", 1)
        steps = number("Batches an epoch (0: all)", "steps", "steps", 0)
        device = choice("Device", "device", devices())
        precision = choice("Precision", "precision", PRECISIONS, disabled=not TRAINERS.where.gpus(),
                           help="Mixed precision gains on a GPU only")  # fmt: skip
    config = TrainingConfig(
        dataset, share / 100, "" if preset == OWN else preset, blocks, hidden, optimizer, rate, schedule, batch, epochs,
        steps, decay, augmentation, initializer, seed, precision, device,
    )  # fmt: skip
    if preset in PUBLISHED and PRESETS[preset].dataset == dataset:
        said = "Its recipe" if config == RECIPES[preset] else "Not its recipe any more"
        recipe.caption(f"{said}; published test accuracy {PUBLISHED[preset] * 100:g} %.")
    return config, layers


@st.fragment
def form() -> None:
    """Settings, the network that they make, and the button that starts."""
    # Not there yet, or what no browser sends: the select boxes look at it only when they are drawn.
    if state.get("t_dataset") not in data.DATASETS or state.t_preset not in [*fitting(state.t_dataset), OWN]:
        fill(state.form_says)
    config, layers = asked()
    if state.form_says != config:
        state.form_says = config
        if state.get("follow_form"):
            st.rerun()
    wrong = ""
    try:
        config.check()
        rows = table(config.network())
        lines = "\n".join(f"| {row['Layer']} | {row['Output']} | {row['Parameters']:,} |" for row in rows)
        with layers:
            st.markdown(f"| layer | output | parameters |\n| --- | --- | ---: |\n{lines}")
            st.caption(f"{sum(config.network().parameters()):,} parameters in all.")
    except ConfigError as error:
        wrong = str(error)
        layers.error(wrong, icon=":material/error:")
    title = st.text_input("Name of the run", key="t_title", max_chars=runs.MAX_TITLE, placeholder="optional", **KEEP)
    waits = busy()
    if st.button("Start training", type="primary", icon=":material/play_arrow:", width="stretch",
                 disabled=bool(wrong or waits), key="t_start"):  # fmt: skip
        try:
            start(config, title)
        except (runs.RunError, ConfigError) as error:
            st.error(str(error), icon=":material/error:")
            return
        st.rerun()
    if waits:
        st.caption(ONE)


@st.fragment(run_every=LOOK)
def own_progress(name: str) -> None:
    """The visitor's run while it goes on; when it ends, the page is built anew, with it among the networks."""
    try:
        run = access.find(name)
        told = runs.story(run)
    except runs.RunError:
        st.rerun()
    if told.state not in ("waiting", "running"):
        st.rerun()
    st.markdown(f"**{plain(run.title)}**")
    st.progress(told.done, progress_line(run, told))
    if told.epochs:
        st.caption(f"Validation accuracy {told.epochs[-1]['val_accuracy']:.2%}, best {told.best['val_accuracy']:.2%}.")
    with st.container(horizontal=True):
        stop_button(run, told, "stop-own")
        if st.button("Watch", icon=":material/monitoring:", key="watch-own"):
            st.switch_page("pages/training.py", query_params={"run": run.id})


def sweep_line(now: sweeps.Standing) -> str:
    """Where a sweep is, in a few words."""
    there = len(now.contenders) - len(now.needed)
    parts = [f"{there} of {len(now.contenders)} runs have learned for {now.rungs[now.rung]} epochs"]
    if now.state == "running" and (seconds := now.seconds_left(TRAINERS.where.size)) is not None:
        parts.append(f"about {clock(seconds)} left")
    return " · ".join(parts)


@st.fragment(run_every=LOOK)
def sweep_progress(name: str) -> None:
    """The visitor's sweep while it goes on."""
    sweep = own_sweep()
    if not sweep or sweep.id != name:
        st.rerun()
    now = sweeps.standing(sweep)
    st.markdown(f"**{plain(sweep.title)}**")
    st.progress(now.done, sweep_line(now))
    if st.button("Open the sweep", icon=":material/tune:", key="open-sweep"):
        st.switch_page("pages/sweeps.py", query_params={"sweep": sweep.id})


def sign_in() -> None:
    """Who is signed in, where the server has a provider for it."""
    who = access.me()
    if not st.user.is_logged_in:
        st.button("Sign in", icon=":material/login:", key="sign-in", on_click=st.login)
        return
    with st.container(horizontal=True, vertical_alignment="center", key="signed-in"):
        st.markdown(f"**{plain(who.name)}**{', teacher' if who.teacher else ''}")
        st.button("Sign out", icon=":material/logout:", key="sign-out", on_click=st.logout)


def sidebar() -> None:
    """All of it."""
    keep_visitor()
    if access.can_sign_in():
        sign_in()
    choose_model()
    state.setdefault("form_says", RECIPES[OURS[0]])
    state.follow_form = False
    if sweep := own_sweep():
        with st.container(key="own-progress", border=True):
            sweep_progress(sweep.id)
    elif run := own_run():
        with st.container(key="own-progress", border=True):
            own_progress(run.id)
    if started := state.pop("started", None):
        st.switch_page("pages/training.py", query_params={"run": started})
    with st.container(key="train-form"):
        box = st.expander("Retrain", icon=":material/model_training:", key="retrain", on_change="rerun")
        if box.open:
            with box:
                form()
