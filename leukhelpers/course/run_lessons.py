"""The lessons, headless, two at a time, into one folder.

``course.json`` in that folder says which lessons are done, with which parameters. It
is rewritten whole after each lesson, and a notebook gets its name only when it ended
well, so that a run which was killed is never taken for a finished one.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from filelock import FileLock, Timeout

from leukhelpers import files
from leukhelpers.errors import InputError, LessonError
from leukhelpers.experiments import run_notebook
from leukhelpers.experiments.sweep import share_cores

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


def run_lessons(
    folder: Path,
    parameters: dict[str, Any],
    only: Sequence[str] = (),
    resume: bool = False,
    listen: run_notebook.Listener = lambda *_: None,
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
        If a lesson is unknown, or the folder belongs to another run.
    LessonError
        If a lesson fails. The lesson beside it is run to its end first; no other begins.
    """
    folder = folder.resolve()
    lessons = run_notebook.find_lessons(only)
    given = {**parameters, "run": str(folder)}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        alone = FileLock(folder / ".lock").acquire(timeout=0)
    except Timeout:
        raise InputError(f"Another run is at work in {folder}.") from None
    with alone:
        course = _open_course(folder, parameters, resume)
        waiting = [lesson for lesson in lessons if lesson.stem not in course["lessons"]]
        for name in [lesson.stem for lesson in lessons if lesson not in waiting]:
            yield LessonResult(name, course["lessons"][name]["seconds"], again=False)
        before, started = course["seconds"], time.monotonic()
        for name, seconds in _run_some_at_once(waiting, folder / "notebooks", given, listen):
            course["lessons"][name] = {"seconds": seconds}
            course["seconds"] = round(before + time.monotonic() - started, 1)
            files.write_json(folder / "course.json", course)
            yield LessonResult(name, seconds, again=True)


def _run_some_at_once(
    waiting: list[Path], folder: Path, given: dict[str, Any], listen: run_notebook.Listener
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

        def on_cell(*progress: Any) -> None:
            if not began:
                turns.acquire()
                began.append(time.monotonic())
                if stopped.is_set():
                    raise _NotStartedError
            listen(*progress)

        try:
            run_notebook.run_notebook(lesson, folder / lesson.name, given, on_cell)
            return round(time.monotonic() - began[0], 1)
        except LessonError:
            stopped.set()  # before the next one has its turn
            raise
        finally:
            if began:
                turns.release()

    failed: list[LessonError] = []
    running: dict[Future[float], Path] = {}
    share = share_cores(min(AT_ONCE, len(waiting) or 1))  # kernels inherit it
    with share, ThreadPoolExecutor(AT_ONCE + 1) as pool:
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


def _open_course(folder: Path, parameters: dict[str, Any], resume: bool) -> dict[str, Any]:
    """Read or begin ``course.json``; a folder of another run is refused."""
    path = folder / "course.json"
    if path.is_file():
        course: dict[str, Any] = files.read_json(path)
        if not resume:
            raise InputError(f"{folder} holds a run already; give --resume or another --out.")
        course.setdefault("seconds", 0.0)
        if course["parameters"] != parameters:
            raise InputError(
                f"{folder} was begun with other parameters ({course['parameters']}); "
                "give another --out."
            )
        return course
    for left_over in folder.glob(".part-*"):  # of a run that was killed while it began
        left_over.unlink()
    if any(entry.name != ".lock" for entry in folder.iterdir()):
        raise InputError(f"{folder} is not empty and holds no run; give another --out.")
    course = {"parameters": parameters, "seconds": 0.0, "lessons": {}}
    files.write_json(path, course)
    return course
