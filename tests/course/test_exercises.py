from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leukhelpers.course import exercises
from leukhelpers.errors import InputError
from tests.course.cases.lesson_02 import FOLDED

CASES = {
    number: case
    for lesson in range(14)
    for number, case in import_module(f"tests.course.cases.lesson_{lesson:02d}").CASES.items()
}


def test_every_exercise_has_a_case():
    assert set(CASES) == set(exercises.CHECKS)


@pytest.mark.parametrize("number", CASES)
def test_right_answer_gets_a_tick(number, capsys):
    known, right, _ = CASES[number]
    exercises.check(number, right, **known)
    assert capsys.readouterr().out == f"✓ Exercise {number}: right.\n"


@pytest.mark.parametrize("number", CASES)
def test_each_mistake_gets_the_hint_that_fits_and_each_hint_has_a_mistake(number, capsys):
    known, _, mistakes = CASES[number]
    printed = []
    for wrong, word in mistakes.items() if isinstance(mistakes, dict) else mistakes:
        exercises.check(number, wrong, **known)
        printed.append(capsys.readouterr().out)
        assert printed[-1].startswith(f"✗ Exercise {number}")
        assert word in printed[-1]
    for name, text in exercises.CHECKS[number]["hints"].items():
        pattern = re.sub(r"\\\{.*?\\\}", ".*", re.escape(text))  # a value, quoted in the text
        assert name == "one_fold" or any(re.search(pattern, one) for one in printed), name


@pytest.mark.parametrize("lesson", [f"{lesson:02d}" for lesson in range(14)])
def test_each_hint_that_a_check_names_has_a_text(lesson):
    path = Path(exercises.__file__).parent / f"lesson_{lesson}.py"
    named = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("hint", "compare"):
            settings = {word.arg: word.value for word in node.keywords}
            texts = [*node.args, settings.get("otherwise")]
            named |= {text.value for text in texts if isinstance(text, ast.Constant)}
            if ast.unparse(node.func) == "compare":
                named |= set(settings) - {"otherwise", "rtol", "atol"}
    there = exercises.texts(lesson)
    entries = [exercises.COMMON, there.get("hints", {})]
    entries += [entry["hints"] for entry in there["exercises"].values()]
    assert {name for name in named if isinstance(name, str)} <= set().union(*entries)


@pytest.mark.parametrize("number", CASES)
def test_any_kind_of_answer_gets_a_hint_and_never_an_error(number, capsys):
    known, _, _ = CASES[number]
    for odd in (None, "", "nonsense", [], {}, object(), np.array([1, 2]), float("nan")):
        exercises.check(number, odd, **known)
        assert capsys.readouterr().out.startswith(f"✗ Exercise {number}")


def test_dots_ask_for_an_answer(capsys):
    exercises.check("00.1", ...)
    assert "in place of the three dots" in capsys.readouterr().out


def test_unknown_exercise_is_refused():
    with pytest.raises(InputError, match=r"no exercise 99\.9"):
        exercises.check("99.9", 1)


def test_with_one_fold_nobody_moves():
    one = FOLDED.assign(fold="0")
    assert exercises.hint_for("02.3", 0, table=one) is None
    assert "one fold" in exercises.hint_for("02.3", 2, table=one)


@example([300])
@given(st.lists(st.integers(150, 450), min_size=1, max_size=3))
def test_one_crop_is_right_the_smallest_that_cuts_two_cells_of_a_hundred_at_most(few):
    reaches = np.array([*few, *[200] * (49 * len(few))])
    sides = range(200, 460, 10)
    right = [side for side in sides if exercises.hint_for("03.1", side, reaches=reaches) is None]
    enough = [side for side in range(200, 450, 10) if (reaches > side).mean() <= 0.02]
    assert right == [min(enough, default=450)]
