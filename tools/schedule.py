"""Write the schedules of ``docs/instructors.md`` from the minutes that the lessons state.

python -m tools.schedule            write them
python -m tools.schedule --check    write nothing; status 1 if they are out of step
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from leukhelpers.files import write_text
from tools import build

GUIDE = build.ROOT / "docs" / "instructors.md"
TEACH = re.compile(r"\*\*(\d+) minutes to teach[^·]*· ([^·*]+)")
TITLE = re.compile(r"^# # (\d\d · .+)$", re.MULTILINE)
START = 8 * 60 + 30  # half past eight, in minutes

# A lesson by its number, anything else as what it is called and its minutes.
Step = str | tuple[str, int]
DAYS: dict[str, list[Step]] = {
    "Half a day": [
        ("Welcome; `leuk doctor` on every machine", 15),
        *("00", "01", "02"),
        ("*Break*", 20),
        "06",
        ("What would you ask about a paper now? Survey", 15),
    ],
    "Two days: the first": [
        ("Welcome; `leuk doctor` on every machine", 20),
        *("00", "01"),
        ("*Break*", 15),
        "02",
        ("*Break*", 10),
        "03",
        ("*Lunch*", 50),
        "04",
        ("*Break*", 15),
        "05",
        ("*Break*", 15),
        "06",
        ("What surprised you most? One sentence per learner", 10),
    ],
    "Two days: the second": [
        ("Key points of the first day, recalled by the learners", 10),
        "07",
        ("*Break*", 15),
        "08",
        ("*Lunch*", 60),
        "09",
        ("*Break*", 15),
        *("10", "11"),
        ("*Break*", 15),
        "13",
        ("What would you ask about a paper now? Survey", 20),
    ],
}


def stated(source: Path) -> tuple[str, int, str]:
    """Read a lesson's title, its minutes to teach, and what it says of the time to run."""
    text = source.read_text("utf-8")
    title = TITLE.search(text)
    head = TEACH.search(text.replace("\n# ", " "))
    if title is None or head is None:
        raise ValueError(f"{source.name} does not say how many minutes it takes to teach.")
    return title.group(1), int(head.group(1)), " ".join(head.group(2).split())


def lessons() -> dict[str, tuple[str, int, str]]:
    """Read what all lessons state, by their number."""
    return {source.name[:2]: stated(source) for source in build.sources([])}


def day(steps: list[Step], known: dict[str, tuple[str, int, str]]) -> str:
    """Lay out a day from half past eight on; a lesson that is not there is left out."""
    rows, now, taught = ["| from | what | minutes |", "| --- | --- | --- |"], START, 0
    for step in steps:
        if isinstance(step, str):
            if step not in known:
                continue
            what, minutes, _ = known[step]
            taught += minutes
        else:
            what, minutes = step
        rows.append(f"| {now // 60}:{now % 60:02d} | {what} | {minutes} |")
        now += minutes
    rows.append(f"| {now // 60}:{now % 60:02d} | End; {taught} minutes of lessons | |")
    return "\n".join(rows)


def tables(known: dict[str, tuple[str, int, str]]) -> str:
    """Write the table of the lessons and that of each day, as Markdown."""
    rows = ["| lesson | minutes to teach | to run |", "| --- | --- | --- |"]
    for title, minutes, running in known.values():
        rows.append(f"| {title} | {minutes} | {running.replace(' to run', '')} |")
    rows.append(f"| all | {sum(minutes for _, minutes, _ in known.values())} | |")
    parts = ["### The lessons\n\n" + "\n".join(rows)]
    parts += [f"### {name}\n\n{day(steps, known)}" for name, steps in DAYS.items()]
    return "\n\n".join(parts)


def with_tables(guide: str, written: str) -> str:
    """Put the tables between the guide's two marks."""
    begin, end = "<!-- schedule:begin -->", "<!-- schedule:end -->"
    before, rest = guide.split(begin, 1)
    return f"{before}{begin}\n{written}\n{end}{rest.split(end, 1)[1]}"


def main(arguments: list[str]) -> int:
    """Write or check, as the arguments say."""
    guide = GUIDE.read_text("utf-8")
    now = with_tables(guide, tables(lessons()))
    if "--check" not in arguments:
        write_text(GUIDE, now)
    elif now != guide:
        print("docs/instructors.md is out of step; python -m tools.schedule writes it again.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
