"""Build ``notebooks/`` from ``lessons/``: the solved lessons, run, and the exercises.

    python -m tools.build            run every lesson on the twin and write both
    python -m tools.build 02 05      only these
    python -m tools.build --prose    run nothing: only text, tags, set-up cell and exercises
    python -m tools.build --check    write nothing; status 1 if a notebook is out of step

A line that ends in ``# solution`` belongs to the solved notebook. In the exercises it
becomes ``name = ...`` if it gives a name its value, and vanishes otherwise. A text cell with the
tag ``solution`` stands in the solved notebook only.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import nbformat
import papermill
from nbformat import NotebookNode

from leukhelpers.course import run_lessons

ROOT = Path(__file__).resolve().parent.parent
LESSONS, NOTEBOOKS = ROOT / "lessons", ROOT / "notebooks"
SOLUTION = re.compile(r"\s*# solution$")
# The public home of the course, as owner/name; `make badges` writes this file and removes it.
REPOSITORY = ROOT / "tools" / "repository.txt"
BADGES = """\
[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]\
(https://colab.research.google.com/github/{repository}/blob/HEAD/{path})
[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]\
(https://kaggle.com/kernels/welcome?src=https://github.com/{repository}/blob/HEAD/{path})
[![Open in Binder](https://mybinder.org/badge_logo.svg)]\
(https://mybinder.org/v2/gh/{repository}/HEAD?labpath={path})"""
# The same in every lesson. What Colab or Kaggle has, TensorFlow first of all, stays as it is.
SETUP = """\
import importlib.util
import os
import sys

# TensorFlow may print red lines when it starts, below the next cells. They are not errors.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # fewer of these lines
# Only on Google Colab and Kaggle: installs the package of this course.

if "google.colab" in sys.modules or "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
    import subprocess
    from pathlib import Path

{package}
    pip = [sys.executable, "-m", "pip"]
    listed = [*pip, "list", "--format=freeze", "--exclude=leukhelpers"]
    kept = Path("colab-has.txt")
    kept.write_bytes(subprocess.run(listed, stdout=subprocess.PIPE, check=True).stdout)
    subprocess.run([*pip, "install", "--quiet", "--constraint", kept, package], check=True)
elif importlib.util.find_spec("leukhelpers") is None:
    start = "Open this notebook in a copy of the whole course: "
    raise ModuleNotFoundError(start + "make install, then .venv/bin/jupyter lab.")"""
FROM_REPOSITORY = '    package = "git+https://github.com/{repository}"'
FROM_WHEEL = """\
    name = "leukhelpers-*.whl"
    wheels = [*Path().glob(name), *Path("/kaggle/input").rglob(name)]
    package = max(map(str, wheels), default="")
    if not package:
        missing = "The course's package is missing: leukhelpers-….whl, from your teacher. "
        raise FileNotFoundError(missing + "Upload it, then run this cell again.")"""
ASSIGNMENT = re.compile(r"^(\w+) = ")


def sources(numbers: list[str]) -> list[Path]:
    """List the lessons, all of them or those of the given numbers."""
    found = sorted(LESSONS.glob("[0-9][0-9]_*.py"))
    return [path for path in found if not numbers or path.name[:2] in numbers]


def repository() -> str:
    """Tell the public home of the course, as owner/name; empty if none was named."""
    return REPOSITORY.read_text("utf-8").strip() if REPOSITORY.is_file() else ""


def setup_cell(home: str) -> str:
    """Write the cell that installs the package on Colab, from its home or from a wheel."""
    package = FROM_REPOSITORY.format(repository=home) if home else FROM_WHEEL
    return SETUP.format(package=package)


def read_lesson(source: Path, solved: bool) -> NotebookNode:
    """Turn a lesson's source into a notebook that has not run yet."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    home = repository()
    if home:
        path = f"notebooks/{'' if solved else 'exercises/'}{source.stem}.ipynb"
        notebook.cells[0].source += "\n\n" + BADGES.format(repository=home, path=path)
    for index, cell in enumerate(notebook.cells):
        if "setup" in cell.metadata.get("tags", []):
            cell.source = setup_cell(home)
        cell["id"] = f"{source.name[:2]}-{index:02d}"
        if cell.cell_type == "code":
            lines = cell.source.splitlines()
            kept = [_line(line, solved) for line in lines]
            cell.source = "\n".join(line for line in kept if line is not None).strip("\n")
    if not solved:
        for cell in notebook.cells:  # these notebooks lie one folder deeper
            cell.source = cell.source.replace("](../", "](../../")
        notebook.cells = [c for c in notebook.cells if "solution" not in c.metadata.get("tags", [])]
    return notebook


def _line(line: str, solved: bool) -> str | None:
    """Keep, shorten or drop one line of code."""
    if not SOLUTION.search(line):
        return line
    if solved:
        return SOLUTION.sub("", line)
    named = ASSIGNMENT.match(line)
    return f"{named.group(1)} = ..." if named else None


def build(source: Path) -> None:
    """Run the solved lesson and write both notebooks."""
    target = NOTEBOOKS / f"{source.stem}.ipynb"
    with tempfile.TemporaryDirectory() as folder:
        raw, done = Path(folder) / "raw.ipynb", Path(folder) / "done.ipynb"
        nbformat.write(read_lesson(source, solved=True), raw)
        papermill.execute_notebook(raw, done, kernel_name="python3")
        notebook = nbformat.read(done, as_version=4)
    # What changes with each run and teaches nothing would only blur the history.
    fresh = read_lesson(source, solved=True)
    notebook.metadata = fresh.metadata
    for cell, plain in zip(notebook.cells, fresh.cells, strict=True):
        cell.metadata = plain.metadata
        if cell.cell_type == "code":
            outputs = [_without_answers(output) for output in cell.outputs]
            cell.outputs = [kept for kept in outputs if kept and kept.get("name") != "stderr"]
    nbformat.validate(notebook)
    nbformat.write(notebook, target)
    write_exercises(source)


def _without_answers(output: NotebookNode) -> NotebookNode | None:
    """Keep of a multiple-choice question its words; the page with buttons knows the answers."""
    data = output.get("data", {})
    if "application/javascript" in data:
        return None
    if "text/markdown" in data:
        data.pop("text/html", None)
    return output


def write_exercises(source: Path) -> None:
    """Write the learner's notebook: stubs instead of solutions, no outputs."""
    folder = NOTEBOOKS / "exercises"
    folder.mkdir(exist_ok=True)
    nbformat.write(read_lesson(source, solved=False), folder / f"{source.stem}.ipynb")


def write_prose(source: Path) -> None:
    """Bring a solved notebook up to date as far as that needs no run, and the exercises."""
    write_exercises(source)
    target = NOTEBOOKS / f"{source.stem}.ipynb"
    notebook, fresh = nbformat.read(target, as_version=4), read_lesson(source, solved=True)
    if len(notebook.cells) != len(fresh.cells):
        return  # --check says so
    for cell, plain in zip(notebook.cells, fresh.cells, strict=True):
        cell.metadata = plain.metadata
        if cell.cell_type == "markdown" or "setup" in plain.metadata.get("tags", []):
            cell.source = plain.source
    nbformat.write(notebook, target)


def targets(source: Path) -> list[tuple[Path, bool]]:
    """Name the notebooks of a lesson, and whether they hold its solutions."""
    name = f"{source.stem}.ipynb"
    return [(NOTEBOOKS / name, True), (NOTEBOOKS / "exercises" / name, False)]


def out_of_step(source: Path) -> list[str]:
    """Say in which way the built notebooks of a lesson differ from its source."""
    problems = []
    for target, solved in targets(source):
        name = target.relative_to(NOTEBOOKS.parent)
        if not target.is_file():
            problems.append(f"{name} is missing")
            continue
        built = nbformat.read(target, as_version=4)
        if _content(built) != _content(read_lesson(source, solved)):
            problems.append(f"{name} is out of step with {source.name}")
    return problems


def _content(notebook: NotebookNode) -> list[tuple[str, str, dict]]:
    return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]


def main(arguments: list[str]) -> int:
    """Build or check, as the arguments say."""
    numbers = [argument for argument in arguments if argument not in ("--check", "--prose")]
    lessons = sources(numbers)
    if "--check" in arguments:
        problems = [problem for lesson in lessons for problem in out_of_step(lesson)]
        print("\n".join(problems) or f"{len(lessons)} lessons are in step with their notebooks.")
        return bool(problems)
    unknown = [number for number in numbers if not sources([number])]
    if unknown:
        print(f"There is no lesson {', '.join(unknown)}.")
        return 2
    if "--prose" in arguments:
        for lesson in lessons:
            write_prose(lesson)
        return 0
    # In an empty place: a network that an older version left would show old numbers.
    with tempfile.TemporaryDirectory() as home:
        os.environ["LEUK_HOME"] = home
        os.chdir(NOTEBOOKS)
        # The first of those that read one network trains it; then two at a time.
        sharing = [lesson for lesson in lessons if lesson.name[:2] in run_lessons.SHARE_NETWORK][:1]
        for lesson in sharing:
            build(lesson)
        with ThreadPoolExecutor(run_lessons.AT_ONCE) as pool:
            list(pool.map(build, [lesson for lesson in lessons if lesson not in sharing]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
