"""Measure what the whole course costs: seconds a lesson, and peak memory of all processes.

    python benchmarks/course_cost.py --out runs/twin-fast-seed0

The twin is drawn and the caches are built anew, as on a fresh machine, in a folder of
their own. The result goes to ``benchmarks/results/course_cost.json``.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from leukhelpers import files, runs

RESULTS = Path(__file__).resolve().parent / "results"
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


def measure(out: Path) -> dict:
    """Run the course into `out`, and measure it."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "leukhelpers.cli", "run", "--out", str(out)]
        started = time.monotonic()
        course = psutil.Popen(command, env={**os.environ, "LEUK_HOME": home})
        peak = 0
        while course.poll() is None:
            peak = max(peak, memory_of(course))
            time.sleep(EVERY)
        seconds = time.monotonic() - started
    if course.returncode:
        raise subprocess.CalledProcessError(course.returncode, command)
    lessons = files.read_json(out / "course.json")["lessons"]
    return {
        "what": "leuk run on the twin (synthetic cells), fast profile, nothing cached",
        "seed": 0,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **runs.environment(),
        "seconds": round(seconds, 1),
        "peak_memory_gb": round(peak / 2**30, 2),
        "lesson_seconds": {name: entry["seconds"] for name, entry in lessons.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    found = measure(parser.parse_args().out.resolve())
    files.write_json(RESULTS / "course_cost.json", found)
    print(f"{found['seconds']:.0f} s, peak memory {found['peak_memory_gb']} GB")
