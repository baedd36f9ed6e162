"""The course on cells of one's own, unlike C-NMC in all that may differ."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from leukhelpers import files
from leukhelpers.course import run_lessons
from leukhelpers.experiments import run_notebook

pytestmark = pytest.mark.slow
# Those that read the cells in ways of their own; 03, 08, 10, 12 and 13 use the same attributes.
LESSONS = ["00", "01", "02", "04", "05", "06", "07", "09", "11"]


@pytest.fixture
def own_csv(tmp_path):
    """Pictures of 224×224 without any black, subjects with names, no folds."""
    generator = np.random.default_rng(0)
    lines = ["path,label,subject"]
    for number in range(12):
        label = ("ALL", "HEM")[number % 2]
        for cell in range(6):
            picture = generator.integers(60, 200, (224, 224, 3), dtype=np.uint8)
            picture[60:150, 60 : 150 - 30 * (label == "HEM")] = 230
            Image.fromarray(picture).save(tmp_path / f"p{number}c{cell}.png")
            lines.append(f"p{number}c{cell}.png,{label},person {number}")
    (tmp_path / "empty.png").write_bytes(b"")
    lines.append("empty.png,ALL,person 0")
    csv = tmp_path / "my cells.csv"
    csv.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return csv


def test_lessons_run_on_own_cells(own_csv, tmp_path, monkeypatch):
    monkeypatch.setenv("LEUK_HOME", str(tmp_path / "home"))
    parameters = {"dataset": str(own_csv), "profile": "smoke", "seed": 3}
    results = list(run_lessons.run_lessons(tmp_path / "run", parameters, LESSONS))
    wanted = [path.stem for path in run_notebook.find_lessons(LESSONS)]
    assert sorted(result.name for result in results) == wanted
    set_aside = (tmp_path / "run" / "set_aside.csv").read_text("utf-8")
    assert "empty.png,the file is empty" in set_aside
    assert files.read_json(tmp_path / "run" / "metrics.json")["synthetic"] is False
