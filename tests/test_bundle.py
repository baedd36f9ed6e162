"""The bundle for a workshop without network: its list of wheels, its files, its commands."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from tools import build, bundle


def make_wheel(folder: Path, name: str) -> Path:
    """Write a wheel of one empty module, which pip takes for a real one."""
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return wheel


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "wheels").mkdir()
    make_wheel(folder / "wheels", "nought")
    bundle.fill(folder)
    return folder


def install(folder: Path, place: Path) -> subprocess.CompletedProcess[str]:
    """Give the README's second command, into a folder instead of an environment."""
    (command,) = [line for line in bundle.readme().splitlines() if "--no-index" in line]
    _, options = command.split(" install ")
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    return subprocess.run(
        [*pip, "--target", place, *options.split()], cwd=folder, capture_output=True, text=True
    )


@pytest.mark.slow
def test_the_readmes_command_installs_from_the_folder_alone(filled, tmp_path):
    done = install(filled, tmp_path / "place")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "place" / "nought.py").is_file()


def test_a_wheel_that_was_damaged_on_the_way_is_refused(filled, tmp_path):
    (tmp_path / "wheels").mkdir()
    with make_wheel(tmp_path / "wheels", "nought").open("ab") as wheel:
        wheel.write(b"damaged")
    (tmp_path / "requirements.txt").write_text((filled / "requirements.txt").read_text())
    done = install(tmp_path, tmp_path / "place")
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_learners_get_their_notebooks_and_the_solved_ones_lie_apart(filled):
    names = {f"{source.stem}.ipynb" for source in build.sources([])}
    for place in ("notebooks", "solutions"):
        assert {path.name for path in (filled / place).iterdir()} == names
    first = sorted(names)[0]
    copied, learners = (
        [cell for cell in nbformat.read(folder / first, 4).cells if cell.cell_type == "code"]
        for folder in (filled / "notebooks", build.NOTEBOOKS / "exercises")
    )
    assert copied == learners


def test_what_a_notebook_links_to_is_in_the_bundle(filled):
    found = [
        notebook.parent / link
        for notebook in filled.glob("*/*.ipynb")
        for link in re.findall(r"\(((?:\.\./)+[\w/-]+\.\w+)", notebook.read_text("utf-8"))
    ]
    assert len(found) > len(build.sources([]))
    assert [link for link in found if not link.is_file()] == []


def test_the_readme_says_for_which_computers_it_is():
    told = bundle.readme(windows=False)
    assert platform.system() in told
    assert ".".join(platform.python_version().split(".")[:2]) in told
    assert "leuk/bin/python -m pip" in told
    assert "leuk\\Scripts\\python -m pip" in bundle.readme(windows=True)


def test_a_failed_collection_leaves_the_old_bundle(tmp_path, monkeypatch, capsys):
    def fail(folder: Path) -> None:
        raise subprocess.CalledProcessError(1, ["pip"])

    (tmp_path / "bundle").mkdir()
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    monkeypatch.setattr(bundle, "BUNDLE", tmp_path / "bundle")
    monkeypatch.setattr(bundle, "collect_wheels", fail)
    assert bundle.main() == 1
    assert "could not collect" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_finished_bundle_replaces_the_old_one_and_its_size_is_said(tmp_path, monkeypatch, capsys):
    def collect(folder: Path) -> None:
        folder.mkdir(parents=True)
        make_wheel(folder, "nought")

    (tmp_path / "bundle").mkdir()
    for name in ("bundle/old", "LICENSE", "LICENSE-TEXT"):
        (tmp_path / name).touch()
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    monkeypatch.setattr(bundle, "BUNDLE", tmp_path / "bundle")
    monkeypatch.setattr(bundle, "collect_wheels", collect)
    monkeypatch.setattr(bundle, "load_dataset", lambda *_: None)
    assert bundle.main() == 0
    assert re.search(r"bundle/ is ready: \d+\.\d GB", capsys.readouterr().out)
    names = {path.name for path in (tmp_path / "bundle").iterdir()}
    assert {"wheels", "notebooks", "solutions", "requirements.txt", "README.md"} <= names
    assert "old" not in names
