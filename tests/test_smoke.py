"""Every lesson runs from end to end on a few cells, and prints what it printed before."""

from __future__ import annotations

from pathlib import Path

import pytest

from leukhelpers.files import read_json
from tools import build, smoke


def test_every_lesson_runs_and_its_compared_cells_print_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEUK_HOME", str(tmp_path))  # put back afterwards
    found, expected = smoke.run(tmp_path), read_json(smoke.OUTPUTS)
    assert list(found) == [source.stem for source in build.sources([])]
    for lesson, cells in expected.items():
        assert found[lesson] == cells, f"{lesson}; if it is meant so: make lessons"
