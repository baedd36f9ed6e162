"""Plant faults in the modules that carry the course's honesty; count how many the tests find.

    python -m tests.mutation            20 faults a module, drawn by lot; 20 minutes on two cores
    python -m tests.mutation 60         so many a module
    python -m tests.mutation all        every fault; hours

The faults are mutmut's; what is planted, and which tests are asked, says ``[tool.mutmut]`` in
``pyproject.toml``. It works in a copy of the checkout, in the folder that ``LEUK_MUTANTS`` names
or else a temporary one. The table goes to ``docs/testing.md``; the faults that no test found are
printed.
"""

from __future__ import annotations

import datetime
import json
import os
import random
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


def main(how_many: str = "20") -> int:
    """Run mutmut in a copy, and write what it found."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(os.environ.get("LEUK_MUTANTS", temporary)) / "checkout"
        copy_checkout(copy)
        home = {**os.environ, "LEUK_HOME": str(Path(temporary) / "home")}
        mutmut = [sys.executable, "-m", "mutmut"]
        # One that is there in any case: it has all faults written down.
        first = [*mutmut, "run", "leukhelpers.splits.groups.x_group_ids__mutmut_1"]
        if status := subprocess.call(first, cwd=copy, env=home):
            return status
        chosen = draw(faults(copy), how_many)
        names = [name for of_module in chosen.values() for name in of_module]
        if status := subprocess.call([*mutmut, "run", *names], cwd=copy, env=home):
            return status
        ends = {
            module: {name: status_by_exit_code[code] for name, code in of_module.items()}
            for module, of_module in faults(copy).items()
        }
        for name in names:
            module = ".".join(name.split(".")[1:-1])
            if ends[module][name] not in FOUND:
                print(f"\n{ends[module][name]}: {name}", flush=True)
                subprocess.call([*mutmut, "show", name], cwd=copy, env=home)
        table = as_table(
            {
                module: (len(ends[module]), Counter(ends[module][name] for name in of_module))
                for module, of_module in chosen.items()
            }
        )
    before, _, rest = PAGE.read_text("utf-8").partition(MARKS[0])
    PAGE.write_text(f"{before}{MARKS[0]}\n{table}{MARKS[1]}{rest.partition(MARKS[1])[2]}", "utf-8")
    print(table)
    return 0


def copy_checkout(copy: Path) -> None:
    """Copy what git knows, or would if it were added."""
    tracked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(tracked, cwd=ROOT, text=True).splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def faults(copy: Path) -> dict[str, dict[str, int | None]]:
    """Read module → name of a fault → how its tests ended."""
    package = copy / "mutants" / "leukhelpers"
    found = {
        ".".join(path.relative_to(package).parts).removesuffix(".py.meta"): json.loads(
            path.read_text("utf-8")
        )["exit_code_by_key"]
        for path in sorted(package.rglob("*.py.meta"))
    }
    return {module: ends for module, ends in found.items() if ends}


def draw(found: dict[str, dict[str, int | None]], how_many: str) -> dict[str, list[str]]:
    """Draw names of faults, the same ones as long as the module stays the same."""
    lot = random.Random(0)
    return {
        module: sorted(ends)
        if how_many == "all"
        else lot.sample(sorted(ends), min(int(how_many), len(ends)))
        for module, ends in found.items()
    }


def as_table(found: dict[str, tuple[int, Counter[str]]]) -> str:
    """Write how many were planted and found as Markdown, with date and machine."""
    head = "| module | possible faults | planted | found | share |"
    rows = [head, "| --- | ---: | ---: | ---: | ---: |"]
    whole = (
        sum(possible for possible, _ in found.values()),
        sum((ends for _, ends in found.values()), Counter()),
    )
    for name, (possible, ends) in [*found.items(), ("**all**", whole)]:
        killed, planted = sum(ends[end] for end in FOUND), ends.total()
        rows.append(f"| {name} | {possible} | {planted} | {killed} | {killed / planted:.0%} |")
    memory = round(psutil.virtual_memory().total / 1024**3)
    today = datetime.datetime.now(datetime.UTC).date()
    where = f"{sys.platform}, {psutil.cpu_count()} cores, {memory} GB"
    return "\n".join(["", *rows, "", f"Measured by `make mutation` on {today} ({where}).", "", ""])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
