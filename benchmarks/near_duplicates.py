"""Count the real cells of fold 0 that look alike without being equal files.

    python benchmarks/near_duplicates.py --real .../C-NMC_Leukemia --out near.json

Only numbers and names of subjects are written, never a pixel.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from pathlib import Path

import numpy as np

from leukhelpers import files
from leukhelpers.datasets import load_dataset
from leukhelpers.experiments import provenance
from leukhelpers.images.preprocessing import build_pixels
from leukhelpers.models import profiles
from leukhelpers.splits import near_duplicates

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    profile = profiles.PROFILES["fast"]
    with tempfile.TemporaryDirectory() as home:
        cells = load_dataset(given.real, home)
        pixels = build_pixels(cells, home, profile.size, profile.crop)
        pairs = near_duplicates.near_duplicates(pixels.array, pixels.table)
    across = pairs[pairs["subject_a"] != pairs["subject_b"]]
    names = np.unique(pairs[["cell_a", "cell_b"]])
    files.write_json(
        given.out,
        {
            "cells": len(pixels.table),
            "seed": None,  # nothing here is drawn by chance
            "distance": near_duplicates.DISTANCE,
            "pairs": len(pairs),
            "cells_in_pairs": len(names),
            "of_two_subjects": len(across),
            "subjects": sorted({*across["subject_a"], *across["subject_b"]}, key=int),
            "date": datetime.date.today().isoformat(),
            "machine": provenance.environment()["machine"],
        },
    )
    print(files.read_json(given.out))
