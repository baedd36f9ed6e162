"""Read from handed-in notebooks which exercise checks passed, or run them first, with limits.

Nothing of a learner is executed unless it is asked for. Saved outputs can be edited, and code
that is run can print a tick as well: the table helps to see who needs help, it proves nothing.
"""

import contextlib
import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import psutil

from leukhelpers import files
from leukhelpers.course.exercises import CHECKS
from leukhelpers.errors import InputError
from leukhelpers.experiments import run_notebook

STATES = {"✓": "passed", "✗": "failed", "○": "unanswered"}
RANK = ["missing", "not run", "unanswered", "failed", "passed"]
NO_NETWORK = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]
_CALL = re.compile(r"""^[^#\n]*\bcheck\(\s*["'](\d\d\.\d+)["']""", re.MULTILINE)
_LINE = re.compile(r"^([✓✗○]) Exercise (\d\d\.\d+):", re.MULTILINE)


def grade(
    folder: Path, run: bool = False, timeout: float = 600, memory: float = 8
) -> Iterator[dict[str, Any]]:
    """Read the notebooks below a folder, one after the other.

    Parameters
    ----------
    folder : path
        One folder per learner, or notebooks whose names begin with the learner's.
    run : bool
        Execute each first: in a process of its own, in an empty folder, without network where
        :func:`can_cut_network`.
    timeout, memory : float
        Limits per notebook: seconds, and GB per process (the latter not on Windows).

    Yields
    ------
    dict
        ``file``, ``learner``, ``states`` (of each exercise of its lessons: ``passed``,
        ``failed``, ``unanswered``, ``not run``, or ``missing`` where the check was deleted),
        ``notes`` (a list of sentences), and ``broken`` (whether the file could not be read).

    Raises
    ------
    InputError
        If there is no such folder, or no notebook in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name the one with the notebooks.")
    places = [path.relative_to(folder) for path in sorted(folder.rglob("*.[iI][pP][yY][nN][bB]"))]
    places = [place for place in places if not any(part.startswith(".") for part in place.parts)]
    if not places:
        raise InputError(f"There is no notebook in {folder}; unpack archives first.")
    solved = run_notebook.find_lessons()
    names = "|".join(path.stem for path in solved)
    lesson = re.compile(rf"[ _-]*({names})([ _-]*(copy|\(|-?\d).*)?$", re.IGNORECASE)
    seen = {_digest(read_notebook(path)): "the solved lesson" for path in solved}
    for place in places:
        learner = place.parts[0] if len(place.parts) > 1 else lesson.sub("", place.stem)
        # A name that is not UTF-8 is shown with question marks.
        learner = (learner or folder.resolve().name).encode(errors="replace").decode()
        file = str(place).encode(errors="replace").decode()
        entry: dict[str, Any] = {"file": file, "learner": learner, "states": {}, "notes": []}
        entry["broken"] = False
        try:
            notebook = read_notebook(folder / place)
        except InputError as error:
            yield {**entry, "notes": [str(error)], "broken": True}
            continue
        same = seen.setdefault(_digest(notebook), file)
        if same != file:
            entry["notes"].append(f"Its code is the same as in {same}.")
        blank = not any(cell.get("outputs") for cell in notebook.cells)
        if run:
            notebook, problem = execute(notebook, timeout, memory)
            entry["notes"] += filter(None, [problem])
        entry["states"] = read_states(notebook)
        if not entry["states"]:
            entry["notes"].append("It has no exercise of this course.")
        elif blank:
            entry["notes"].append("It was saved without outputs.")
        yield entry


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Read a notebook in UTF-8 or UTF-16, of any format version.

    Raises
    ------
    InputError
        With the reason why it cannot be read.
    """
    try:
        content = path.read_bytes()
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
        with warnings.catch_warnings(action="ignore"):
            notebook = nbformat.reads(text, as_version=4)
        read_states(notebook)  # Colab and others leave out parts that do not matter here
        _digest(notebook)
        return notebook
    except UnicodeDecodeError:
        raise InputError("The file is neither UTF-8 nor UTF-16; save it again.") from None
    except Exception:  # a handed-in file may be anything at all
        raise InputError("The file is damaged or is no notebook.") from None


def _digest(notebook: nbformat.NotebookNode) -> str:
    """Give notebooks with the same code the same name."""
    code = [cell.source.strip() for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


def read_states(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Read from saved outputs how each check of a lesson ended; see :func:`grade`."""
    states: dict[str, str] = {}
    for cell in notebook.cells:
        asked = set(_CALL.findall(cell.source)) & CHECKS.keys() if cell.cell_type == "code" else ()
        for number in asked:
            streams = [output for output in cell.outputs if output.output_type == "stream"]
            printed = _LINE.findall("\n".join(output.text for output in streams))
            marks = [STATES[mark] for mark, name in printed if name == number]
            state = marks[-1] if marks else "not run"  # of a copied cell the best one counts
            states[number] = max(states.get(number, RANK[0]), state, key=RANK.index)
    lessons = {number[:2] for number in states}
    return {n: states.get(n, "missing") for n in CHECKS if n[:2] in lessons}


def can_cut_network() -> bool:
    """Try whether this system lets a process do without network (Linux, with ``unshare``)."""
    found = shutil.which(NO_NETWORK[0])
    return bool(found) and not subprocess.run([*NO_NETWORK, "true"], capture_output=True).returncode


def execute(
    notebook: nbformat.NotebookNode, timeout: float, memory: float
) -> tuple[nbformat.NotebookNode, str]:
    """Execute a notebook in a process of its own; return it, and what ended it, if anything did."""
    for cell in notebook.cells:
        if "outputs" in cell:  # what was saved is not what this run prints
            cell.outputs = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        nbformat.write(notebook, folder / "given.ipynb")
        command = [sys.executable, "-m", __name__, "given.ipynb", "done.ipynb", str(memory)]
        # No name, key or setting of the teacher is handed over.
        kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT", "LANG") if key in os.environ}
        inside = {**kept, "HOME": name, "LEUK_HOME": name}
        started = [*NO_NETWORK, *command] if can_cut_network() else command
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        process = psutil.Popen(started, cwd=folder, env=inside, **quiet)
        problem = ""
        try:
            if process.wait(timeout):
                problem = "Its run ended early (often because memory ran out)."
        except psutil.TimeoutExpired:
            problem = f"It ran longer than {timeout:g} seconds and was ended."
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended, and its kernel with it
                for child in (*process.children(recursive=True), process):
                    child.kill()
        with contextlib.suppress(InputError):
            return read_notebook(folder / "done.ipynb"), problem
        return notebook, problem


def _limited(given: str, done: str, memory: str) -> None:
    """Execute a notebook under limits that its kernel inherits; errors of cells are kept."""
    from nbclient import NotebookClient

    with contextlib.suppress(ImportError):  # Windows has neither
        import fcntl
        import resource
        import socket

        resource.setrlimit(resource.RLIMIT_DATA, (int(float(memory) * 2**30),) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**32,) * 2)
        with contextlib.suppress(OSError), socket.socket() as loopback:  # client and kernel use it
            fcntl.ioctl(loopback, 0x8914, b"lo".ljust(16, b"\0") + b"\x41\0")
    notebook = nbformat.read(given, as_version=4)

    def keep(**_: Any) -> None:  # what ran before an endless cell counts
        files.write_text(Path(done), nbformat.writes(notebook))

    options: dict[str, Any] = {"kernel_name": "python3", "allow_errors": True, "timeout": None}
    NotebookClient(notebook, **options, on_cell_executed=keep, on_notebook_complete=keep).execute()


def to_table(entries: list[dict[str, Any]]) -> pd.DataFrame:
    """Lay out what was read: one row per learner, one column per exercise.

    The best state counts where a learner handed an exercise in twice. Between them stand
    ``passed`` (a number) and ``notes``.
    """
    rows: dict[str, dict[str, Any]] = {}
    for entry in entries:
        row = rows.setdefault(entry["learner"], {"passed": 0, "notes": ""})
        for number, state in entry["states"].items():
            row[number] = max(row.get(number, RANK[0]), state, key=RANK.index)
        notes = [f"{entry['file']}: {note}" for note in entry["notes"]]
        row["notes"] = " ".join(filter(None, [row["notes"], *notes]))
    for row in rows.values():
        row["passed"] = list(row.values()).count("passed")
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("learner").sort_index()
    return table[[*sorted(set(table) - {"passed", "notes"}), "passed", "notes"]]


def write_table(table: pd.DataFrame, out: Path) -> None:
    """Write the table as CSV that no spreadsheet takes for formulas."""

    def plain(text: Any) -> Any:
        return f"'{text}" if str(text).startswith(("=", "+", "-", "@", "\t", "\r")) else text

    text = table.rename(index=plain).map(plain).to_csv(quoting=csv.QUOTE_ALL)
    files.write_text(out, f"\ufeff{text}")  # with its mark, Excel reads UTF-8


if __name__ == "__main__":
    _limited(*sys.argv[1:])
