from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_notebook

from leukhelpers.course import run_lessons
from leukhelpers.errors import InputError, LessonError
from leukhelpers.experiments import run_notebook

PARAMETERS = 'dataset: str = "twin"\nseed: int = 0\nrun: str = ""'
GIVEN = {"dataset": "twin", "seed": 0}


def write_lesson(folder: Path, name: str, *cells: str) -> None:
    parameters = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    notebook = new_notebook(cells=[parameters, *(new_code_cell(cell) for cell in cells)])
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["kernelspec"] = kernel
    nbformat.write(notebook, folder / f"{name}.ipynb")


def touching(name: str) -> str:
    """A cell that adds a line to a file each time it runs."""
    return f"open(run + '/{name}.count', 'a').write('x')"


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    folder = tmp_path / "lessons in a folder"
    folder.mkdir()
    monkeypatch.setattr(run_notebook, "lesson_folder", lambda: folder)
    return folder


def run_all(folder: Path, **options: object) -> list[run_lessons.LessonResult]:
    return list(run_lessons.run_lessons(folder, GIVEN, **options))


def waiting_for(name: str) -> str:
    """A cell that ends when a file is there."""
    return (
        f"import pathlib, time\nend = time.monotonic() + 60\n"
        f"while not pathlib.Path(run + '/{name}.count').exists():\n"
        f"    assert time.monotonic() < end\n    time.sleep(0.05)"
    )


def test_two_lessons_run_at_once_and_tell_each_cell(lessons, tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # else ipykernel leaves the error stream alone
    loud = "import os\nos.write(2, b'as TensorFlow does')\nprint(seed)"
    write_lesson(lessons, "02_second", touching("second"), waiting_for("first"), loud)
    write_lesson(lessons, "01_first", touching("first"), waiting_for("second"))
    heard: list[tuple[str, int, int]] = []
    results = run_all(tmp_path / "run", listen=lambda *told: heard.append(told))
    assert sorted(result.name for result in results) == ["01_first", "02_second"]
    assert all(result.seconds > 0 and result.again for result in results)
    for name, n_cells in (("01_first", 3), ("02_second", 4)):
        told = [(cell, cells) for lesson, cell, cells in heard if lesson == name]
        assert told == [(cell, n_cells) for cell in range(1, n_cells + 1)]
    done = nbformat.read(tmp_path / "run" / "notebooks" / "02_second.ipynb", as_version=4)
    assert [out.text for out in done.cells[-1].outputs if out.name == "stdout"] == ["0\n"]
    assert capfd.readouterr().err == ""
    course = json.loads((tmp_path / "run" / "course.json").read_text())
    assert course["seconds"] >= max(result.seconds for result in results) - 0.2


@pytest.mark.slow
def test_never_more_than_two_lessons_run_at_once(lessons, tmp_path):
    counted = (
        "import pathlib, time\nplace = pathlib.Path(run) / 'at-work'\nplace.mkdir(exist_ok=True)\n"
        "mine = place / str(time.monotonic_ns())\nmine.touch()\ntime.sleep(0.5)\n"
        "print(len(list(place.iterdir())))\nmine.unlink()"
    )
    for number in range(1, 5):
        write_lesson(lessons, f"0{number}_lesson", counted)
    run_all(tmp_path / "run")
    for path in (tmp_path / "run" / "notebooks").iterdir():
        assert int(nbformat.read(path, as_version=4).cells[-1].outputs[0].text) <= 2


@pytest.mark.slow
def test_lessons_that_read_the_network_wait_for_the_one_that_trains_it(lessons, tmp_path):
    there = "import pathlib\nassert pathlib.Path(run + '/network.count').exists()"
    write_lesson(lessons, "05_trains", "import time; time.sleep(1)", touching("network"))
    write_lesson(lessons, "06_reads", there)
    write_lesson(lessons, "07_reads", there)
    write_lesson(lessons, "08_alone", touching("alone"))
    names = [result.name for result in run_all(tmp_path / "run")]
    assert names.index("05_trains") < min(names.index("06_reads"), names.index("07_reads"))


def test_unknown_lesson_is_refused(lessons, tmp_path):
    write_lesson(lessons, "01_first", "1")
    with pytest.raises(InputError, match="no lesson 07; there are 01"):
        run_all(tmp_path / "run", only=["07"])


@pytest.mark.slow
def test_failing_lesson_is_named_with_its_cell_and_error_and_resume_goes_on(lessons, tmp_path):
    run = tmp_path / "run"
    until_it_failed = waiting_for("first").replace(
        "first.count", "notebooks/02_second.failed.ipynb"
    )
    write_lesson(lessons, "01_first", touching("first"), until_it_failed)
    write_lesson(lessons, "02_second", waiting_for("first"), "# why\nraise KeyError('a lost key')")
    with pytest.raises(LessonError, match=r"(?s)02_second failed in code cell .*a lost key"):
        run_all(run)
    assert (run / "notebooks" / "01_first.ipynb").is_file()  # what ran beside it is kept
    assert (run / "notebooks" / "02_second.failed.ipynb").is_file()
    assert not (run / "notebooks" / "02_second.ipynb").exists()

    write_lesson(lessons, "02_second", touching("second"))
    results = run_all(run, resume=True)
    assert [result.again for result in results] == [False, True]
    assert (run / "first.count").read_text() == "x"
    assert not (run / "notebooks" / "02_second.failed.ipynb").exists()


@pytest.mark.slow
def test_after_a_failure_no_lesson_begins_and_each_that_had_begun_is_ended(lessons, tmp_path):
    run, names = tmp_path / "run", [f"0{number}_lesson" for number in range(2, 9)]
    write_lesson(lessons, "01_fails", "raise KeyError")
    for name in names:
        write_lesson(lessons, name, touching(name), "import time; time.sleep(1)")
    with pytest.raises(LessonError, match="01_fails"):
        run_all(run)
    begun = sorted(path.stem for path in run.glob("*.count"))
    course = json.loads((run / "course.json").read_text())
    assert begun == sorted(course["lessons"])
    assert len(begun) < len(names)
    assert sorted(path.stem for path in (run / "notebooks").glob("0*lesson.ipynb")) == begun


@pytest.mark.slow
def test_cell_number_of_a_failure_counts_code_cells_of_the_lesson(lessons, tmp_path):
    write_lesson(lessons, "01_first", "x = 1", "raise ValueError('here')")
    with pytest.raises(LessonError, match=r"code cell 3 of 3, \"raise ValueError"):
        run_all(tmp_path / "run")


@pytest.mark.slow
def test_kernel_that_dies_fails_its_lesson(lessons, tmp_path):
    write_lesson(lessons, "01_first", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(LessonError, match="01_first failed in code cell 2 of 2: its kernel died"):
        run_all(tmp_path / "run")
    assert not (tmp_path / "run" / "notebooks" / "01_first.ipynb").exists()
    assert json.loads((tmp_path / "run" / "course.json").read_text())["lessons"] == {}


@pytest.mark.slow
def test_killed_run_is_not_taken_for_whole_and_resumes(lessons, tmp_path):
    run = tmp_path / "run"
    write_lesson(lessons, "01_first", touching("first"))
    write_lesson(
        lessons,
        "02_second",
        touching("second"),
        "import pathlib, time\nif len(pathlib.Path(run + '/second.count').read_text()) == 1:\n"
        "    time.sleep(600)",
    )
    program = (
        "import sys, pathlib; from leukhelpers.course import run_lessons; "
        "from leukhelpers.experiments import run_notebook; "
        "run_notebook.lesson_folder = lambda: pathlib.Path(sys.argv[1]); "
        f"list(run_lessons.run_lessons(pathlib.Path(sys.argv[2]), {GIVEN!r}))"
    )

    def done(name: str) -> bool:
        course = run / "course.json"
        return course.is_file() and name in json.loads(course.read_text())["lessons"]

    process = subprocess.Popen(
        [sys.executable, "-c", program, str(lessons), str(run)], start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while not ((run / "second.count").exists() and done("01_first")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (run / "notebooks" / "02_second.ipynb").exists()

    results = run_all(run, resume=True)
    assert [result.again for result in results] == [False, True]
    assert (run / "notebooks" / "02_second.ipynb").is_file()
    assert (run / "first.count").read_text() == "x"


def test_nothing_is_lost_when_the_folder_is_in_use(lessons, tmp_path):
    write_lesson(lessons, "01_first", touching("first"))
    run = tmp_path / "run"
    run.mkdir()
    (run / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        run_all(run)
    assert [path.name for path in run.iterdir() if path.name != ".lock"] == ["thesis.txt"]


def test_finished_run_is_neither_overwritten_nor_resumed_with_other_parameters(lessons, tmp_path):
    write_lesson(lessons, "01_first", touching("first"))
    run = tmp_path / "run"
    run_all(run)
    with pytest.raises(InputError, match="--resume"):
        run_all(run)
    with pytest.raises(InputError, match="other parameters"):
        list(run_lessons.run_lessons(run, {**GIVEN, "seed": 1}, resume=True))
    assert (run / "first.count").read_text() == "x"


def test_moved_run_can_be_resumed(lessons, tmp_path):
    write_lesson(lessons, "01_first", touching("first"))
    run_all(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    (result,) = run_all(tmp_path / "moved", resume=True)
    assert not result.again


def test_two_runs_at_once_in_one_folder_are_refused(lessons, tmp_path):
    write_lesson(lessons, "01_first", "1")
    run = tmp_path / "run"
    run.mkdir()
    with FileLock(run / ".lock"), pytest.raises(InputError, match="Another run"):
        run_all(run)


def test_lessons_of_the_checkout_are_found():
    names = [path.stem for path in run_notebook.find_lessons()]
    assert names == sorted(names)
    assert {"00_start_here", "07_explainability"} <= set(names)


def test_time_of_a_course_adds_up_over_its_calls(lessons, tmp_path, monkeypatch):
    done_at_once = lambda waiting, *_: iter([(lesson.stem, 2.0) for lesson in waiting])  # noqa: E731
    monkeypatch.setattr(run_lessons, "_run_some_at_once", done_at_once)
    write_lesson(lessons, "01_first")
    write_lesson(lessons, "02_second")
    run_all(tmp_path / "run", only=["01"])
    file = tmp_path / "run" / "course.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "seconds": 3600.0}))
    first, second = run_all(tmp_path / "run", resume=True)
    assert (first.again, second.again) == (False, True)
    assert json.loads(file.read_text())["seconds"] >= 3600
