"""Measure how much of each simple measure goes with the class and how much with the subject.

    python benchmarks/variance_shares.py --real PATH

The measures are those of lesson 01, taken in the original images.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import r2_score

from leukhelpers import files
from leukhelpers.experiments import provenance
from leukhelpers.models import prepare, profiles

RESULT = Path(__file__).resolve().parent / "results" / "variance_shares.json"


def measure(path: Path) -> dict[str, float]:
    """Measure one cell, as lesson 01 does."""
    image = Image.open(path).convert("RGB")
    pixels = np.asarray(image.crop(image.getbbox())).astype(float)
    inside, gray = pixels.max(axis=2) > 0, pixels.mean(axis=2)
    red, green, blue = pixels[inside].mean(axis=0)
    steps = np.abs(np.diff(gray, axis=1))[inside[:, 1:] & inside[:, :-1]]
    numbers = {"area": inside.sum(), "red": red, "green": green, "blue": blue}
    return numbers | {"spread": gray[inside].std(), "sharpness": steps.mean()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, required=True)
    profile, data = profiles.PROFILES["fast"], files.workspace() / "data"
    dataset = prepare.load(parser.parse_args().real, profile, 0, data)
    prepared = prepare.prepare(dataset, profile, 0, data)
    table = prepared.table
    measures = pd.DataFrame([measure(dataset.root / path) for path in table["path"]])
    shares = {}
    for name, values in measures.items():
        shares[name] = {}
        for key, column in (("by_class", "label"), ("by_subject", "subject")):
            means = values.groupby(table[column]).transform("mean")
            shares[name][key] = round(float(r2_score(values, means)), 4)
    about = provenance.describe(prepared)
    about["dataset"] = "fold 0 of the training set of C-NMC 2019"
    about["date"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    files.write_json(RESULT, {**about, "measures": shares})
    print(pd.DataFrame(shares).T)


if __name__ == "__main__":
    main()
