"""What the lessons print on a few synthetic cells, where it is the same on every machine.

    python -m tools.smoke    run every lesson and write tests/smoke_outputs.json

``make test`` runs every lesson in the same way and compares.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from leukhelpers.course import run_lessons
from leukhelpers.files import write_json

OUTPUTS = Path(__file__).resolve().parent.parent / "tests" / "smoke_outputs.json"


def run(folder: Path) -> dict[str, dict[str, str]]:
    """Run every lesson in the profile ``smoke``, in an empty workspace.

    Parameters
    ----------
    folder : path
        Empty; gets the workspace and the course run.

    Returns
    -------
    dict
        Lesson → id of a cell tagged ``nbval-check-output`` → what it printed.
    """
    os.environ["LEUK_HOME"] = str(folder / "home")
    parameters = {"dataset": "twin", "profile": "smoke", "seed": 0}
    results = sorted(run_lessons.run_lessons(folder / "run", parameters))
    notebooks = [folder / "run" / "notebooks" / f"{result.name}.ipynb" for result in results]
    return {path.stem: printed(nbformat.read(path, as_version=4)) for path in notebooks}


def printed(notebook: NotebookNode) -> dict[str, str]:
    """Give the text of every compared cell, without figures, by the cell's id."""
    found = {}
    for cell in notebook.cells:
        if "nbval-check-output" in cell.metadata.get("tags", []):
            texts = [text_of(output) for output in cell.outputs]
            if any(texts):
                found[cell.id] = "".join(texts)
    return found


def text_of(output: NotebookNode) -> str:
    """Give the text of one output; none of a figure, nor of what goes to the error stream."""
    if output.output_type == "stream":
        return output.text if output.name == "stdout" else ""
    data = output.get("data", {})
    return "" if "image/png" in data else data.get("text/markdown", data.get("text/plain", ""))


def main() -> int:
    """Write what the lessons print now."""
    with tempfile.TemporaryDirectory() as folder:
        write_json(OUTPUTS, run(Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
