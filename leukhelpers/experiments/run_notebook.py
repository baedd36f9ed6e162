"""Find the notebooks of the course, and run one through papermill."""

import logging
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from rich.text import Text

from leukhelpers import files
from leukhelpers.errors import InputError, LessonError

# Called for every cell that starts: lesson, number of the cell, number of cells.
Listener = Callable[[str, int, int], None]


def lesson_folder() -> Path:
    """Find the built notebooks."""
    return files.shipped("notebooks", "notebooks")


def find_lessons(only: Sequence[str] = ()) -> list[Path]:
    """List the lessons in order, or those whose numbers are given.

    Raises
    ------
    InputError
        If a number has no lesson.
    """
    found = {path.name[:2]: path for path in sorted(lesson_folder().glob("[0-9][0-9]_*.ipynb"))}
    if unknown := [number for number in only if number not in found]:
        raise InputError(f"There is no lesson {', '.join(unknown)}; there are {', '.join(found)}.")
    return [path for number, path in found.items() if not only or number in only]


class _QuietKernel(AsyncKernelManager):
    """A kernel that prints nothing to the terminal; what a cell prints is in the notebook."""

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        await super().start_kernel(stderr=subprocess.DEVNULL, **options)


logging.getLogger("papermill").setLevel(logging.ERROR)  # the terminal is for our progress bar


def run_notebook(
    notebook: Path, output: Path, parameters: dict[str, Any], listen: Listener = lambda *_: None
) -> None:
    """Run one notebook through papermill.

    The executed notebook is written to `output` whole. If a cell fails, what ran so
    far is written beside it as ``<name>.failed.ipynb``. When `listen` is first called the kernel
    is up, and it may let the first cell wait.

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
            listen(name, started, n_code)

    output.parent.mkdir(parents=True, exist_ok=True)
    failed = output.with_name(f"{name}.failed.ipynb")
    part = output.with_name(f".part-{output.name}")
    try:
        papermill.execute_notebook(
            str(notebook),
            str(part),
            parameters=parameters,
            request_save_on_cell_execute=False,  # twice a cell; it is saved once, at the end
            progress_bar=False,
            on_cell_start=on_cell_start,
            kernel_manager_class=_QuietKernel,
        )
        failed.unlink(missing_ok=True)
        part.replace(output)
    except PapermillExecutionError as error:
        part.replace(failed)
        trace = Text.from_ansi("\n".join(error.traceback)).plain.strip().splitlines()
        last = "\n".join(f"    {line}" for line in trace[-4:])
        raise LessonError(
            f"Lesson {name} failed in code cell {started} of {n_code}, "
            f"{error.source.strip().splitlines()[0]!r}:\n{last}\n"
            f"    The notebook so far: {failed}"
        ) from None
    except DeadKernelError:
        raise LessonError(
            f"Lesson {name} failed in code cell {started} of {n_code}: its kernel died "
            "(often because memory ran out). Run it in JupyterLab to see its last messages."
        ) from None
    finally:  # after Ctrl-C or a bug, too: nothing half written stays behind
        part.unlink(missing_ok=True)
