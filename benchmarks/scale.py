"""Measure table, cache and one epoch of 1,000 to 200,000 cells; compare two workers with one.

    python -m benchmarks.scale cells --work FOLDER     1,000 to 200,000 cells
    python -m benchmarks.scale workers --work FOLDER   a sweep of eight equal runs
    python -m benchmarks.scale page                    only write docs/scale.md again

The cells are synthetic, averaged down to 96 pixels and repeated as links to the same files, so that
they fit on a small disk. Each number of cells runs in its own process. Some steps of the epoch are
timed, and the time of the whole epoch is computed from them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from PIL import Image

from leukhelpers import files
from leukhelpers.data.pictures import read_image
from leukhelpers.experiments import provenance
from leukhelpers.models import profiles

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CELLS, WORKERS = RESULTS / "scale.json", RESULTS / "sweep_workers.json"
PAGE, FIGURES = ROOT / "docs" / "scale.md", ROOT / "docs" / "scale"
BEGIN, END = "<!-- scale:begin -->\n", "<!-- scale:end -->"
NUMBERS = (1_000, 10_000, 50_000, 200_000)
EDGE, SIZE, STEPS, BATCH, SEED = 96, 96, 120, 32, 0
LIMIT_GB = 3.0
ROUNDS = 1
MODELS_OF_EIGHT = "svm"


class Memory(threading.Thread):
    """Note the highest memory of this process and its children, many times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.ended = 0, threading.Event()

    def run(self) -> None:
        """Look until told to end."""
        process = psutil.Process()
        while not self.ended.wait(0.05):
            total = process.memory_info().rss
            for child in process.children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)

    def take(self) -> float:
        """Give the highest so far in GB, and begin anew."""
        peak, self.peak = self.peak, 0
        return round(peak / 2**30, 2)


def cells_of(work: Path) -> tuple[Path, pd.DataFrame]:
    """Draw a twin once, and cut its cells to small files."""
    from leukhelpers.synthetic.twin import read_causes, write_twin

    root = write_twin(work / "twin", n_images=1200, n_subjects=28, seed=SEED)
    plan = read_causes(root).drop_duplicates("drawn_as")  # no picture of two subjects
    small = work / "small"
    small.mkdir(exist_ok=True)
    for row in plan.itertuples():
        file = small / f"{Path(row.path).stem}.bmp"
        if not file.is_file():
            cell = read_image(root.parent / row.path)
            middle = Image.fromarray(cell).crop((33, 33, 417, 417))
            middle.resize((EDGE, EDGE), Image.Resampling.BOX).save(file)
    return small, plan


def deliver(work: Path, n: int) -> Path:
    """Write a table of `n` cells, repeated as links that lie in one folder a round."""
    small, plan = cells_of(work)
    home = work / f"cells-{n}"
    shutil.rmtree(home, ignore_errors=True)
    lines = []
    for number in range(n):
        row = plan.iloc[number % len(plan)]
        name = f"round{number // len(plan)}/{Path(row['path']).stem}.bmp"
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        os.link(small / file.name, file)
        lines.append((name, "ALL" if row["label"] else "HEM", row["subject"]))
    pd.DataFrame(lines, columns=["path", "label", "subject"]).to_csv(
        home / "cells.csv", index=False
    )
    return home


def measure_one(home: Path) -> dict[str, Any]:
    """Take one delivery through table, cache and some steps of training."""
    from dataclasses import replace

    from leukhelpers.backend import keras
    from leukhelpers.datasets import load_dataset
    from leukhelpers.images.preprocessing import build_pixels
    from leukhelpers.models import networks, training
    from leukhelpers.splits import groups

    class Some(keras.callbacks.Callback):
        """Time some steps, the first few aside, and end the training."""

        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            """Note the time."""
            if batch == 4:
                self.began = time.perf_counter()
            self.steps, self.ended = batch - 4, time.perf_counter()
            if batch + 1 >= STEPS:
                self.model.stop_training = True

    memory = Memory()
    memory.start()
    data = home / "data"
    found: dict[str, Any] = {"start_gb": round(psutil.Process().memory_info().rss / 2**30, 2)}
    clock = time.perf_counter()
    dataset = load_dataset(home, data)
    split = groups.holdout_split(dataset.table, SEED)
    found |= {"cells": len(dataset.table), "table_seconds": time.perf_counter() - clock}
    found["table_gb"] = memory.take()
    clock = time.perf_counter()
    array, table, _ = build_pixels(dataset, data / "cache", SIZE, EDGE)
    found |= {"cache_seconds": time.perf_counter() - clock, "cache_gb": memory.take()}
    found["cache_file_gb"] = round(array.nbytes / 2**30, 3)
    settings = replace(profiles.profile_of("fast"), epochs=1, batch_size=BATCH)
    labels, some = table["label"].to_numpy(), Some()
    with training.devices().scope():
        model = networks.build_cnn(SIZE, seed=SEED)
    clock = time.perf_counter()
    rows, nobody = np.concatenate([split.train, split.validation]), np.zeros(0, int)
    training.fit(model, array, labels, rows, nobody, settings, SEED, [some])
    learnt = len(split.train) + len(split.validation)
    a_step = (some.ended - some.began) / some.steps
    return found | {
        "training_gb": memory.take(),
        "training_cells": learnt,
        "timed_steps": some.steps,
        "steps_of_an_epoch": learnt // BATCH,
        "ms_a_step": 1000 * a_step,
        "epoch_seconds": a_step * (learnt // BATCH),
        "before_first_steps_seconds": some.began - clock,
    }


def about() -> dict[str, Any]:
    """Tell when and where this is measured."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    return {"date": now, "seed": SEED, **provenance.environment()}


def measure_cells(work: Path, numbers: Sequence[int] = NUMBERS) -> None:
    """Measure every number of cells that is not kept yet, keep it, and delete its caches."""
    found = files.read_json(CELLS)["by_number"] if CELLS.is_file() else []
    for n in numbers:
        if n in [one["cells"] for one in found]:
            continue
        clock = time.perf_counter()
        home = deliver(work, n)
        linking = time.perf_counter() - clock
        told = _python("one", "--work", str(home), home=home)
        one = {**json.loads(told.splitlines()[-1]), "linking_seconds": linking}
        one["load"] = [round(load, 1) for load in os.getloadavg()]
        found = sorted([*found, one], key=lambda one: one["cells"])
        shutil.rmtree(home)
        print(one, flush=True)
        what = "table, pixel cache and the first steps of an epoch; repeated synthetic cells"
        files.write_json(CELLS, {**about(), "what": what, "by_number": found})


def _python(*arguments: str, home: Path) -> str:
    command = [sys.executable, "-m", "benchmarks.scale", *arguments]
    env = {**os.environ, "LEUK_HOME": str(home)}
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=env
    ).stdout


def measure_workers(work: Path) -> None:
    """Let one worker, then two, do eight equal runs; the caches are there before."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        home = Path(folder)
        grid = home / "eight.yaml"
        head = f"task: train\nfixed: {{model: {MODELS_OF_EIGHT}, dataset: {home / 'twin'}}}\n"
        from leukhelpers.synthetic.twin import write_twin

        write_twin(home / "twin", n_images=600, n_subjects=28, seed=SEED)
        warm = f"{head}grid: {{seed: [100]}}\n"
        seconds: dict[str, list[float]] = {"1": [], "2": []}
        for name, text, workers in (
            ("warm", warm, 1),
            *((f"{w}-{i}", f"{head}grid: {{seed: {list(range(8))}}}\n", w)
              for i in range(ROUNDS) for w in (1, 2)),
        ):  # fmt: skip
            grid.write_text(text, "utf-8")
            clock = time.perf_counter()
            command = [sys.executable, "-m", "leukhelpers.cli", "sweep", str(grid), "--workers"]
            subprocess.run(
                [*command, str(workers), "--out", str(home / name)],
                check=True, capture_output=True, env={**os.environ, "LEUK_HOME": str(home)},
            )  # fmt: skip
            if name != "warm":
                seconds[str(workers)].append(time.perf_counter() - clock)
    ratios = [two / one for one, two in zip(seconds["1"], seconds["2"], strict=True)]
    what = f"leuk sweep of eight trainings ({MODELS_OF_EIGHT}, seeds 0 to 7) on 600 synthetic cells"
    kept = {**about(), "what": what, "seconds": seconds, "ratios": ratios}
    files.write_json(WORKERS, {**kept, "ratio": float(np.median(ratios)), "load": os.getloadavg()})
    print(seconds, ratios)


# ------------------------------------------------------------------ the page


def draw(found: dict[str, Any]) -> None:
    """Draw time and memory against the number of cells."""
    from leukhelpers.plots import saving
    from leukhelpers.plots.style import SPARE_COLORS, new_figure, styled

    table = pd.DataFrame(found["by_number"])
    top = table[["table_gb", "cache_gb", "training_gb"]].to_numpy().max()
    times = table["cells"].iloc[-1] / table["cells"].iloc[0]

    @styled
    def drawn() -> Any:
        figure = new_figure(
            4.0, f"{times:.0f} times as many cells, at most {top:.1f} GB of memory",
            f"repeated synthetic cells, {found['machine']['cores']} cores, {found['date']}",
        )  # fmt: skip
        left, right = figure.subplots(1, 2)
        names = {"table": "table", "cache": "cache", "epoch": "epoch"}
        for axes, ending, shown in ((left, "seconds", names), (right, "gb", None)):
            parts = shown or {"table": "table", "cache": "cache", "training": "training"}
            for color, (part, name) in zip(SPARE_COLORS, parts.items(), strict=False):
                values = table[f"{part}_{ending}"]
                axes.plot(table["cells"], values, "o-", color=color, markersize=5, label=name)
            axes.set_xscale("log")
            axes.set_xlabel("cells")
            if ending == "seconds":
                axes.set_yscale("log")
                axes.set_ylabel("seconds")
            else:
                axes.axhline(LIMIT_GB, color="#999999", linewidth=1, linestyle="--")
                axes.set_ylim(0, LIMIT_GB * 1.1)
                axes.set_ylabel("highest memory (GB; dashed: the limit)")
            axes.legend(frameon=False)
        return figure

    alt = "Seconds rise in proportion to the number of cells; memory stays below three gigabytes."
    saving.save(drawn(), FIGURES, "scale", alt)


def render(found: dict[str, Any], workers: dict[str, Any] | None) -> str:
    """Write what was measured, and what ten million cells would take."""
    rows = [
        "| cells | table, s | cache, s | epoch, s | table, GB | cache, GB | training, GB "
        "| cache on disk, GB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in found["by_number"]:
        told = [
            f"{one['cells']:,}",
            *(f"{one[f'{part}_seconds']:.1f}" for part in ("table", "cache", "epoch")),
            *(f"{one[f'{part}_gb']:.2f}" for part in ("table", "cache", "training")),
            f"{one['cache_file_gb']:.2f}",
        ]
        rows.append(f"| {' | '.join(told)} |")
    last, first = found["by_number"][-1], found["by_number"][0]
    top = max(last[f"{part}_gb"] for part in ("table", "cache", "training"))
    more = max(  # GB a million cells; what training holds in memory has a bound of its own
        1e6 * (last[f"{part}_gb"] - first[f"{part}_gb"]) / (last["cells"] - first["cells"])
        for part in ("table", "cache")
    )
    aim = (
        ""
        if last["cells"] >= max(NUMBERS)
        else (f" The largest planned number, {max(NUMBERS):,}, has **not** been measured yet.")
    )
    machine = found["machine"]
    verdict = "is met" if top <= LIMIT_GB else "is **not** met"
    millions = 10_000_000 / last["cells"]
    pipeline = files.read_json(RESULTS / "input_pipeline.json")
    full = pipeline["cache"]["cache"]
    epoch_h = last["epoch_seconds"] * millions / 3600
    text = [
        f"The cells are those of a **synthetic** dataset, averaged down to {EDGE} pixels and "
        "repeated as links to the same files. So reading is faster than from a disk with that many "
        f"files. The cache has {SIZE} pixels. Measured {found['date']} by `benchmarks/scale.py`, "
        f"seed {found['seed']}, {machine['cores']} cores, {machine['memory_gb']} GB, shared with "
        f"other work. At most {last['timed_steps']} steps of an epoch were timed; the time of a "
        "whole epoch is computed from them. Memory is the maximum over the process and its "
        "children, including mapped pages.",
        "",
        *rows,
        "",
        "![Time and memory against the number of cells](scale/scale.png)",
        "",
        f"The target of at most {LIMIT_GB:.0f} GB {verdict}: {top:.2f} GB at {last['cells']:,} "
        f"cells. Memory grows by {more:.1f} GB per million cells, for the table of paths and "
        "checksums. The pictures stay in the mapped file, and pages that were read are "
        f"released.{aim}",
        "",
        "### An estimate for ten million cells",
        "",
        f"- **Table**: {last['table_seconds'] * millions / 3600:.1f} hours for files as small as "
        f"these, and about {10 * more:.0f} GB of memory. This is too much for one CSV in one "
        "process. Split the table by group of subjects into Parquet files, and compute the "
        "checksums of each on a Dask worker. The parts are independent, except for pictures that "
        "two parts share. A join of the checksums finds those.",
        f"- **Cache**: {10_000_000 * SIZE * SIZE * 3 / 2**30:.0f} GB on disk, at {SIZE} pixels. "
        f"Two cores read {full:.0f} files of C-NMC's size per second "
        f"(`benchmarks/input_pipeline.py`). That is {10_000_000 / full / 3600:.1f} hours on one "
        f"such machine, and {10_000_000 / full / 3600 / 32:.1f} on 32 of them. Build one cache per "
        "part of the table, by `leuk sweep` over the parts.",
        f"- **An epoch**: {epoch_h:.0f} hours on these two cores, at {SIZE} pixels. "
        "This needs a GPU. `leukhelpers.models.training` uses every GPU "
        "of one machine that TensorFlow finds (`MirroredStrategy`). The cache is read in random "
        "order, so it should be on a solid-state disk.",
        "- **Which engine**: Dask for the table, caches, classical models and sweeps; TensorFlow "
        "for the training of one network. Training one network on several *machines* is not "
        "supported here.",
    ]
    if workers is not None:
        text += [
            "",
            "### Two workers compared with one",
            "",
            f"{workers['what']}; {workers['date']}, {workers['machine']['cores']} cores. Two "
            f"workers took {workers['ratio']:.2f} of the time of one worker "
            f"({len(workers['ratios'])} round(s): "
            f"{', '.join(f'{value:.2f}' for value in workers['ratios'])}; target: at most 0.60). "
            f"Seconds of one worker: "
            f"{', '.join(f'{value:.0f}' for value in workers['seconds']['1'])}; of two workers: "
            f"{', '.join(f'{value:.0f}' for value in workers['seconds']['2'])}.",
        ]
    return "\n".join(text) + "\n"


def write_page() -> None:
    """Put what was measured between its marks in ``docs/scale.md``."""
    found = files.read_json(CELLS)
    workers = files.read_json(WORKERS) if WORKERS.is_file() else None
    draw(found)
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    text = before + BEGIN + render(found, workers) + END + rest.split(END)[1]
    files.write_text(PAGE, text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["cells", "workers", "page", "one"])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS)
    given = parser.parse_args()
    if given.what != "page" and given.work is None:
        parser.error("--work names a folder for cells and caches")
    if given.what == "one":
        print(json.dumps(measure_one(given.work)))
    elif given.what == "page":
        write_page()
    else:
        given.work.mkdir(parents=True, exist_ok=True)
        if given.what == "cells":
            measure_cells(given.work, given.numbers)
        else:
            measure_workers(given.work)
