"""The layers of the package, and the page about them."""

import re
import tomllib
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parent.parent


def test_a_module_imports_only_what_stands_below_it_and_nothing_in_a_circle():
    assert lint_imports(no_cache=True, no_logo=True) == 0


def test_the_page_names_files_that_there_are():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+(?:\.py|\.yaml|/))`", text))
    assert len(named) > 20
    absent = [name for name in named if not (ROOT / "leukhelpers" / name).exists()]
    assert absent == ["leukhelpers/"]


def test_the_page_shows_every_layer_in_its_order():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    picture = text.partition("```text\n")[2].partition("```")[0]
    shown = re.findall(r"^([a-z]+) ", picture, re.M)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    assert shown == [layer.split(" : ")[0] for layer in layers]
