"""Measure table, groups and splits of 100,000 cells: seconds and memory.

python benchmarks/table_speed.py

Each case runs in a process of its own, twice; the best time and the highest
memory count. TensorFlow is not loaded.
"""

from __future__ import annotations

import datetime
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from leukhelpers import files
from leukhelpers.data.folder import read_own
from leukhelpers.data.schema import parse_name, validate
from leukhelpers.splits import groups

CELLS, SUBJECTS, SHARED, REPEATS, SEED = 100_000, 700, 20, 2, 0


def table_of(subject: np.ndarray) -> pd.DataFrame:
    """Make file names and parse them into a valid cell table; every third subject is healthy."""
    names = [
        f"UID_H{number}_{row}_1_hem" if number % 3 == 0 else f"UID_{number}_{row}_1_all"
        for row, number in enumerate(subject)
    ]
    cells = [parse_name(name) for name in names]
    sha256 = [f"{row:064x}" for row in range(len(names))]
    sha256[-SHARED:] = sha256[:SHARED]  # the first and the last subjects share pictures
    return validate(
        pd.DataFrame(
            {
                "cell_id": names,
                "path": [f"{name}.bmp" for name in names],
                "label": [cell.label for cell in cells],
                "subject": [cell.subject for cell in cells],
                "fold": np.char.mod("%d", subject // 3 % 3),
                "sha256": sha256,
            }
        )
    )


def few_subjects(_: Path) -> dict[str, float]:
    """Many cells a subject."""
    return steps(np.sort(np.random.default_rng(SEED).integers(0, SUBJECTS, CELLS)))


def many_subjects(_: Path) -> dict[str, float]:
    """Each cell its own subject, but for the shared pictures."""
    return steps(np.arange(CELLS))


def steps(subject: np.ndarray) -> dict[str, float]:
    """Time what every command does with a table."""
    seconds: dict[str, float] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = step()
        seconds[name] = time.perf_counter() - started
        return result

    table = timed("names parsed and validated", lambda: table_of(subject))
    timed("group_ids", lambda: groups.group_ids(table))
    timed("grouped_folds, all 4", lambda: list(groups.grouped_folds(table)))
    timed("random_folds, all 4", lambda: list(groups.random_folds(table)))
    seconds["together"] = sum(seconds.values())
    return seconds


def own_files(folder: Path) -> dict[str, float]:
    """Read a CSV of files on disk: decoded and hashed once, later found in the cache."""
    seconds = {}
    for name in ("every file read", "found in the cache"):
        started = time.perf_counter()
        read_own(folder / "cells.csv", folder / "cache")
        seconds[name] = time.perf_counter() - started
    for kept in (folder / "cache").iterdir():
        kept.unlink()
    return seconds


def import_folder(folder: Path) -> None:
    """Write tiny pictures, no two alike, and their CSV."""
    rng = np.random.default_rng(SEED)
    rows = ["path,label,subject"]
    for row in range(CELLS):
        path = f"{row % SUBJECTS}/{row}.png"
        (folder / path).parent.mkdir(exist_ok=True)
        picture = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / path)
        rows.append(f"{path},{'HEM' if row % SUBJECTS % 3 == 0 else 'ALL'},{row % SUBJECTS}")
    (folder / "cells.csv").write_text("\n".join(rows) + "\n")


def measure(case: Callable[[Path], dict[str, float]], folder: Path) -> tuple[dict, float]:
    """Run one case, in a process that ends after it; seconds by step, and GB at the highest."""
    seconds = case(folder)
    assert "tensorflow" not in sys.modules
    # Linux counts in kilobytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def best(case: Callable[[Path], dict[str, float]], folder: Path) -> dict[str, Any]:
    """Repeat a case; the machine may be busy with other things."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = [pool.apply(measure, (case, folder)) for _ in range(REPEATS)]
    seconds = pd.DataFrame([one for one, _ in found]).min()
    return {
        "seconds": {str(step): round(float(took), 2) for step, took in seconds.items()},
        "peak_memory_gb": round(max(memory for _, memory in found), 2),
    }


if __name__ == "__main__":
    from leukhelpers.experiments import provenance

    with tempfile.TemporaryDirectory() as temporary:
        import_folder(Path(temporary))
        found = {
            "what": f"table, groups and splits of {CELLS:,} cells, the best of {REPEATS} runs",
            "seed": SEED,
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            **provenance.environment(),
            "cells": CELLS,
            f"{SUBJECTS} subjects": best(few_subjects, Path(temporary)),
            "each cell its own subject": best(many_subjects, Path(temporary)),
            "own CSV, files of 8×8 pixels": best(own_files, Path(temporary)),
        }
    files.write_json(Path(__file__).resolve().parent / "results" / "table_speed.json", found)
    for case, told in found.items():
        if isinstance(told, dict) and "peak_memory_gb" in told:
            print(
                case, *(f"  {step}: {took} s" for step, took in told["seconds"].items()), sep="\n"
            )
            print(f"  memory: {told['peak_memory_gb']} GB")
