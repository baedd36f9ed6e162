"""No measure moves unnoticed: see tests/kept_numbers.py."""

from __future__ import annotations

from typing import Any

import pytest

from leukhelpers.files import read_json
from tests import kept_numbers


def assert_close(found: Any, kept: Any, place: str) -> None:
    """Compare nested lists and mappings, numbers but for rounding, all else exactly."""
    if isinstance(kept, dict):
        assert found.keys() == kept.keys(), place
        for key, value in kept.items():
            assert_close(found[key], value, f"{place}/{key}")
    elif isinstance(kept, list):
        assert len(found) == len(kept), place
        for index, value in enumerate(kept):
            assert_close(found[index], value, f"{place}/{index}")
    elif isinstance(kept, float):
        # What a network says differs a little from one processor to the next.
        rel, near = (0.02, 0.002) if place.startswith("explained") else (1e-5, 1e-7)
        assert found == pytest.approx(kept, rel=rel, abs=near), place
    else:
        assert found == kept, place


@pytest.mark.parametrize("case", kept_numbers.CASES)
def test_measures_of_fixed_cells_and_answers_are_those_that_were_kept(case):
    found = kept_numbers.plain(kept_numbers.CASES[case]())
    assert_close(found, read_json(kept_numbers.FILE)[case], case)
