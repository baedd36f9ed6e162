"""The commands that the documents show: each exists, and those of the README and the guides run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import yaml
from PIL import Image

import make
from leukhelpers import cli

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
DOCUMENTS = sorted(
    path
    for folder in (".", "data", "docs", "docs/teaching", "docs/handouts")
    for path in (ROOT / folder).glob("*.md")
)
# What a reader puts in place of a word in capitals.
NAMED = {"FOLDER": "own", "PICTURES": "own/blasts/patient1/0.png", "HOST": "127.0.0.1"}


def commands(path: Path) -> Iterator[list[str]]:
    """Split the lines of a document's shell blocks into words."""
    fences = re.findall(r"^```\w*\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for line in "".join(fences).splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # an apostrophe: no command
            continue
        if words:
            yield [NAMED.get(word, word) for word in words]


def shown(program: str, *paths: Path) -> list[list[str]]:
    """List the arguments of each call of a program."""
    return [
        words[1:] for path in paths for words in commands(path) if Path(words[0]).name == program
    ]


def label(arguments: list[str]) -> str:
    return " ".join(arguments)


@pytest.mark.parametrize("arguments", shown("leuk", *DOCUMENTS), ids=label)
def test_leuk_knows_each_command_and_option(arguments):
    command, rest = typer.main.get_command(cli.app), list(arguments)
    while hasattr(command, "commands"):
        name = rest.pop(0)
        assert name in command.commands, f"leuk has no command {name}"
        command = command.commands[name]
    command.make_context("leuk", rest)  # raises if it does not know an option


def test_the_list_of_commands_has_them_all():
    group = typer.main.get_command(cli.app)
    parts = {"data": group.commands["data"].commands}
    parts[""] = {name: command for name, command in group.commands.items() if name != "data"}
    known = {
        f"leuk {part} {name}".replace("  ", " ")
        for part, commands_of in parts.items()
        for name, command in commands_of.items()
        if not command.hidden
    }
    page = (ROOT / "docs/commands.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(leuk [a-z ]+)` \|", page, re.MULTILINE)) == known


@pytest.mark.parametrize("arguments", shown("make", *DOCUMENTS), ids=label)
def test_make_and_make_py_know_each_task(arguments):
    assert arguments[0] in make.TASKS
    assert re.search(rf"^[\w -]*\b{arguments[0]}\b[\w -]*:", (ROOT / "Makefile").read_text(), re.M)


def test_the_readme_calls_no_program_that_this_test_does_not_know():
    called = {Path(words[0]).name for words in commands(ROOT / "README.md")}
    assert called == {"make", "jupyter", "papermill", "leuk", "python"}


def test_places_in_the_repository_that_the_readme_hands_over_are_there():
    for program in ("jupyter", "papermill", "python"):
        for arguments in shown(program, ROOT / "README.md"):
            places = re.findall(r"\b(?:notebooks|docs|tests|lessons)/[\w./]+", " ".join(arguments))
            assert places, arguments
            assert all((ROOT / place).exists() for place in places)


def start(folder: Path, program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program as in a checkout, with everything that it writes in a temporary folder."""
    environment = {**os.environ, "LEUK_HOME": str(folder)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([PROGRAMS / program, *arguments], cwd=folder, env=environment, **pipes)


def call(folder: Path, program: str, *arguments: str) -> None:
    """Run a program to its end, and see that it ended well."""
    process = start(folder, program, *arguments)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed


@pytest.fixture(scope="module")
def place(tmp_path_factory, disc) -> Path:
    """A folder with the notebooks, a small grid, and a reader's own pictures."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    grid = yaml.safe_load((ROOT / "docs/examples/sweep.yaml").read_text())
    grid["fixed"]["profile"] = "smoke"
    grid["grid"] = {"model": ["svm"], "fold": [0, 1], "seed": [0]}
    (folder / "docs/examples").mkdir(parents=True)
    (folder / "docs/examples/sweep.yaml").write_text(yaml.safe_dump(grid))
    for number in range(16):
        patient = folder / "own" / ("blasts", "normal")[number % 2] / f"patient{number + 1}"
        patient.mkdir(parents=True)
        for cell in range(3):
            picture = disc(10 * number + cell, radius=60 - 10 * (number % 2) + cell)
            Image.fromarray(picture).save(patient / f"{cell}.png")
    return folder


@pytest.mark.slow
def test_the_readmes_commands_run_one_after_the_other(place):
    """On fewer cells, folds and epochs, and on a lesson without a network."""
    ran = []
    for program in ("papermill", "leuk"):
        for arguments in shown(program, ROOT / "README.md"):
            if program == "papermill":
                arguments[0] = "notebooks/01_exploration.ipynb"
                arguments += ["-p", "profile", "smoke"]
            elif arguments[0] in ("crossval", "train"):
                arguments += ["--profile", "smoke"]
                arguments = ["2" if word == "4" else word for word in arguments]
            elif "cnmc" in arguments:
                continue  # these cells are not on every computer
            elif arguments[0] == "grade":
                arguments[1] = "notebooks"
            call(place, program, *arguments)
            ran.append(arguments[0])
    assert {"crossval", "sweep", "data", "train", "predict", "grade"} < set(ran)
    assert (place / "out.ipynb").is_file()
    assert (place / "runs/sweep/results.csv").is_file()
    assert (place / "runs/mine/run.json").is_file()


@pytest.mark.slow
def test_the_guide_to_many_runs_can_be_followed(place, port, monkeypatch, capsys):
    """One notebook on own cells, a grid here and on a cluster, its results in pandas."""
    guide = ROOT / "docs/scale.md"
    (imported,) = [words for words in shown("leuk", ROOT / "README.md") if words[1] == "import"]
    if not (place / "my_table").exists():
        call(place, "leuk", *imported)
    (notebook,) = shown("papermill", guide)
    call(place, "papermill", *notebook, "-p", "profile", "smoke")
    assert (place / "runs/own").is_dir()
    here = [[word.replace("8786", str(port)) for word in words] for words in shown("dask", guide)]
    scheduler, worker, *_ = here
    grid = place / "docs/examples/sweep.yaml"
    asked = yaml.safe_load(grid.read_text())
    asked["grid"]["fold"] = [0]  # one run is enough here
    grid.write_text(yaml.safe_dump(asked))
    (sweep,) = [words for words in shown("leuk", guide) if "runs/cluster" in words]
    sweep = [word.replace("8786", str(port)) for word in sweep]
    with start(place, "dask", *scheduler) as one, start(place, "dask", *worker) as two:
        try:
            call(place, "leuk", *sweep)
        finally:
            for process in (two, one):
                process.terminate()
                process.communicate()
    (code,) = re.findall(r"^```python\n(import pandas.*?)^```", guide.read_text(), re.M | re.S)
    monkeypatch.chdir(place)
    exec(code, {})
    assert "svm" in capsys.readouterr().out
