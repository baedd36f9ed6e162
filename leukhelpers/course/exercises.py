"""Checks of the exercises: a tick, or the hint that fits the mistake.

Each exercise has a number, ``"<lesson>.<exercise>"``. Where the right answer depends on
the cells at hand, the lesson hands them in and the check computes it.
"""

from __future__ import annotations

from typing import Any

from leukhelpers.course import exercise_checks
from leukhelpers.errors import InputError


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
    """
    if answer is ... and number in exercise_checks.CHECKS:
        print(f"○ Exercise {number}: put your answer in place of the three dots.")
        return
    hint = hint_for(number, answer, **known)
    print(f"✓ Exercise {number}: right." if hint is None else f"✗ Exercise {number}: {hint}")


def hint_for(number: str, answer: Any, **known: Any) -> str | None:
    """Give the hint that an answer deserves, or None for a right one; see :func:`check`."""
    if number not in exercise_checks.CHECKS:
        raise InputError(
            f"There is no exercise {number}; there are {', '.join(exercise_checks.CHECKS)}."
        )
    try:
        return exercise_checks.CHECKS[number](answer, **known)
    except Exception as error:  # a learner's answer may be anything at all
        return f"This kind of answer cannot be read ({type(error).__name__}: {error})."
