"""Measure what the two commands cost, and if asked beside an older version on the same machine.

    python -m benchmarks.course_cost course --out runs/measured
    python -m benchmarks.course_cost course --before ../version1
    python -m benchmarks.course_cost test --before ../version1

``--before`` names another checkout with its own ``.venv``. Its course comes between two of
ours, so that a machine that gets faster or slower does not decide; its tests come after ours,
and are stopped after ``--limit`` seconds. Each course run draws its cells and builds its caches
anew, in an empty workspace; ``--out`` keeps the folder of the first. The results go to
``benchmarks/results/course_cost.json`` and ``test_cost.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from leukhelpers import files
from leukhelpers.experiments import provenance

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
EVERY = 0.5  # seconds between two looks at the memory


def memory_of(process: psutil.Process) -> int:
    """Add up the memory of a process and its children, in bytes.

    Proportional shares where the system tells them: a page that three processes share
    counts for a third in each.
    """
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            info = one.memory_full_info()
            total += getattr(info, "pss", info.rss)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended meanwhile
    return total


def measure(
    command: list[str], checkout: Path, home: Path | None = None, limit: float = math.inf
) -> dict[str, Any]:
    """Run a command in a checkout: its seconds, and the peak memory of all its processes.

    What takes longer than `limit` seconds is stopped, and said to be ``stopped``.
    """
    environment = {**os.environ} if home is None else {**os.environ, "LEUK_HOME": str(home)}
    started, peak = time.monotonic(), 0
    process = psutil.Popen(command, cwd=checkout, env=environment)
    while process.poll() is None:
        peak = max(peak, memory_of(process))
        if time.monotonic() - started > limit:
            for one in [*process.children(recursive=True), process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            return {"seconds": limit, "peak_memory_gb": round(peak / 2**30, 2), "stopped": True}
        time.sleep(EVERY)
    return {
        "seconds": round(time.monotonic() - started, 1),
        "peak_memory_gb": round(peak / 2**30, 2),
        "status": process.returncode,
    }


def course(checkout: Path, kept: Path | None = None) -> dict[str, Any]:
    """Run the whole course of a checkout on synthetic cells, with nothing cached."""
    python = checkout / ".venv" / "bin" / "python"
    with tempfile.TemporaryDirectory() as home:
        out = kept or Path(home) / "run"
        command = [str(python), "-m", "leukhelpers.cli", "run", "--out", str(out)]
        found = measure(command, checkout, Path(home))
        lessons = files.read_json(out / "course.json")["lessons"]
    return {**found, "lesson_seconds": {name: one["seconds"] for name, one in lessons.items()}}


def tests(checkout: Path, limit: float) -> dict[str, Any]:
    """Run ``make test`` of a checkout, after what it installs."""
    subprocess.run([sys.executable, "make.py", "install"], cwd=checkout, check=True)
    return measure([sys.executable, "make.py", "test"], checkout, limit=limit)


def commit(checkout: Path) -> str:
    """Name the commit of a checkout."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["course", "test"])
    parser.add_argument("--before", type=Path, help="checkout of the older version")
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds, of tests")
    parser.add_argument("--out", type=Path, help="folder that keeps the course run")
    given = parser.parse_args()
    run = course if given.what == "course" else functools.partial(tests, limit=given.limit)
    first = course(ROOT, given.out.resolve()) if given.out else run(ROOT)
    turns, compared = [first], {}
    if given.before is not None:
        before = given.before.resolve()
        theirs = run(before)
        turns += [course(ROOT)] if given.what == "course" else []
        share = sum(turn["seconds"] for turn in turns) / len(turns) / theirs["seconds"]
        at_most = "_at_most" if "stopped" in theirs else ""
        compared = {
            "before": {**theirs, "commit": commit(before)},
            f"share_of_before{at_most}": round(share, 3),
        }
    if failed := [turn for turn in turns if turn["status"]]:
        parser.error(f"the command failed with status {failed[0]['status']}")
    ours = min(turns, key=lambda turn: turn["seconds"])
    seconds = [turn["seconds"] for turn in turns]
    found = {
        "what": {
            "course": "leuk run on the twin (synthetic cells), fast profile, nothing cached",
            "test": "make test, everything installed",
        }[given.what],
        "seed": 0,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **provenance.environment(),
        **ours,
        "commit": commit(ROOT),
        "seconds_of_each_turn": seconds,
        **compared,
    }
    files.write_json(RESULTS / f"{given.what}_cost.json", found)
    print(f"{seconds} s")


if __name__ == "__main__":
    main()
