"""Put the page that predicts in the browser into the built site, as *Try it now*.

    python -m tools.try_page site

The network is the newest one of the runs that was trained on synthetic cells; where there is none,
one is trained, in about a minute.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from leukhelpers import files
from leukhelpers.experiments import storage, train
from leukhelpers.models import prepare, profiles
from leukhelpers.serving import web


def main(arguments: list[str]) -> int:
    (site,) = map(Path, arguments)
    shutil.rmtree(site / "try", ignore_errors=True)
    with tempfile.TemporaryDirectory() as place:
        run = newest_run() or train_run(Path(place))
        result = web.export_web(run, site / "try")
    print(f"Try it now: the network of {result['run']}, {result['bytes'] / 1e6:.1f} MB.")
    return 0


def newest_run() -> Path | None:
    """Find the last finished run of the course's network on synthetic cells."""
    found = []
    for file in (files.workspace() / "runs").glob("*/run.json"):
        about = files.read_json(file)
        if about.get("synthetic") and storage.model_of(about) == "cnn":
            found.append(file)
    newest = max(found, key=lambda file: file.stat().st_mtime, default=None)
    return newest and newest.parent


def train_run(place: Path) -> Path:
    """Train the network of the profile fast, with one fold held out."""
    data, profile = files.workspace() / "data", profiles.profile_of("fast")
    cells = prepare.load("twin", profile, 0, data)
    prepared = prepare.prepare(cells, profile, 0, data)
    return train.train_run(place / "try", prepared, fold=0).folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
