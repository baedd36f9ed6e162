"""Checks of the exercises: a tick, or the hint that fits the mistake.

Each exercise has a number, ``"<lesson>.<exercise>"``. Where the right answer depends on
the cells at hand, the lesson hands them in and the check computes it. Answers that are a
number or one of several words are in ``<lesson>.yaml`` beside this file, with the
multiple-choice questions; checks of code are in ``lesson_<lesson>.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from importlib import import_module, resources
from typing import Any

import numpy as np
import yaml

from leukhelpers.errors import InputError

# A check looks at an answer and gives a hint, or nothing if the answer is right.
Check = Callable[..., str | None]


def check(number: str, answer: Any, **known: Any) -> None:
    """Print a tick, or the hint that fits the mistake.

    Parameters
    ----------
    number : str
        Number of the exercise, such as ``"02.1"``.
    answer : object
        The learner's answer; ``...`` stands for one that is not given yet.
    **known
        What the lesson knows and the check needs (a table, a split, predictions).

    Raises
    ------
    InputError
        If there is no such exercise.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> lk.check("00.1", ...)
    ○ Exercise 00.1: put your answer in place of the three dots.
    """
    parts = answer if isinstance(answer, tuple) else (answer,)
    if parts and all(part is ... for part in parts) and number in CHECKS:
        print(f"○ Exercise {number}: put your answer in place of the three dots.")
        return
    hint = hint_for(number, answer, **known)
    print(f"✓ Exercise {number}: right." if hint is None else f"✗ Exercise {number}: {hint}")


def hint_for(number: str, answer: Any, **known: Any) -> str | None:
    """Give the hint that an answer deserves, or None for a right one; see :func:`check`."""
    if number not in CHECKS:
        raise InputError(f"There is no exercise {number}; there are {', '.join(CHECKS)}.")
    try:
        return CHECKS[number](answer, **known)
    except Exception as error:  # a learner's answer may be anything at all
        return f"This kind of answer cannot be read ({type(error).__name__}: {error})."


def _listed(entry: dict[str, Any]) -> Check:
    """Make a check of an entry of a lesson's YAML file."""

    def look(answer: Any) -> str | None:
        if "choice" in entry:
            if answer == entry["choice"]:
                return None
            return entry["hints"].get(answer, "Answer with one of the choices, in quotation marks.")
        for value, hint in {entry["number"]: None, **entry["hints"]}.items():
            if np.isclose(float(answer), float(Fraction(value)), atol=0.006):
                return hint
        return entry["otherwise"]

    return look


def _checks() -> dict[str, Check]:
    """Collect the checks of all lessons, by number."""
    found: dict[str, Check] = {}
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".yaml"):
            found |= {n: _listed(entry) for n, entry in texts(file.name[:2])["exercises"].items()}
        elif file.name.startswith("lesson_"):
            found |= import_module(f"{__name__}.{file.name.removesuffix('.py')}").CHECKS
    return dict(sorted(found.items()))


@cache
def texts(lesson: str) -> dict[str, Any]:
    """Read what ``<lesson>.yaml`` says: ``exercises`` and ``questions``."""
    file = resources.files(__name__).joinpath(f"{lesson}.yaml")
    return yaml.safe_load(file.read_text("utf-8"))


CHECKS = _checks()
