"""The lessons, headless, one after another, into one folder.

``course.json`` in that folder says which lessons are done, with which parameters. It
is rewritten whole after each lesson, and a notebook gets its name only when it ended
well, so that a run which was killed is never taken for a finished one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import papermill
from filelock import FileLock, Timeout
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from leukhelpers import files
from leukhelpers.cells import InputError, LessonError

# Told of every cell that starts: lesson, number of the cell, number of cells.
Listener = Callable[[str, int, int], None]


class LessonResult(NamedTuple):
    """How one lesson went."""

    name: str
    seconds: float
    again: bool  # False if an earlier run had done it and --resume took that


def lesson_folder() -> Path:
    """Find the built notebooks: inside the installed package, or in the checkout."""
    package = Path(__file__).parent
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if folder.is_dir():
            return folder
    raise InputError("No notebooks are installed; run this from a checkout of the course.")


def find_lessons(only: Sequence[str] = ()) -> list[Path]:
    """List the lessons in order, or those whose numbers are given.

    Raises
    ------
    InputError
        If a number has no lesson.
    """
    found = {path.name[:2]: path for path in sorted(lesson_folder().glob("[0-9][0-9]_*.ipynb"))}
    unknown = [number for number in only if number not in found]
    if unknown:
        raise InputError(f"There is no lesson {', '.join(unknown)}; there are {', '.join(found)}.")
    return [path for number, path in found.items() if not only or number in only]


def check_parameters(notebook: Path, parameters: dict[str, Any]) -> None:
    """Refuse a parameter that the lesson does not have; papermill would only warn."""
    known = papermill.inspect_notebook(str(notebook))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise InputError(
            f"{notebook.stem} has no parameter {', '.join(unknown)}; "
            f"it has {', '.join(sorted(known))}."
        )


def run_lessons(
    folder: Path | str,
    parameters: dict[str, Any],
    only: Sequence[str] = (),
    resume: bool = False,
    listen: Listener | None = None,
) -> Iterator[LessonResult]:
    """Run lessons in order; a result comes as each ends.

    Parameters
    ----------
    folder : path
        The run's folder; new, or with `resume` one that an earlier call left.
    parameters : dict
        Papermill parameters of every lesson; ``run`` is added.
    only : sequence of str
        Numbers of the lessons to run; all of them by default.
    resume : bool
        Go on with an interrupted or failed run: what is done is not done again.
    listen : callable, optional
        Told of every cell that starts.

    Raises
    ------
    InputError
        If a parameter or lesson is unknown, or the folder belongs to another run.
    LessonError
        If a lesson fails.
    """
    folder = Path(folder).resolve()
    lessons = find_lessons(only)
    given = {**parameters, "run": str(folder)}
    for lesson in lessons:
        check_parameters(lesson, given)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone_in(folder):
        course = _open_course(folder, parameters, resume)
        for lesson in lessons:
            done = course["lessons"].get(lesson.stem)
            if done is not None:
                yield LessonResult(lesson.stem, done["seconds"], again=False)
                continue
            started = time.monotonic()
            run_notebook(lesson, folder / "notebooks" / lesson.name, given, listen)
            seconds = round(time.monotonic() - started, 1)
            course["lessons"][lesson.stem] = {"seconds": seconds}
            files.write_json(folder / "course.json", course)
            yield LessonResult(lesson.stem, seconds, again=True)


def run_notebook(
    notebook: Path, output: Path, parameters: dict[str, Any], listen: Listener | None = None
) -> None:
    """Run one notebook through papermill.

    The executed notebook is written to `output` whole. If a cell fails, what ran so
    far is written beside it as ``<name>.failed.ipynb``.

    Raises
    ------
    LessonError
        With the lesson, the cell and the last lines of the error.
    """
    name = notebook.stem
    cells = nbformat.read(notebook, as_version=4).cells
    n_code = sum(cell.cell_type == "code" for cell in cells)
    started = 0

    def on_cell_start(cell: Any, **_: Any) -> None:
        nonlocal started
        # Papermill adds a cell of its own; counted are those of the lesson.
        added = "injected-parameters" in cell.metadata.get("tags", [])
        if cell.cell_type == "code" and not added:
            started += 1
            if listen is not None:
                listen(name, started, n_code)

    output.parent.mkdir(parents=True, exist_ok=True)
    failed = output.with_name(f"{name}.failed.ipynb")
    part = output.with_name(f".part-{output.name}")
    try:
        with quiet("papermill"):
            papermill.execute_notebook(
                str(notebook),
                str(part),
                parameters=parameters,
                progress_bar=False,
                on_cell_start=on_cell_start,
                extra_arguments=["--log-level=ERROR"],  # of the kernel
            )
    except PapermillExecutionError as error:
        part.replace(failed)
        trace = _plain("\n".join(error.traceback)).strip().splitlines()
        last = "\n".join(f"    {line}" for line in trace[-4:])
        first_line = next((line for line in error.source.splitlines() if line.strip()), "")
        raise LessonError(
            f"Lesson {name} failed in code cell {started} of {n_code}, "
            f"{first_line.strip()!r}:\n{last}\n"
            f"    The notebook so far: {failed}"
        ) from None
    except DeadKernelError:
        part.unlink(missing_ok=True)
        raise LessonError(
            f"Lesson {name} failed in code cell {started} of {n_code}: its kernel died "
            "(often for want of memory)."
        ) from None
    except BaseException:  # Ctrl-C, or a bug: nothing half written stays behind
        part.unlink(missing_ok=True)
        raise
    failed.unlink(missing_ok=True)
    part.replace(output)


def _open_course(folder: Path, parameters: dict[str, Any], resume: bool) -> dict[str, Any]:
    """Read or begin ``course.json``; a folder of another run is refused."""
    path = folder / "course.json"
    # Through JSON, so that what was read compares equal with what was written.
    asked = json.loads(json.dumps(parameters))
    if path.is_file():
        course: dict[str, Any] = files.read_json(path)
        if not resume:
            raise InputError(f"{folder} holds a run already; give --resume or another --out.")
        if course["parameters"] != asked:
            raise InputError(
                f"{folder} was begun with other parameters ({course['parameters']}); "
                "give another --out."
            )
        return course
    for left_over in folder.glob(".part-*"):  # of a run that was killed while it began
        left_over.unlink()
    if any(entry.name != ".lock" for entry in folder.iterdir()):
        raise InputError(f"{folder} is not empty and holds no run; give another --out.")
    course = {"parameters": asked, "lessons": {}}
    files.write_json(path, course)
    return course


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Refuse a second run in the same folder at the same time."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"Another run is at work in {folder}.") from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def quiet(logger: str) -> Iterator[None]:
    """Keep a library's log off the terminal while our progress bar is there."""
    log = logging.getLogger(logger)
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _plain(text: str) -> str:
    """Take the colours out of a traceback."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
