"""Measure how fast the twin is drawn and written: images of 450×450 a second.

python benchmarks/twin_speed.py
"""

from __future__ import annotations

import datetime
import tempfile
import time
from pathlib import Path

from leukhelpers import files
from leukhelpers.experiments import provenance
from leukhelpers.synthetic.twin import write_twin

IMAGES, SUBJECTS, SEED = 1200, 28, 0

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write_twin(Path(folder) / "twin", IMAGES, SUBJECTS, SEED)
        seconds = time.perf_counter() - started
    found = {
        "what": "the fast profile's twin, drawn and written, start of the workers included",
        "seed": SEED,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **provenance.environment(),
        "images": IMAGES,
        "seconds": round(seconds, 2),
        "images_per_second": round(IMAGES / seconds, 1),
    }
    files.write_json(Path(__file__).resolve().parent / "results" / "twin_speed.json", found)
    print(f"{found['images_per_second']} images a second")
