"""The lessons, headless, two at a time, into one folder.

``course.json`` in that folder says which lessons are done, with which parameters. It
is rewritten whole after each lesson, and a notebook gets its name only when it ended
well, so that a run which was killed is never taken for a finished one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import papermill
import psutil
from filelock import FileLock, Timeout
from nbclient.exceptions import DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from leukhelpers import files
from leukhelpers.cells import InputError, LessonError

# Called for every cell that starts: lesson, number of the cell, number of cells.
Listener = Callable[[str, int, int], None]
# These lessons read one trained network. The first of them trains it, the others wait for that.
SHARE_NETWORK = ("05", "06", "07", "08", "09")
# Begun before the shorter ones, so that none of them runs alone at the end.
LONG = ("07", "08", "10", "12")
AT_ONCE = 2  # lessons; the kernel of one more starts while they run


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
    """Run lessons, two at a time; a result comes as each ends.

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
        Called for every cell that starts, from several threads.

    Raises
    ------
    InputError
        If a parameter or lesson is unknown, or the folder belongs to another run.
    LessonError
        If a lesson fails. The lesson beside it is run to its end first; no other begins.
    """
    folder = Path(folder).resolve()
    lessons = find_lessons(only)
    given = {**parameters, "run": str(folder)}
    for lesson in lessons:
        check_parameters(lesson, given)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone_in(folder):
        course = _open_course(folder, parameters, resume)
        waiting = []
        for lesson in lessons:
            done = course["lessons"].get(lesson.stem)
            if done is None:
                waiting.append(lesson)
            else:
                yield LessonResult(lesson.stem, done["seconds"], again=False)
        before, started = course["seconds"], time.monotonic()
        for name, seconds in _run_some_at_once(waiting, folder / "notebooks", given, listen):
            course["lessons"][name] = {"seconds": seconds}
            course["seconds"] = round(before + time.monotonic() - started, 1)
            files.write_json(folder / "course.json", course)
            yield LessonResult(name, seconds, again=True)


def _run_some_at_once(
    waiting: list[Path], folder: Path, given: dict[str, Any], listen: Listener | None
) -> Iterator[tuple[str, float]]:
    """Run lessons; yield the name and the seconds of each as it ends, then raise what failed."""
    sharing = [lesson for lesson in waiting if lesson.name[:2] in SHARE_NETWORK]
    # The one that trains comes first, because others wait for it; sorting keeps the order else.
    waiting = sorted(waiting, key=lambda one: (one not in sharing[:1], one.name[:2] not in LONG))
    held_up = set(sharing[1:])
    turns, stopped = threading.Semaphore(AT_ONCE), threading.Event()
    kernels_of_others = set(psutil.Process().children())

    def run(lesson: Path) -> float:
        began: list[float] = []

        def wait_for_turn() -> None:
            turns.acquire()
            began.append(time.monotonic())
            if stopped.is_set():
                raise _NotStartedError

        try:
            run_notebook(lesson, folder / lesson.name, given, listen, wait_for_turn)
            return round(time.monotonic() - began[0], 1)
        except LessonError:
            stopped.set()  # before the next one has its turn
            raise
        finally:
            if began:
                turns.release()

    failed: list[LessonError] = []
    running: dict[Future[float], Path] = {}
    with ThreadPoolExecutor(AT_ONCE + 1) as pool:
        try:
            while waiting or running:
                ready = [lesson for lesson in waiting if lesson not in held_up]
                for lesson in ready[: 0 if failed else AT_ONCE + 1 - len(running)]:
                    waiting.remove(lesson)
                    running[pool.submit(run, lesson)] = lesson
                if not running:
                    break
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    lesson = running.pop(done)
                    if lesson in sharing[:1]:
                        held_up.clear()
                    try:
                        yield lesson.stem, done.result()
                    except _NotStartedError:
                        continue
                    except LessonError as error:
                        failed.append(error)
        except BaseException:  # Ctrl-C, or whoever asked has lost interest
            stopped.set()
            for process in set(psutil.Process().children()) - kernels_of_others:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            raise
    if failed:
        raise failed[0]


class _NotStartedError(Exception):
    """A lesson whose turn came after another had failed."""


class _SavingOnce(NBClientEngine):
    """Papermill's engine, which writes the notebook at its end and not twice a cell."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        nb_man.save, save = (lambda **_: None), nb_man.save
        try:
            return super().execute_managed_notebook(nb_man, kernel_name, **options)
        finally:
            nb_man.save = save


papermill_engines.register("once", _SavingOnce)


def run_notebook(
    notebook: Path,
    output: Path,
    parameters: dict[str, Any],
    listen: Listener | None = None,
    wait_for_turn: Callable[[], None] | None = None,
) -> None:
    """Run one notebook through papermill.

    The executed notebook is written to `output` whole. If a cell fails, what ran so
    far is written beside it as ``<name>.failed.ipynb``. `wait_for_turn` is called once, when
    the kernel is up and before its first cell.

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
        nonlocal started, wait_for_turn
        if wait_for_turn is not None:
            wait_for_turn()
            wait_for_turn = None
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
                engine_name="once",
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
        course.setdefault("seconds", 0.0)
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
    course = {"parameters": asked, "seconds": 0.0, "lessons": {}}
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
