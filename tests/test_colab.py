"""The badge and the set-up cell of the lessons, and the mirror of Colab's environment."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import make
from leukhelpers.files import read_json, write_json
from tools import badges, build, colab

SOURCES = build.sources([])


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Stamp a copy of the notebooks, not those of the course."""
    notebooks = tmp_path / "notebooks"
    shutil.copytree(build.NOTEBOOKS, notebooks)
    monkeypatch.setattr(build, "NOTEBOOKS", notebooks)
    monkeypatch.setattr(build, "REPOSITORY", tmp_path / "repository.txt")
    return notebooks


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*.*")}


@pytest.mark.slow
def test_a_stamp_gives_every_notebook_its_own_link_and_is_taken_away_again(copied, capsys):
    assert badges.main([]) == 0
    plain = contents(copied)
    assert len(plain) == 2 * len(SOURCES)
    assert badges.main(["owner/the-course"]) == 0
    assert "open from owner/the-course" in capsys.readouterr().out
    for name, text in contents(copied).items():
        path = f"owner/the-course/blob/HEAD/notebooks/{name}"
        assert re.findall(r"https://colab\.research\.google\.com/github/([^)]*)", text) == [path]
        assert text.count(f"kaggle.com/kernels/welcome?src=https://github.com/{path})") == 1
        assert (
            text.count(f"mybinder.org/v2/gh/owner/the-course/HEAD?labpath=notebooks/{name})") == 1
        )
        assert text.count("git+https://github.com/owner/the-course") == 1
    assert [build.out_of_step(source) for source in SOURCES] == [[]] * len(SOURCES)
    described = sorted((copied.parent / "kaggle").glob("*/kernel-metadata.json"))
    assert len(described) == len(SOURCES)
    for file in described:
        told = read_json(file)
        assert (file.parent / told["code_file"]).resolve().is_file()
        assert told["id"] == f"owner/{told['title'].lower().replace(' ', '-')}"
    assert badges.main(["other/home"]) == 0
    assert not [name for name, text in contents(copied).items() if "owner/" in text]
    assert badges.main([]) == 0
    assert contents(copied) == plain
    assert not (copied.parent / "kaggle").exists()


@pytest.mark.slow
def test_without_a_stamp_no_notebook_links_to_a_place_that_may_not_be_there(copied):
    badges.main([])
    for name, text in contents(copied).items():
        assert not re.search(r"colab\.research|kaggle\.com/kernels|mybinder", text), name
        assert "git+https" not in text, name


@pytest.mark.parametrize(
    "named",
    [["owner"], ["owner/name/more"], ["https://github.com/owner/name"], ["a/b c"], ["a", "b"]],
)
def test_what_names_no_repository_is_refused_and_nothing_is_stamped(named, copied, capsys):
    before = contents(copied)
    assert badges.main(named) == 2
    told = capsys.readouterr().err
    assert told.startswith("REPO must be owner/name")
    assert told.count("\n") == 1
    assert contents(copied) == before
    assert not build.REPOSITORY.exists()


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Record what the set-up cell would have pip do, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    made = []

    def run(command, **_):
        made.append([str(part) for part in command])
        return types.SimpleNamespace(stdout=b"tensorflow==2.20.0\n")

    monkeypatch.setattr(subprocess, "run", run)
    return made


@pytest.mark.parametrize("home", ["", "owner/name"])
def test_the_set_up_cell_does_nothing_outside_colab(home, calls):
    exec(build.setup_cell(home), {})
    assert not calls


def test_the_set_up_cell_explains_where_the_package_is_if_it_is_missing(calls, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="make install, then"):
        exec(build.setup_cell(""), {})
    assert not calls


@pytest.mark.parametrize("home", ["", "owner/name"])
@pytest.mark.parametrize("where", ["Colab", "Kaggle"])
def test_the_set_up_cell_installs_beside_what_colab_has(home, where, calls, monkeypatch):
    if where == "Colab":
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    else:
        monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    Path("leukhelpers-2.0.0-py3-none-any.whl").touch()
    exec(build.setup_cell(home), {})
    package = f"git+https://github.com/{home}" if home else "leukhelpers-2.0.0-py3-none-any.whl"
    kept = ["--constraint", "colab-has.txt", package]
    assert calls[-1] == [sys.executable, "-m", "pip", "install", "--quiet", *kept]
    assert Path("colab-has.txt").read_text() == "tensorflow==2.20.0\n"


def test_the_set_up_cell_asks_for_a_wheel_that_is_not_there(calls, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    with pytest.raises(FileNotFoundError, match="from your teacher"):
        exec(build.setup_cell(""), {})
    assert not calls


def test_colabs_versions_are_plain_pins_that_suit_the_course():
    from importlib import metadata

    from packaging.requirements import Requirement

    lines = colab.PINS.read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins["tensorflow"] == "2.20.0"
    assert list(pins) == sorted(pins)
    for line in metadata.requires("leukhelpers"):
        wanted = Requirement(line)
        if wanted.name in pins:
            assert wanted.specifier.contains(pins[wanted.name]), line


def test_the_mirror_notices_what_the_set_up_cell_changed():
    before = {"numpy": "2.1.3", "dask": "2026.7.1", "keras": "3.13.2"}
    after = {"numpy": "2.1.3", "dask": "2026.8.0", "papermill": "2.7.0"}
    assert colab.changes(before, after) == ["dask 2026.7.1 → 2026.8.0", "keras 3.13.2 → gone"]


def test_a_computer_without_colabs_python_is_told_so(monkeypatch, capsys):
    monkeypatch.setattr(colab, "candidates", lambda: iter(["", "/nowhere/python3.13"]))
    assert colab.main([]) == 1
    told = capsys.readouterr().err
    assert told.startswith("No CPython 3.13 was found")
    assert told.count("\n") == 1


@pytest.mark.parametrize("words", [["cook"], ["course", "badges"], []])
def test_make_knows_its_tasks_and_which_take_arguments(words, capsys, monkeypatch):
    monkeypatch.setattr(make, "install", lambda: pytest.fail("nothing is to be installed"))
    assert make.main(*words) == 2
    assert "There is no task" in capsys.readouterr().err


def test_make_hands_the_repository_on(monkeypatch):
    done = []
    monkeypatch.chdir(make.ROOT)  # where it goes, and from where the test comes back
    monkeypatch.setattr(make, "install", lambda: None)
    monkeypatch.setattr(subprocess, "call", lambda command, **_: done.append(command[1:]) or 0)
    assert make.main("badges", "owner/name") == 0
    assert done == [["-m", "tools.badges", "owner/name"]]


def test_the_mirror_goes_on_after_a_lesson_that_fails(tmp_path, monkeypatch):
    """With a command in leuk's place, of which lesson 02 fails."""
    ran: list[str] = []

    def run(command, **_):
        if "--only" not in command:
            return types.SimpleNamespace(stdout=b"[]")
        lessons = {}
        for number in command[-1].split(","):
            if number == "02":
                write_json(tmp_path / "content/run/course.json", {"lessons": lessons})
                raise subprocess.CalledProcessError(1, command)
            lessons[f"{number}_name"] = {}
            ran.append(number)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(colab, "find_python", lambda: "python3.13")
    with pytest.raises(colab.MirrorError, match=r"these lessons fail: 02\.$"):
        colab.mirror(tmp_path, [])
    assert ran == [source.name[:2] for source in SOURCES if source.name[:2] != "02"]
