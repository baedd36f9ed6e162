"""Citation, licenses, issue forms and the contributor's guide say what they should."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from leukhelpers import __version__
from tools import schedule

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text("utf-8"))


def fields(form: str) -> dict[str, dict]:
    return {field["id"]: field for field in read(FORMS / form)["body"]}


def test_readme_is_read_in_two_minutes():
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 900


def test_citation_has_the_needed_keys_and_the_version_of_the_package():
    cited = read(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["authors"] == [{"name": "The leukhelpers authors"}]
    assert str(cited["version"]) == PROJECT["version"] == __version__
    assert PROJECT["license"] == " AND ".join(cited["license"])
    heading = f"## {__version__} ({cited['date-released']})"
    assert heading in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()


def test_citation_names_no_place_that_nobody_gave_it():
    assert not {"doi", "url", "repository-code", "identifiers"} & set(read(ROOT / "CITATION.cff"))


def test_licenses_are_there_and_name_each_other():
    code, words = ((ROOT / name).read_text("utf-8") for name in PROJECT["license-files"])
    assert code.startswith("MIT License")
    assert "https://creativecommons.org/licenses/by/4.0/" in words
    assert "see LICENSE" in words


@pytest.mark.parametrize("form", ["lesson.yml", "package.yml"])
def test_forms_ask_for_lesson_cell_and_environment(form):
    assert {"name", "description", "body"} <= set(read(FORMS / form))
    asked = fields(form)
    assert {"lesson", "cell", "environment"} <= set(asked)
    assert "leuk doctor" in asked["environment"]["attributes"]["description"]
    assert asked["environment"]["validations"]["required"]
    assert asked["privacy"]["attributes"]["options"][0]["required"]
    for field in asked.values():
        assert field["type"] in {"input", "textarea", "dropdown", "checkboxes"}
        assert field["attributes"]["label"]


def test_the_lesson_form_offers_every_lesson():
    asked = fields("lesson.yml")
    *offered, _ = asked["lesson"]["attributes"]["options"]
    assert offered == [title for title, *_ in schedule.lessons().values()]
    assert asked["lesson"]["validations"]["required"]
    assert asked["cell"]["validations"]["required"]


def test_the_guide_names_each_part_that_a_lesson_must_have():
    guide = " ".join((ROOT / "CONTRIBUTING.md").read_text("utf-8").split())
    for part in ("setup", "parameters", "# solution", "nbval-check-output", "**Read next:**"):
        assert f"`{part}`" in guide, part
    for part in ("surprise", "Questions", "objectives", "Exercises", "Key points", "20 lines"):
        assert part in guide, part


def test_the_site_tells_of_every_module():
    listed = set(re.findall(r"^   (leukhelpers[.\w]*)$", (ROOT / "docs/api.md").read_text(), re.M))
    package = ROOT / "leukhelpers"
    found = {
        ".".join(["leukhelpers", *file.relative_to(package).with_suffix("").parts])
        for file in package.rglob("*.py")
        if not file.name.startswith("__")
    }
    packages = {
        ".".join(["leukhelpers", *file.parent.relative_to(package).parts])
        for file in package.glob("*/**/__init__.py")
    }
    assert listed == found | packages


def test_the_wheel_holds_each_result_that_a_lesson_reads():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    taken = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert [path for path in taken if not (ROOT / path).exists()] == []
    lessons = "".join(path.read_text("utf-8") for path in (ROOT / "lessons").glob("*.py"))
    read = set(re.findall(r'lk\.measured\("(\w+)"\)', lessons))
    assert read == {Path(path).stem for path in taken if path.startswith("benchmarks/")}


def test_binder_conda_and_the_dev_container_install_what_make_installs():
    environment = read(ROOT / "environment.yml")
    python = next(part for part in environment["dependencies"] if str(part).startswith("python="))
    assert python.partition("=")[2] in ("3.11", "3.12", "3.13")
    (pip,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    assert [(ROOT / line.partition(" ")[2]).is_file() for line in pip] == [True]
    build = (ROOT / "postBuild").read_text("utf-8")
    assert "pip install --no-deps --no-build-isolation -e ." in build
    assert os.access(ROOT / "postBuild", os.X_OK)
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))
    assert container["postCreateCommand"] == "make install"
