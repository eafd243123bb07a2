"""`python -m cnnviz` as a person runs it: in a process of its own, with what it prints and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cnnviz import data
from cnnviz.__main__ import main
from cnnviz.training import runs
from cnnviz.training.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[2]


def cnnviz(*arguments, **environment) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "cnnviz", *map(str, arguments)], cwd=ROOT, text=True, timeout=120,
                          capture_output=True, env=os.environ | environment, check=False)  # fmt: skip


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """MNIST's test part."""
    if not data.is_here("mnist"):
        pytest.fail("This test needs mnist: run `python -m cnnviz datasets mnist`, or `make test`.")
    return data.load("mnist")[1]


def test_a_thousand_files(tmp_path, digits):
    images, labels = digits
    files = []
    for index in range(1000):
        files.append(tmp_path / f"{index}.png")
        cv2.imwrite(str(files[-1]), 255 - cv2.resize(images[index], (140, 140), interpolation=cv2.INTER_CUBIC))
    (tmp_path / "text.png").write_text("no picture")
    files[500:500] = [tmp_path / "text.png", tmp_path, tmp_path / "missing"]
    result = cnnviz("classify", *files)
    assert result.returncode == 1
    errors = result.stderr.splitlines()
    assert [line.split(": ")[0] for line in errors] == [str(file) for file in files[500:503]]
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == [str(file) for file in files[:500] + files[503:]]
    assert all(len(row) == 3 and len(row[2]) == 6 and 0 <= float(row[2]) <= 1 for row in rows)
    assert np.mean([int(row[1]) == label for row, label in zip(rows, labels, strict=False)]) > 0.95


def test_evaluate():
    result = cnnviz("evaluate", "--model", "lenet5", "--dataset", "mnist")
    assert (result.returncode, result.stderr) == (0, "")
    word, value, count = result.stdout.rstrip("\n").split("\t")
    assert (word, count) == ("accuracy", "10000")
    assert float(value) > 0.98


def test_other_ways_and_models(tmp_path, digits, capfd):
    """In this process, because each start of TensorFlow costs some seconds."""
    images, labels = digits
    file = tmp_path / "ein Bild.png"
    cv2.imwrite(str(file), images[0])
    assert main(["classify", "--model", "lenet5-1998", "--as", "raw", str(file)]) == 0
    assert main(["evaluate", "--dataset", "digits"]) == 0
    said = capfd.readouterr()
    first, second = said.out.splitlines()
    assert first.startswith(f"{file}\t{labels[0]}\t")
    assert second.endswith("\t360")
    assert float(second.split("\t")[1]) > 0.85
    assert said.err == ""


@pytest.mark.parametrize(("arguments", "words"), [
    (("evaluate", "--dataset", "cifar10"), "CIFAR-10 does not fit lenet5"),
    (("evaluate", "--dataset", "nist"), "there are mnist, fashion_mnist"),
    (("evaluate", "--model", "vgg"), "there are lenet5, lenet5-1998"),
    (("classify", "--model", "vgg", "x.png"), "there are lenet5, lenet5-1998"),
    (("reproduce", "vgg"), "there are lenet5, lenet5-1998"),
    (("datasets", "nist"), "there are mnist, fashion_mnist"),
    (("explain", "x.png", "--layer", "conv9", "--filter", "0"), "there are conv1, pool1"),
    (("explain", "x.png", "--model", "vgg", "--layer", "conv1", "--filter", "0"), "there are lenet5, lenet5-1998"),
    (("explain", "x.png", "--layer", "conv2", "--filter", "16", "--cell", "0,0"), "choose --filter from 0 to 15"),
    (("explain", "x.png", "--layer", "conv2", "--filter", "-1", "--cell", "0,0"), "choose --filter from 0 to 15"),
    (("explain", "x.png", "--layer", "conv2", "--filter", "0", "--cell", "3,10"), "choose --cell from 0,0 to 9,9"),
    (("explain", "x.png", "--layer", "pool2", "--filter", "0"), "choose --cell from 0,0 to 4,4"),
    (("explain", "x.png", "--layer", "conv2", "--filter", "0", "--cell=-1,2"), "choose --cell from 0,0 to 9,9"),
    (("explain", "x.png", "--layer", "logits", "--filter", "0", "--cell", "1,2"), "leave --cell out"),
])  # fmt: skip
def test_unknown_names(arguments, words):
    result = cnnviz(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("model", "layer", "at", "terms", "results"), [
    ("lenet5", "conv1", ("5", "0,27"), 25, "map bias sum relu"),
    ("lenet5", "conv2", ("4", "3,4"), 150, "map map map map map map bias sum relu"),
    ("tf-tutorial", "pool1", ("31", "12,12"), 4, "max"),
    ("lenet5-1998", "pool2", ("15", "4,0"), 4, "average"),
    ("lenet5-1998", "dense1", ("119",), 400, "bias sum tanh"),
    ("lenet5", "logits", ("9",), 84, "bias sum linear"),
    ("lenet5", "softmax", ("3",), 10, "largest total probability"),
    ("lenet5", "flatten", ("399",), 1, "value"),
])  # fmt: skip
def test_explain_comes_to_tensorflows_number(model, layer, at, terms, results, tmp_path, digits, capfd):
    file = tmp_path / "digit.png"
    cv2.imwrite(str(file), digits[0][0])
    arguments = ["--filter", at[0], *(["--cell", at[1]] if at[1:] else [])]
    assert main(["explain", str(file), "--as", "raw", "--model", model, "--layer", layer, *arguments]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [row[0] for row in rows] == ["term"] * terms + results.split()
    assert float(rows[-1][1]) == pytest.approx(float(rows[-1][2]), rel=1e-4, abs=1e-5)
    if results.endswith(("relu", "tanh", "linear")):
        total = sum(float(row[-1]) for row in rows[:terms]) + float(rows[-3][1])
        assert total == pytest.approx(float(rows[-2][1]), abs=1e-4), "the products and the bias"
        assert float(rows[-2][1]) == pytest.approx(float(rows[-2][2]), rel=1e-4, abs=1e-5)


def test_explain_without_a_picture(capfd):
    assert main(["explain", "missing.png", "--layer", "logits", "--filter", "0"]) == 1
    assert capfd.readouterr() == ("", "missing.png: There is no such file.\n")


def test_datasets(tmp_path):
    result = cnnviz("datasets", CNNVIZ_DATA=str(tmp_path))
    assert result.returncode == 0
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [(row[0], row[2]) for row in rows] == [
        ("mnist", "missing"), ("fashion_mnist", "missing"), ("cifar10", "missing"), ("digits", "here")]  # fmt: skip


def test_datasets_offline(tmp_path):
    nowhere = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}  # nothing listens there
    result = cnnviz("datasets", "fashion_mnist", "digits", CNNVIZ_DATA=str(tmp_path), **nowhere)
    assert result.returncode == 1
    assert result.stderr == (
        "Fashion-MNIST could not be downloaded: this computer is offline or the server does not answer. "
        f"Connect and try again, or put fashion_mnist.npz into {tmp_path}.\n"
    )
    assert "digits\tOptical digits\there" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_train_and_reproduce_end_with_the_accuracy_and_leave_runs_that_the_app_shows(tmp_path, monkeypatch, capfd):
    """In this process, because each start of TensorFlow costs some seconds."""
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(RECIPES["small-digits"].as_json() | {"epochs": 9, "seed": 7}))
    assert main(["train", "--config", str(settings), "--epochs", "2", "--title", "from a file"]) == 0
    run = runs.all_runs()[0]
    end = runs.story(run).end
    assert capfd.readouterr().out.splitlines()[-1] == f"test_accuracy\t{end['test_accuracy']:.4f}"
    assert (run.title, run.config.epochs, run.config.seed, run.published) == ("from a file", 2, 7, True)
    # A preset brings its data set and its recipe along; reproduce goes on after one that fails.
    assert main(["train", "--preset", "small-digits", "--steps", "1", "--epochs", "1", "--title", "short"]) == 0
    (short,) = (run for run in runs.all_runs() if run.title == "short")
    assert short.config == replace(RECIPES["small-digits"], steps=1, epochs=1)
    monkeypatch.setitem(RECIPES, "small-digits", replace(RECIPES["small-digits"], epochs=3))
    monkeypatch.setitem(RECIPES, "fashion", replace(RECIPES["fashion"], device="gpu:9"))
    capfd.readouterr()
    assert main(["reproduce", "fashion", "small-digits"]) == 1
    said = capfd.readouterr()
    assert "fashion: gpu:9 is not here" in said.err
    heading, row = (line.split("\t") for line in said.out.splitlines())
    assert heading == ["preset", "published", "ours", "after the last epoch", "epochs", "seconds"]
    assert row[:2] == ["small-digits", ""]
    told = next(runs.story(run) for run in runs.all_runs() if run.title == "recipe of small-digits")
    assert float(row[2]) == round(told.end["test_accuracy"], 4)
    assert float(row[3]) >= 0.1
    assert row[4] == "3"


def test_a_run_that_can_not_be_trained_ends_with_a_sentence(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    assert main(["train", "--preset", "small-digits", "--device", "gpu:9"]) == 1
    assert capfd.readouterr() == ("", "gpu:9 is not here (GPUs: none): choose another device and start again.\n")
    assert main(["train", "--preset", "small-digits", "--epochs", "101"]) == 2
    assert "Epochs goes from 1 to 100" in capfd.readouterr().err


def test_runs_are_listed_renamed_and_deleted_but_none_that_goes_on(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    assert main(["runs"]) == 0
    assert capfd.readouterr() == ("", "")
    waiting, ended = runs.create(RECIPES["small-digits"], "one", "x"), runs.create(RECIPES["small-digits"], "two")
    runs.Log(ended.folder).say("done", test_accuracy=0.98765)
    assert main(["runs", "--rename", ended.id, "other\n"]) == 0
    assert main(["runs"]) == 0
    said = capfd.readouterr()
    assert (sorted(said.out.splitlines()), said.err) == (
        sorted([f"{waiting.id}\twaiting\t\tone", f"{ended.id}\tdone\t0.9877\tother"]), "")  # fmt: skip
    assert main(["runs", "--delete", waiting.id, "../settings", ended.id]) == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        f"{waiting.id}: The run has not ended: stop it first.", f"../settings: {runs.GONE}"]  # fmt: skip
    assert [run.id for run in runs.all_runs()] == [waiting.id]
    assert main(["runs", "--rename", waiting.id, "\n"]) == 2
    assert "A title needs" in capfd.readouterr().err
    silent = runs.create(RECIPES["small-digits"])
    os.utime(silent.folder / "alive", (0, 0))
    held = runs.Log(silent.folder)  # a trainer that has given no sign of life for long
    assert main(["runs", "--delete", silent.id]) == 1
    assert capfd.readouterr().err == f"{silent.id}: The run has not ended: stop it first.\n"
    held.file.close()
    assert main(["runs", "--delete", silent.id]) == 0
    assert [run.id for run in runs.all_runs()] == [waiting.id]
    assert main(["runs", "--rename", ended.id, "again"]) == 1
    assert capfd.readouterr().err == f"{runs.GONE}\n"


def test_help_names_every_command():
    result = cnnviz("--help")
    assert result.returncode == 0
    commands = ("classify", "explain", "evaluate", "datasets", "train", "runs", "reproduce")
    assert all(command in result.stdout for command in commands)


def test_a_reader_that_leaves_and_ctrl_c(tmp_path):
    command = [sys.executable, "-m", "cnnviz", "datasets"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "cnnviz", "classify", str(pipe)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        with pipe.open("wb"):  # waits until the command reads, which then waits for what we write
            process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert "Traceback" not in said
        assert process.returncode == 130
