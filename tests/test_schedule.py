"""The instructor's schedules are made of the minutes that the lessons state."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tools import build, schedule


@pytest.fixture(scope="module")
def guide() -> str:
    return schedule.GUIDE.read_text("utf-8")


def test_the_guide_is_in_step_with_the_lessons():
    assert schedule.main(["--check"]) == 0, "run python -m tools.schedule"


def test_a_lesson_that_takes_longer_is_noticed(monkeypatch, capsys):
    known = schedule.lessons()
    title, minutes, running = known["06"]
    longer = known | {"06": (title, minutes + 5, running)}
    monkeypatch.setattr(schedule, "lessons", lambda: longer)
    assert schedule.main(["--check"]) == 1
    assert "out of step" in capsys.readouterr().out


def test_every_lesson_in_a_table_has_the_minutes_of_its_source(guide):
    rows = re.findall(r"\| (\d\d) · [^|]+ \| (\d+) \|", guide)
    for number, minutes in rows:
        (source,) = build.sources([number])
        assert f"**{minutes} minutes to teach" in source.read_text("utf-8")
    assert {number for number, _ in rows} == {source.name[:2] for source in build.sources([])}


def test_two_days_hold_every_lesson_but_that_for_home_once_and_in_order():
    steps = schedule.DAYS["Two days: the first"] + schedule.DAYS["Two days: the second"]
    numbers = [step for step in steps if isinstance(step, str)]
    assert numbers == sorted(set(numbers))
    assert {source.name[:2] for source in build.sources([])} - {"12"} <= set(numbers)


@pytest.mark.parametrize(("name", "latest"), [(name, 17) for name in schedule.DAYS])
def test_the_clock_adds_up_and_the_day_has_an_end(name, latest):
    table = schedule.day(schedule.DAYS[name], schedule.lessons())
    rows = re.findall(r"\| (\d+):(\d\d) \| [^|]+ \| (\d*)", table)
    times = [int(hour) * 60 + int(minute) for hour, minute, _ in rows]
    lasted = [int(minutes) for _, _, minutes in rows[:-1]]
    assert [late - early for early, late in pairwise(times)] == lasted
    assert times[-1] <= latest * 60


def test_each_surprise_has_something_to_say(guide):
    part = guide.split("## What to say at each surprise")[1].split("\n## ")[0]
    told = re.findall(r"^- \*\*(\d\d), ", part, re.MULTILINE)
    assert {source.name[:2] for source in build.sources([])} <= set(told)


def test_a_lesson_without_minutes_is_refused(tmp_path):
    source = tmp_path / "12_new.py"
    source.write_text("# %% [markdown]\n# # 12 · New\n", "utf-8")
    with pytest.raises(ValueError, match="12_new"):
        schedule.stated(source)
