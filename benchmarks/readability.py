"""How easily the lessons read, now and in version 1: sentence length and Flesch reading ease.

    python -m benchmarks.readability REVISION     write the result and docs/lessons.md

``REVISION`` names the commit with the older lessons. Needs ``pip install textstat``. Counted is
the running text of the Markdown cells: no tables, code, formulas or headings.
"""

from __future__ import annotations

import argparse
import datetime
import re
import statistics
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jupytext
import textstat

from leukhelpers import files
from leukhelpers.experiments import provenance

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "readability.json"
PAGE = ROOT / "docs" / "lessons.md"
MARKS = ("<!-- readability:begin -->", "<!-- readability:end -->")
NO_TEXT = re.compile(r"```.*?```|<!--.*?-->|</?\w+[^>]*>|\$[^$]*\$", re.DOTALL)
SENTENCE_END = re.compile(r"(?<=[.!?])[*)\"”]*\s+")


def measure(lesson: str) -> dict[str, float]:
    """Return the median number of words per sentence, and the Flesch reading ease."""
    cells = jupytext.reads(lesson, fmt="py:percent").cells
    text = "\n\n".join(running_text(c.source) for c in cells if c.cell_type == "markdown")
    words = [len(sentence.split()) for sentence in SENTENCE_END.split(text) if sentence.split()]
    return {
        "words": statistics.median(words),
        "flesch": round(textstat.flesch_reading_ease(text), 1),
    }


def running_text(markdown: str) -> str:
    """Remove what is not a sentence."""
    lines = NO_TEXT.sub(" ", markdown).splitlines()
    kept = [line for line in lines if not re.match(r"\s*(\||#|>|Terms:)", line)]
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", "\n".join(kept))  # of a link its words
    return re.sub(r"[*`]|^\s*(-|\d+\.) ", "", text, flags=re.MULTILINE)


def older(revision: str, number: str) -> str:
    """Read a lesson as it stood in an older commit."""
    names = git("ls-tree", "--name-only", f"{revision}:lessons").split()
    name = next(name for name in names if name.startswith(number))
    return git("show", f"{revision}:lessons/{name}")


def git(*arguments: str) -> str:
    """Run git and return what it prints."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    return done.stdout.decode("utf-8")


def table(lessons: dict[str, Any]) -> str:
    """Lay out the numbers in Markdown."""
    lines = [
        "| lesson | words per sentence, version 1 | now | reading ease, version 1 | now |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for number, row in lessons.items():
        before, now = row["version 1"], row["now"]
        cells = [before["words"], now["words"], round(before["flesch"]), round(now["flesch"])]
        lines.append(f"| {number} | {' | '.join(f'{cell:g}' for cell in cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure all lessons and write the result and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision")
    options = parser.parse_args()
    lessons = {}
    for path in sorted((ROOT / "lessons").glob("[0-9][0-9]_*.py")):
        before, now = older(options.revision, path.name[:2]), path.read_text("utf-8")
        lessons[path.name[:2]] = {"version 1": measure(before), "now": measure(now)}
    found = {
        "date": datetime.date.today().isoformat(),
        **provenance.environment(),
        "seed": None,  # nothing here is random
        "textstat": version("textstat"),
        "version 1": git("rev-parse", "--short", options.revision).strip(),
        "lessons": lessons,
    }
    files.write_json(RESULT, found)
    start, _, rest = PAGE.read_text("utf-8").partition(MARKS[0])
    end = rest.partition(MARKS[1])[2]
    files.write_text(PAGE, f"{start}{MARKS[0]}\n\n{table(lessons)}\n\n{MARKS[1]}{end}")


if __name__ == "__main__":
    main()
