"""Many runs: what a grid may say, and what a sweep survives."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from leukhelpers import cli, files
from leukhelpers.errors import InputError, LessonError
from leukhelpers.experiments import run_notebook, storage, sweep, sweep_entry, sweep_table
from leukhelpers.experiments.grid import Entry, read_grid, varying
from leukhelpers.images import handmade
from leukhelpers.models import classical, prepare, profiles

ROOT = Path(__file__).resolve().parents[2]
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
PARAMETERS = 'act: str = "fine"\nseed: int = 0\nplace: str = ""\nrun: str = ""'
# What a notebook may do to a sweep. It notes each time that it is run.
ACTS = """
import json, os, time
from pathlib import Path

place, folder = Path(place), Path(run)
with open(place / "log", "a") as log:
    log.write(f"{act} {seed}\\n")
times = (place / "log").read_text().count(f"{act} {seed}\\n")
if act == "raise" and not (place / "mended").exists():
    raise ValueError("no such cell")
if act == "exit" and not (place / "mended").exists():
    os._exit(3)
if act == "third" and times < 3:
    raise ValueError("not yet")
while act == "wait" and not (place / "go").exists():
    time.sleep(0.1)
if act == "sleep":
    time.sleep(300)
if act == "kill":
    os.kill(os.getppid(), 9)  # the worker
    time.sleep(300)
if act == "hold":
    held = b"1" * (700 * 2**20)
    time.sleep(300)
folder.mkdir(parents=True)
if act == "fill":
    (folder / "large").write_bytes(bytes(8 * 2**20))
(folder / "metrics.json").write_text(json.dumps({"score": 0.5 + seed / 10}))
"""


@pytest.fixture(scope="module")
def acts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the notebook ``acts.ipynb``."""
    folder = tmp_path_factory.mktemp("acts")
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell(ACTS)]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.write(notebook, folder / "acts.ipynb")
    return folder


@pytest.fixture
def write_grid(acts: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a grid of acts, or one of anything."""
    (tmp_path / "acts.ipynb").write_bytes((acts / "acts.ipynb").read_bytes())

    def write(*entries: dict[str, Any], text: str = "", **asked: Any) -> Path:
        if entries:
            fixed = {"lesson": "acts.ipynb", "place": str(tmp_path)}
            asked = {"task": "lesson", "fixed": fixed, "list": list(entries)}
        file = tmp_path / "grid.yaml"
        file.write_text(text or yaml.safe_dump(asked), "utf-8")
        return file

    return write


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Dask cluster of two workers, for all tests that do not kill its scheduler."""
    from distributed import LocalCluster

    options = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=2, silence_logs="CRITICAL", **options) as found:
        yield found


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Entry, Path], Any]:
    """Return a function that writes down one run as a worker gets it."""
    monkeypatch.setenv("LEUK_HOME", str(tmp_path / "home"))  # a run sets it; put it back
    limits = {"timeout": math.inf, "memory": math.inf, "sweep": "this", "log": None}

    def write(entry: Entry, out: Path) -> dict[str, Any]:
        return {**entry._asdict(), "out": str(out), "home": str(tmp_path / "home"), **limits}

    return write


def log(folder: Path) -> list[str]:
    file = folder / "log"
    return sorted(file.read_text().splitlines()) if file.is_file() else []


def kernels(below: int | None = None) -> list[psutil.Process]:
    """List the kernels at work below this process or another; each is the child of a worker."""
    found = []
    for process in psutil.Process(below).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "ipykernel_launcher" in process.cmdline():
                found.append(process)
    return found


def until(true: Callable[[], object], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


# ------------------------------------------------------------------ what a grid may say


def test_a_grid_is_every_combination_and_defaults_are_part_of_a_run(write_grid):
    grid = {"model": ["svm", "rf"], "seed": [0, 1, 2]}
    entries = read_grid(write_grid(task="train", grid=grid))
    asked = [(entry.parameters["model"], entry.parameters["seed"]) for entry in entries]
    assert asked == [(model, seed) for model in ("svm", "rf") for seed in (0, 1, 2)]
    assert varying(entries) == ["model", "seed"]
    said = {"model": "svm", "seed": 0, "profile": "fast", "dataset": "twin", "fold": 0}
    (same,) = read_grid(write_grid(task="train", list=[said]))
    assert same == entries[0]


def test_the_old_word_for_task_still_works_and_names_the_new_one(write_grid, capsys):
    assert read_grid(write_grid(what="train", grid=SEEDS)) == read_grid(
        write_grid(task="train", grid=SEEDS)
    )
    assert "'what' is now called 'task'" in capsys.readouterr().err


def test_one_own_notebook_changed_is_another_run(write_grid, tmp_path):
    (before,) = read_grid(write_grid({"seed": 1}))
    notebook = tmp_path / "acts.ipynb"
    notebook.write_text(notebook.read_text("utf-8").replace("0.5 +", "0.6 +"), "utf-8")
    (after,) = read_grid(write_grid({"seed": 1}))
    assert before.parameters == after.parameters
    assert before.key != after.key


@pytest.mark.parametrize("number", ["4", "'04'", "04", "'4'"])
def test_a_lesson_goes_by_its_number_however_yaml_reads_it(write_grid, number):
    text = f"task: lesson\nfixed: {{lesson: {number}}}\ngrid: {{seed: [0]}}\n"
    (entry,) = read_grid(write_grid(text=text))
    assert Path(entry.notebook).stem == "04_classical_baselines"
    assert entry.parameters["lesson"] == "04"
    assert entry.takes_run


SEEDS = {"seed": [0, 1]}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"text": "task: [train"}, "is not YAML, line"),
        ({"text": "task: train\nfixed: {seed: 2024-13-01}"}, "is not YAML"),
        ({"text": "just words"}, "holds no grid"),
        ({"text": "task: train\ntask: train\ngrid: {seed: [0]}"}, "names task twice"),
        ({"task": "cook", "grid": SEEDS}, "task must be train, crossval, lesson, not 'cook'"),
        ({"task": "train", "grid": SEEDS, "seeds": 3}, "may not have seeds"),
        ({"task": "train", "grid": {}}, "The grid is empty"),
        ({"task": "train", "grid": {"seed": []}}, "The grid is empty"),
        ({"task": "train", "list": []}, "The grid is empty"),
        ({"task": "train"}, "either grid"),
        ({"task": "train", "grid": SEEDS, "list": [{"seed": 0}]}, "either grid"),
        ({"task": "train", "grid": {"seed": 3}}, "a list of values"),
        ({"task": "train", "grid": {"seed": [1, 1]}}, "Entries 1 and 2 are the same run"),
        ({"task": "train", "fixed": {"seed": 1}, "grid": SEEDS}, "seed is fixed, and varies"),
        ({"task": "train", "grid": {"epochs": [1]}}, "no parameter epochs; it has dataset"),
        ({"task": "train", "grid": {"folds": [4]}}, "no parameter folds"),
        ({"task": "train", "grid": {"model": ["vit"]}}, "Model 'vit' cannot be trained"),
        ({"task": "train", "grid": {"model": [7]}}, "model must be a name"),
        ({"task": "train", "grid": {"seed": ["one"]}}, "seed must be a whole number"),
        ({"task": "train", "grid": {"seed": [True]}}, "seed must be a whole number"),
        ({"task": "train", "grid": {"fold": [4]}}, "fold must be a whole number from 0 to 3"),
        ({"task": "train", "grid": {"seed": [[1]]}}, "seed must be text, a number"),
        ({"task": "crossval", "grid": {"folds": [1]}}, "folds must be a whole number from 2"),
        ({"task": "train", "grid": {"profile": ["slow"]}}, "Profile 'slow' is not known"),
        ({"task": "train", "grid": {"dataset": ["nowhere"]}}, "nor a place that exists"),
        ({"task": "lesson", "grid": SEEDS}, "needs a lesson"),
        ({"task": "lesson", "grid": {"lesson": ["77"]}}, "There is no lesson 77"),
        ({"task": "lesson", "grid": {"lesson": ["mine.ipynb"]}}, "There is no notebook"),
        ({"task": "lesson", "grid": {"lesson": [4], "color": ["red"]}}, "no parameter color"),
        ({"task": "lesson", "grid": {"lesson": [4], "run": ["x"]}}, "must not set run"),
    ],
)
def test_a_grid_that_cannot_run_is_refused_in_one_sentence(
    write_grid, tmp_path, monkeypatch, capsys, asked, sentence
):
    grid = write_grid(**asked)
    monkeypatch.setattr(sys, "argv", ["leuk", "sweep", str(grid), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert sentence in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_refused_and_so_is_a_silent_scheduler(write_grid, tmp_path):
    entries = read_grid(write_grid({"seed": 0}))
    with pytest.raises(InputError, match="is not empty"):
        sweep.run_sweep(entries, tmp_path)
    sweep.open_folder(tmp_path / "out", entries, resume=False)
    with pytest.raises(InputError, match="--resume"):
        sweep.run_sweep(entries, tmp_path / "out")
    with pytest.raises(InputError, match="No scheduler answers"):
        sweep.run_sweep(entries, tmp_path / "other", scheduler="no such thing")


# ------------------------------------------------------------------ what a sweep survives


@pytest.mark.slow
def test_runs_that_fail_are_recorded_the_others_go_on_and_resume_runs_only_these(
    write_grid, tmp_path, cluster
):
    acts = ("fine", "raise", "exit", "third")
    entries = read_grid(write_grid(*({"act": act} for act in acts)))
    key = {entry.parameters["act"]: entry.key for entry in entries}
    out, running = tmp_path / "out", []

    def listen(state: sweep.State) -> None:
        running.append(state.count("running"))

    state = sweep.run_sweep(entries, out, cluster.scheduler_address, listen=listen)
    assert {act: state.of[key[act]] for act in acts} == {
        "fine": "done",
        "raise": "failed",
        "exit": "failed",
        "third": "failed",
    }
    assert 2 in running
    assert "no such cell" in state.results[key["raise"]]["error"]
    assert "its kernel died" in state.results[key["exit"]]["error"]
    failure = json.loads((out / "failed" / key["raise"] / "failure.json").read_text())
    assert "no such cell" in failure["error"]
    assert (out / "failed" / key["raise"] / "acts.failed.ipynb").is_file()
    assert (out / "runs" / key["fine"] / "acts.ipynb").is_file()
    assert not (out / "runs" / key["raise"]).exists()
    table = sweep_table.collect(out, entries, state)
    assert table.set_index("act")["value"].dropna().to_dict() == {"fine": 0.5}
    assert table["state"].tolist() == ["done", "failed", "failed", "failed"]

    (tmp_path / "mended").touch()
    address = cluster.scheduler_address
    state = sweep.run_sweep(entries, out, address, resume=True, retries=1)
    assert set(state.of.values()) == {"done"}
    assert log(tmp_path) == sorted(["fine 0", *["raise 0"] * 2, *["exit 0"] * 2, *["third 0"] * 3])
    assert not list((out / "failed").iterdir())
    assert not list((out / "runs").glob(".part-*"))


@pytest.mark.slow
def test_a_killed_worker_takes_its_run_along_and_another_worker_does_it(
    write_grid, tmp_path, cluster
):
    entries = read_grid(write_grid({"act": "wait"}))
    killed: list[psutil.Process] = []

    def kill(_: sweep.State) -> None:
        if not killed and log(tmp_path):
            killed.extend(kernels())
            killed[0].parent().kill()
        if killed and not (tmp_path / "go").exists() and gone(killed):
            (tmp_path / "go").touch()  # only now: two at once would show in the log

    state = sweep.run_sweep(entries, tmp_path / "out", cluster.scheduler_address, listen=kill)
    assert state.count("done") == 1
    assert log(tmp_path) == ["wait 0"] * 2


@pytest.mark.slow
def test_a_killed_scheduler_ends_the_sweep_and_what_was_done_is_kept(write_grid, tmp_path, cluster):
    entries = read_grid(write_grid({"act": "fine"}, {"act": "wait"}))
    note, quiet = tmp_path / "scheduler.json", {"stderr": subprocess.DEVNULL}
    python, where = [sys.executable, "-m"], ["--scheduler-file", str(note)]
    asked = ["--port", "0", "--host", "127.0.0.1", "--no-dashboard"]
    served = [*python, "distributed.cli.dask_scheduler", *where, *asked]
    working = [*python, "distributed.cli.dask_worker", *where, "--nthreads", "2", "--no-dashboard"]
    with (
        subprocess.Popen(served, **quiet) as scheduler,
        subprocess.Popen([*working, "--no-nanny"], **quiet) as worker,
    ):
        try:
            until(note.is_file)
            address = json.loads(note.read_text())["address"]

            def kill(state: sweep.State) -> None:
                if state.count("done") == 1 and "wait 0" in log(tmp_path):
                    scheduler.kill()

            with pytest.raises(LessonError, match="scheduler is gone; 1 of 2 runs are done"):
                sweep.run_sweep(entries, tmp_path / "out", address, listen=kill)
        finally:
            scheduler.kill()
            family = psutil.Process(worker.pid).children(recursive=True)
            worker.kill()
    until(lambda: gone(family), 30)  # a kernel needs a second to see that its worker is gone
    (tmp_path / "go").touch()
    state = sweep.run_sweep(entries, tmp_path / "out", cluster.scheduler_address, resume=True)
    assert state.count("done") == 2
    assert log(tmp_path).count("fine 0") == 1


@pytest.mark.slow
def test_a_killed_client_leaves_no_process_and_resume_runs_only_the_rest(
    write_grid, tmp_path, cluster
):
    grid = write_grid({"act": "fine"}, {"act": "wait"})
    command = [sys.executable, "-m", "leukhelpers.cli", "sweep", str(grid), "--workers", "2"]
    out = tmp_path / "out"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "--out", str(out)], cwd=ROOT, **quiet) as client:
        try:
            until(lambda: list((out / "runs").glob("*/result.json")) and "wait 0" in log(tmp_path))
            family = psutil.Process(client.pid).children(recursive=True)
            assert kernels(client.pid)
        finally:
            os.kill(client.pid, signal.SIGKILL)
    until(lambda: gone(family), 30)
    (tmp_path / "go").touch()
    entries = read_grid(grid)
    state = sweep.run_sweep(entries, out, cluster.scheduler_address, resume=True)
    assert state.count("done") == 2
    assert log(tmp_path) == ["fine 0", "wait 0", "wait 0"]


@pytest.mark.slow
def test_an_entry_is_never_run_twice_at_once(write_grid, tmp_path, job):
    (entry,) = read_grid(write_grid({"act": "wait"}))
    asked = job(entry, tmp_path / "out")
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(sweep_entry.run_entry, asked) for _ in range(2)]
        until(lambda: log(tmp_path))
        time.sleep(0.5)
        (tmp_path / "go").touch()
        for one in both:
            one.result()
    assert log(tmp_path) == ["wait 0"]
    assert len(list((tmp_path / "out" / "runs").glob("*/result.json"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "limit", "sentence"),
    [
        ("sleep", {"timeout": 2}, "longer than 2 seconds"),
        ("hold", {"memory": 0.6}, "more than 0.6 GB of memory"),
    ],
)
def test_a_run_beyond_its_limits_is_ended_with_all_that_it_started_and_not_tried_again(
    write_grid, tmp_path, cluster, act, limit, sentence
):
    (entry,) = entries = read_grid(write_grid({"act": act}))
    address = cluster.scheduler_address
    state = sweep.run_sweep(entries, tmp_path / "out", address, retries=1, **limit)
    assert state.of == {entry.key: "failed"}
    error = state.results[entry.key]["error"]
    assert sentence in error
    assert len(log(tmp_path)) <= 1  # none, where a kernel takes longer to start than the limit
    assert kernels() == []
    assert not list((tmp_path / "out" / "runs").glob(".part-*"))
    kept = json.loads(next((tmp_path / "out" / "failed").glob("*/failure.json")).read_text())
    assert kept["error"] == error
    assert kept["seconds"] > 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk needs Linux and the right to mount one")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
def test_on_a_full_disk_a_result_is_whole_or_absent(write_grid, tmp_path, small_disk, job):
    fine, fill = read_grid(write_grid({"act": "fine"}, {"act": "fill"}))
    with pytest.raises(LessonError, match="No space left on device"):
        sweep_entry.run_entry(job(fill, small_disk))
    assert (small_disk / "failed" / fill.key / "failure.json").is_file()
    assert list((small_disk / "runs").iterdir()) == []
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    with pytest.raises((LessonError, OSError), match="No space left on device"):
        sweep_entry.run_entry(job(fine, small_disk))
    assert list((small_disk / "runs").iterdir()) == []
    ballast.unlink()
    sweep_entry.run_entry(job(fine, small_disk))
    assert json.loads((small_disk / "runs" / fine.key / "result.json").read_text())


# ------------------------------------------------------------------ what comes of it


@pytest.mark.slow
def test_a_real_training_goes_the_same_way_to_one_tidy_table(
    write_grid, tiny_tree, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("LEUK_HOME", str(tmp_path / "home"))
    fixed = {"dataset": str(tiny_tree), "model": "svm"}
    grid = write_grid(task="train", fixed=fixed, grid={"seed": [1]})
    out = tmp_path / "out"
    arguments = ["leuk", "sweep", grid, "--out", out, "--workers", "1", "--json"]
    monkeypatch.setattr(sys, "argv", [str(part) for part in arguments])
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    cli.main()
    assert os.environ["OMP_NUM_THREADS"] == "7"  # the share is the worker's alone
    captured = capfd.readouterr()
    told = json.loads(captured.out)  # nothing but the result, whatever the worker printed
    assert (told["done"], told["failed"]) == (1, 0)
    assert "[1/1] seed 1  done" in captured.err
    table = pd.read_csv(out / "results.csv")
    assert len(table.drop_duplicates(["run", "answered_by", "metric"])) == len(table)
    assert set(table["answered_by"]) == {"svm", "area", "majority"}
    assert not table["synthetic"].any()
    for run in told["runs"]:
        folder = out / "runs" / run["run"] / "run"
        measured = storage.read_run(folder).metrics["models"]["svm"]["auroc"]["value"]
        own = table[(table["run"] == run["run"]) & (table["answered_by"] == "svm")]
        assert own.set_index("metric")["value"]["auroc"] == measured
    kept = pd.read_parquet(out / "results.parquet")
    assert kept["value"].round(9).tolist() == pytest.approx(table["value"].round(9), nan_ok=True)
    assert (out / "figures" / "sweep.png").is_file()
    kept_run = json.loads((out / "runs" / told["runs"][0]["run"] / "result.json").read_text())
    assert kept_run["threads"] == str(os.cpu_count())  # the one worker's share


@pytest.mark.slow
def test_features_are_measured_once_whoever_comes_first(tiny_prepared, tmp_path, monkeypatch):
    prepared = tiny_prepared._replace(data=tmp_path)
    measured: list[int] = []
    measure = handmade.measure_cells

    def slowly(*arguments: Any) -> pd.DataFrame:
        measured.append(threading.get_ident())
        time.sleep(0.3)
        return measure(*arguments)

    monkeypatch.setattr(handmade, "measure_cells", slowly)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(prepare.features, [prepared, prepared])
    assert len(measured) == 1
    assert one.equals(two)


@pytest.mark.slow
def test_features_and_forests_use_the_same_cluster(tiny_prepared, tmp_path, cluster):
    from distributed import Client

    labels, groups = tiny_prepared.table["label"].to_numpy(), tiny_prepared.split.groups

    def learn(folder: Path) -> np.ndarray:
        measured = prepare.features(tiny_prepared._replace(data=folder))
        forest = classical.build_forest(0).set_params(n_estimators=8)
        return classical.fit_calibrated(forest, measured, labels, groups).predict_proba(
            measured.to_numpy()
        )

    here = learn(tmp_path / "here")
    with Client(cluster.scheduler_address) as client:

        def done() -> int:
            counts = client.run(lambda dask_worker: dask_worker.state.executed_count)
            return sum(counts.values())

        before = done()
        with sweep.joblib_on(cluster.scheduler_address):
            there = learn(tmp_path / "there")
        assert done() > before
    np.testing.assert_allclose(there, here)


@pytest.mark.parametrize(("runs", "share"), [(1, "8"), (2, "4"), (16, "1")])
def test_runs_share_the_cores(monkeypatch, runs, share):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with sweep.share_cores(runs):
        assert os.environ["OMP_NUM_THREADS"] == os.environ["TF_NUM_INTRAOP_THREADS"] == share
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_drawn_cells_are_called_synthetic_wherever_they_lie(tmp_path):
    from leukhelpers.plots import saving

    entry = Entry("abc", "train", {"dataset": "/some/twin", "model": "svm", "seed": 0})
    metrics = {"auroc": {"value": 0.8, "low": 0.7, "high": 0.9}}
    measured = {"synthetic": True, "models": {"svm": metrics, "area": metrics}}
    folder = tmp_path / "runs" / "abc"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"measured": measured}))
    state = sweep.State({"abc": "done"}, {"abc": {"seconds": 1.0, "error": ""}})
    table = sweep_table.collect(tmp_path, [entry], state)
    assert table["synthetic"].all()
    notes: list[str] = []

    def save(figure: Any, *_: Any) -> None:
        notes.extend(text.get_text() for text in figure.texts)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(saving, "save", save)
        sweep_table.draw(tmp_path, table, [entry])
    assert "synthetic cells; not for clinical use" in notes


def test_a_training_without_test_cells_has_a_row_and_no_metric(tmp_path):
    entry = Entry("abc", "train", {"dataset": "twin", "model": "svm", "seed": 3, "fold": None})
    folder = tmp_path / "runs" / "abc"
    folder.mkdir(parents=True)
    measured = {"synthetic": True, "seed": 3, "cells": None}
    (folder / "result.json").write_text(json.dumps({"measured": measured}))
    state = sweep.State({"abc": "done"}, {"abc": {"seconds": 1.0, "error": ""}})
    table = sweep_table.collect(tmp_path, [entry], state)
    assert len(table) == 1
    assert table["metric"].isna().all()


def test_a_sweep_of_which_every_run_failed_has_a_table_and_no_figure(tmp_path):
    entry = Entry("abc", "train", {"dataset": "/some/twin", "model": "svm", "seed": 0})
    told = {"abc": {"seconds": 1.0, "error": "no such cell"}}
    table = sweep_table.collect(tmp_path, [entry], sweep.State({"abc": "failed"}, told))
    sweep_table.write(tmp_path, table, [entry])
    assert pd.read_csv(tmp_path / "results.csv")["error"].tolist() == ["no such cell"]
    assert not list(tmp_path.glob("figures/*.png"))


def test_the_spread_within_is_told_from_the_distance_between():
    rows = pd.DataFrame({"model": ["a", "a", "b", "b"], "value": [0.6, 0.8, 0.9, 0.9]})
    within, between = sweep_table.spread(rows, ["model"])
    assert within == pytest.approx(0.1)  # 0.02 over two spare runs
    assert between == pytest.approx(0.2)
    within, between = sweep_table.spread(rows.iloc[[0, 2]], ["model"])
    assert np.isnan(within)
    assert between == pytest.approx(0.3)


# ------------------------------------------------------------------ one run, with a fake task


FAKE = Entry("k", "fake", {})


def test_a_run_that_succeeds_is_whole_and_is_not_done_again(tmp_path, monkeypatch, job):
    calls: list[Path] = []

    def work(job: dict[str, Any], part: Path) -> dict[str, Any]:
        calls.append(part)
        assert not list(part.iterdir())  # what an earlier process left half done is gone
        (part / "model").write_text("whole")
        return {"score": 0.5}

    monkeypatch.setitem(sweep_entry.WORK, "fake", work)
    place = sweep_entry.locate(tmp_path, "k")
    place.part.mkdir(parents=True)
    (place.part / "half").write_text("of a model")
    for _ in range(2):
        sweep_entry.run_entry(job(FAKE, tmp_path))
    assert len(calls) == 1
    assert (place.done / "model").read_text() == "whole"
    assert json.loads((place.done / "result.json").read_text())["measured"] == {"score": 0.5}
    assert not place.part.exists()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("The cells are lost."), "The cells are lost."),
        (OSError(28, "No space left on device", "model"), "No space left on device: 'model'"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
def test_a_run_that_fails_leaves_its_reason_and_no_result(
    error, sentence, tmp_path, monkeypatch, job
):
    def work(job: dict[str, Any], part: Path) -> dict[str, Any]:
        (part / "half").write_text("of a model")
        raise error

    monkeypatch.setitem(sweep_entry.WORK, "fake", work)
    place = sweep_entry.locate(tmp_path, "k")
    with pytest.raises(LessonError) as raised:
        sweep_entry.run_entry(job(FAKE, tmp_path))
    assert str(raised.value).endswith(sentence)
    assert not place.done.exists()
    assert not place.part.exists()
    kept = json.loads((place.failed / "failure.json").read_text())
    assert kept["error"] == str(raised.value)
    assert "in work" in kept["log"]
    # done at the second try: then nothing says that it failed
    monkeypatch.setitem(sweep_entry.WORK, "fake", lambda job, part: {})
    sweep_entry.run_entry(job(FAKE, tmp_path))
    assert place.done.exists()
    assert not place.failed.exists()


@pytest.mark.slow
def test_a_training_of_a_sweep_is_that_of_the_command_line(
    tiny_tree: Path, tiny_svm_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: Any
) -> None:
    profile = profiles.Profile(**tiny_svm_run.about["profile"])
    monkeypatch.setitem(profiles.PROFILES, "tiny", profile)
    asked = {"dataset": str(tiny_tree), "profile": "tiny", "seed": 0, "fold": 0}
    entry = Entry("k", "train", {**asked, "model": "svm", "random_weights": False})
    sweep_entry.run_entry(job(entry, tmp_path))
    result = files.read_if_there(sweep_entry.locate(tmp_path, "k").done / "result.json")
    assert result["measured"]["models"] == tiny_svm_run.metrics["models"]


def test_runs_without_a_held_out_fold_are_a_setting_of_their_own():
    rows = pd.DataFrame({"fold": [None, None, 0, 0], "value": [1.0, 3.0, 5.0, 5.0]})
    # the first two lie 1 from their mean of 2, the others 0 from 5: 2 is shared by 4 - 2 runs
    assert sweep_table.spread(rows, ["fold"]) == (1.0, 3.0)


@pytest.mark.slow
@pytest.mark.parametrize("retries", [0, 2])
def test_a_run_that_fails_is_tried_again_as_often_as_was_asked(
    retries, write_grid, tmp_path, cluster
):
    entries = read_grid(write_grid({"act": "raise"}))
    out, address = tmp_path / "out", cluster.scheduler_address
    state = sweep.run_sweep(entries, out, address, retries=retries)
    assert list(state.of.values()) == ["failed"]
    assert log(tmp_path) == ["raise 0"] * (1 + retries)


@pytest.mark.slow
def test_a_run_that_kills_every_worker_fails_and_the_others_go_on(write_grid, tmp_path):
    entries = read_grid(write_grid({"act": "kill"}, *({"seed": seed} for seed in range(3))))
    state = sweep.run_sweep(entries, tmp_path / "out", workers=1)
    assert list(state.of.values()) == ["failed", "done", "done", "done"]
    assert state.results[entries[0].key]["error"] == sweep_entry.DIED
    kept = json.loads(next((tmp_path / "out" / "failed").glob("*/failure.json")).read_text())
    assert kept["error"] == sweep_entry.DIED


@pytest.mark.parametrize("workers", [1, 3])
def test_as_many_workers_start_as_were_asked_for(workers):
    with sweep._cluster(None, workers) as client:
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == workers


@pytest.mark.parametrize("left", ['{"models": {"svm": 0.5}, "score": 0.7, "lost": NaN}', "[1]"])
def test_whatever_a_notebook_leaves_becomes_numbers_of_the_table(left, tmp_path, monkeypatch):
    def leave(notebook: Path, output: Path, given: dict[str, Any]) -> None:
        Path(given["run"]).mkdir(parents=True)
        Path(given["run"], "metrics.json").write_text(left)

    monkeypatch.setattr(run_notebook, "run_notebook", leave)
    job = {"notebook": "mine.ipynb", "parameters": {"model": "mine"}, "takes_run": True}
    rows = sweep_table._measured(sweep_entry._lesson(job, tmp_path))
    assert [(row["metric"], row["value"]) for row in rows] == [("score", 0.7)] * (left[0] == "{")
    table = pd.DataFrame(rows, columns=["answered_by", "metric", "value"]).assign(model="mine")
    assert len(sweep_table.headline(table)) == len(rows)


def test_a_parameter_that_is_called_like_a_column_is_refused(write_grid):
    with pytest.raises(InputError, match="has a column metric; rename the parameter"):
        read_grid(write_grid({"act": "raise", "metric": "one"}))
