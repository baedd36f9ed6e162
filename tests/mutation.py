"""Plant faults in the modules that carry the course's honesty; count how many the tests find.

    python -m tests.mutation                run it, and write the table of docs/testing.md
    python -m tests.mutation NAME …         try only the faults whose names match

The faults are mutmut's; what is planted, and which tests are asked, says ``[tool.mutmut]`` in
``pyproject.toml``. It works in a copy of the checkout, ``mutants/`` in the folder that
``LEUK_MUTANTS`` names or else a temporary one, and leaves this checkout as it is.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import psutil
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "testing.md"
MARKS = ("<!-- mutation:begin -->", "<!-- mutation:end -->")
FOUND = ("killed", "timeout", "segfault", "caught by type check")


def main(*names: str) -> int:
    """Run mutmut in a copy, and write what it found."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(os.environ.get("LEUK_MUTANTS", temporary)) / "checkout"
        tracked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(tracked, cwd=ROOT, text=True).splitlines():
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        home = {**os.environ, "LEUK_HOME": str(Path(temporary) / "home")}
        status = subprocess.call(
            [sys.executable, "-m", "mutmut", "run", *names], cwd=copy, env=home
        )
        if status or names:
            return status
        table = as_table(count(copy))
    before, _, rest = PAGE.read_text("utf-8").partition(MARKS[0])
    PAGE.write_text(f"{before}{MARKS[0]}\n{table}{MARKS[1]}{rest.partition(MARKS[1])[2]}", "utf-8")
    print(table)
    return 0


def count(copy: Path) -> dict[str, Counter[str]]:
    """Count the faults of each module by what became of them."""
    found = {}
    for path in sorted((copy / "mutants" / "leukhelpers").glob("*.py.meta")):
        ends = json.loads(path.read_text("utf-8"))["exit_code_by_key"].values()
        if ends:
            found[path.name.removesuffix(".py.meta")] = Counter(
                status_by_exit_code[e] for e in ends
            )
    return found


def as_table(found: dict[str, Counter[str]]) -> str:
    """Write the counts as Markdown, with date and machine."""
    rows = ["| module | faults | found | share |", "| --- | ---: | ---: | ---: |"]
    whole = sum(found.values(), Counter())
    for name, ends in [*found.items(), ("**all**", whole)]:
        killed = sum(ends[end] for end in FOUND)
        rows.append(f"| {name} | {ends.total()} | {killed} | {killed / ends.total():.0%} |")
    memory = round(psutil.virtual_memory().total / 1024**3)
    today = datetime.datetime.now(datetime.UTC).date()
    where = f"{sys.platform}, {psutil.cpu_count()} cores, {memory} GB"
    return "\n".join(["", *rows, "", f"Measured by `make mutation` on {today} ({where}).", "", ""])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
