"""Checks of the exercises: a tick, or the hint that fits the mistake.

Each exercise has a number, ``"<lesson>.<exercise>"``, and an entry in ``<lesson>.yaml`` beside
this file, with its hints by name. If it asks for a word, ``choice`` is the right one, and the
hints are named after the wrong ones. If it asks for code, ``check`` names the function of
``lesson_<lesson>.py`` that tries the answer. Where the right answer depends on the cells at
hand, the lesson hands them in and that function computes it.

Such a function uses :func:`call`, :func:`number`, :func:`hint` and :func:`compare`. Each stops
the check at the first mistake it finds; a check that comes to its end has found none.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module, resources
from typing import Any

import numpy as np
import yaml

from leukhelpers.errors import InputError

# Hints for any exercise; its lesson or its entry may have another text under the same name.
COMMON = {
    "choices": "Answer with one of the choices, in quotation marks.",
    "function": "Write a function and hand it over by its name, without brackets.",
    "nothing": "The function returns nothing yet; end it with return.",
    "one_number": "Return one number.",
}


class MistakeError(Exception):
    """A mistake in an answer: the name of its hint, and the values that this text quotes."""

    def __init__(self, name: str, /, **values: Any) -> None:
        super().__init__(name)
        self.name, self.values = name, values


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
    text = hint_for(number, answer, **known)
    print(f"✓ Exercise {number}: right." if text is None else f"✗ Exercise {number}: {text}")


def hint_for(number: str, answer: Any, **known: Any) -> str | None:
    """Give the hint that an answer deserves, or None for a right one; see :func:`check`."""
    if number not in CHECKS:
        raise InputError(f"There is no exercise {number}; there are {', '.join(CHECKS)}.")
    entry = CHECKS[number]
    try:
        if "choice" in entry:
            hint(answer if answer in entry["hints"] else "choices", answer != entry["choice"])
        else:
            lesson = import_module(f"{__name__}.lesson_{number[:2]}")
            getattr(lesson, entry["check"])(answer, **known)
    except MistakeError as mistake:
        hints = COMMON | texts(number[:2]).get("hints", {}) | entry["hints"]
        text = hints[mistake.name]
        return text.format(**mistake.values) if mistake.values else text
    except Exception as error:  # a learner's answer may be anything at all
        return f"This kind of answer cannot be read ({type(error).__name__}: {error})."
    return None


def hint(name: str, applies: object, /, **values: Any) -> None:
    """Stop with the hint of this name if it applies; its text may quote the values."""
    if applies:
        raise MistakeError(name, **values)


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a learner's function on copies; stop if it is no function or returns nothing."""
    hint("function", not callable(function))
    found = function(*(part.copy() if hasattr(part, "copy") else part for part in arguments))
    hint("nothing", found is None)
    return found


def number(value: Any) -> float:
    """Return one number as it is, also from an array of one; stop if there are several."""
    hint("one_number", np.size(value) != 1)
    return float(np.squeeze(value))


def compare(
    found: Any,
    right: Any,
    otherwise: str = "otherwise",
    rtol: float = 1e-5,
    atol: float = 1e-8,
    **mistakes: Any,
) -> None:
    """Stop unless a number or an array is right.

    Parameters
    ----------
    found, right : number or array
    otherwise : str
        Name of the hint if no mistake is recognized; its text may quote ``found``.
    rtol, atol : float
        As of ``numpy.isclose``.
    **mistakes : number or array
        What comes out of each mistake, by the name of its hint.
    """

    def same(value: Any) -> bool:
        return np.shape(found) == np.shape(value) and np.allclose(found, value, rtol, atol)

    if not same(right):
        name = next((name for name, wrong in mistakes.items() if same(wrong)), otherwise)
        raise MistakeError(name, found=found)


@cache
def texts(lesson: str) -> dict[str, Any]:
    """Read what ``<lesson>.yaml`` says: ``exercises`` and ``questions``."""
    return yaml.safe_load(resources.files(__name__).joinpath(f"{lesson}.yaml").read_text("utf-8"))


_FILES = sorted(file.name for file in resources.files(__name__).iterdir())
_LESSONS = [name.removesuffix(".yaml") for name in _FILES if name.endswith(".yaml")]
# The entries of all exercises, by number.
CHECKS: dict[str, dict[str, Any]] = {
    n: entry for lesson in _LESSONS for n, entry in texts(lesson)["exercises"].items()
}
