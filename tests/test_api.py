"""The public names of the package: few, used by the lessons, documented, with examples that run."""

from __future__ import annotations

import doctest
import inspect
import re

import numpy as np
import pytest

import leukhelpers as lk
from tools import build

SOURCES = [source.read_text("utf-8") for source in build.sources([])]
CONSTANTS = {"CLASS_COLORS", "MODEL_COLORS"}


def test_there_are_at_most_forty_and_each_is_used_by_a_lesson():
    used = {name for text in SOURCES for name in re.findall(r"\blk\.(\w+)", text)}
    assert len(lk.__all__) <= 40
    assert used - {"NOTICE"} == set(lk.__all__)


def test_a_lesson_imports_nothing_else_from_the_package():
    for text in SOURCES:
        assert re.findall(r"^(?:import|from) .*leukhelpers.*$", text, re.M) == [
            "import leukhelpers as lk"
        ]
        assert "from leukhelpers" not in text


def test_the_page_of_the_names_lists_each_of_them():
    page = (build.ROOT / "docs" / "api.md").read_text("utf-8")
    listed = re.findall(r"^   ~leukhelpers\.(\w+)$", page.split("## Modules")[0], re.M)
    assert sorted(listed) == sorted(lk.__all__)


@pytest.mark.parametrize("name", sorted(set(lk.__all__) - CONSTANTS))
def test_the_example_of_each_name_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEUK_HOME", str(tmp_path))
    found = getattr(lk, name)
    text = inspect.getdoc(found) or ""
    assert "Examples\n--------\n" in text
    test = doctest.DocTestParser().get_doctest(text, {"np": np}, name, None, None)
    assert test.examples
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    said: list[str] = []
    doctest.DocTestRunner(optionflags=flags).run(test, out=said.append)
    assert not said, "".join(said)
