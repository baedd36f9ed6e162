"""What the labels of your own cells mean: ``cells.toml``, a small file beside them.

::

    classes = ["healthy", "ALL"]      # the order gives the numbers: the first is 0
    each_image_its_own_subject = false

    [labels]                          # what the CSV or the folders write, and which class it is
    normal = "healthy"
    blast = "ALL"

Nothing is guessed from the order of letters: a label that is neither a class nor named
here is refused. Without the file the labels are ``HEM`` and ``ALL``.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from leukhelpers.data.schema import CLASS_NAMES, parse_name
from leukhelpers.errors import InputError

FILE = "cells.toml"
MISSING = ("", "nan", "na", "n/a", "none", "null", "?", "-")  # in place of a label
OWN_SUBJECTS = "each_image_its_own_subject"
ALIKE = "alike_subjects"  # what names that differ only in case, zeros or signs mean
ALIKE_MEANS = ("same", "different")
KEYS = ("classes", OWN_SUBJECTS, ALIKE, "labels")
SAY_OWN_SUBJECTS = (
    f"say in {FILE}: {OWN_SUBJECTS} = true (leuk data import: --each-image-its-own-subject), "
    "but only if no two images are of one person"
)


class Meaning(NamedTuple):
    """Which classes there are, and which class a written label is.

    Attributes
    ----------
    classes : tuple of str
        Their names; the place of a name is the number of the class.
    labels : dict of str to int, or None
        Written label → class. None: ``HEM`` and ``ALL`` in any letter case.
    own_subjects : bool
        Whether an image without a subject is a subject of its own.
    alike : str
        Whether subjects whose names look alike are the ``same`` or ``different``; empty: not
        said, and such names are refused.
    pattern : re.Pattern, optional
        Finds the subject in the path of a picture, by its one group.
    """

    classes: tuple[str, ...] = CLASS_NAMES
    labels: dict[str, int] | None = None
    own_subjects: bool = False
    alike: str = ""
    pattern: re.Pattern[str] | None = None

    @property
    def known(self) -> dict[str, int]:
        """The labels that mean something, and the class of each."""
        return self.labels or {name: number for number, name in enumerate(self.classes)}

    def find(self, written: str) -> int | None:
        """Give the number of the class that a label means, or None."""
        found = self.known.get(written if self.labels else written.upper())
        if found is None and self.labels and "," in written:
            # --class takes labels between commas, so that it cuts a label that holds one.
            parts = {self.labels.get(part.strip()) for part in written.split(",")}
            found = parts.pop() if len(parts) == 1 else None
        return found

    def label_of(self, written: str) -> int:
        """Give the number of the class that a label means; unknown ones are refused."""
        number = self.find(written)
        if number is None and written.casefold() in MISSING:
            raise InputError(
                "the label is missing; write the class of this cell, or take the line out."
            )
        if number is None:
            classes = ", ".join(map(_quoted, self.classes))
            raise InputError(
                f"label {written!r} is not known ({', '.join(self.known)} are); name its class "
                f"in {FILE}: classes = [{classes}] and below [labels] "
                f"{_quoted(written)} = {' or '.join(map(_quoted, self.classes))}."
            )
        return number

    def contradiction(self, label: int, stem: str) -> str | None:
        """Say what a file's name tells if it follows C-NMC's rule and differs, else None."""
        try:
            named = CLASS_NAMES[parse_name(stem).label]
        except InputError:  # another rule: the name says nothing
            return None
        name = self.classes[label]
        comparable = named in self.classes or name in CLASS_NAMES
        return named if comparable and named != name else None


def read_meaning(folder: Path) -> Meaning:
    """Read ``cells.toml`` in a folder; without it labels are ``HEM`` and ``ALL``.

    Raises
    ------
    InputError
        If the file is no TOML, or says what cannot be.
    """
    file = folder / FILE
    if not file.is_file():
        return Meaning()
    try:
        content = tomllib.loads(file.read_text("utf-8-sig"))  # as Windows' editor writes it
    except (OSError, ValueError) as error:  # TOML's and Unicode's errors are ValueErrors
        raise InputError(f"{FILE} is no readable TOML ({error}).") from None
    if unknown := [key for key in content if key not in KEYS]:
        raise InputError(f"{FILE} has {unknown[0]!r}, which is not one of {', '.join(KEYS)}.")
    own_subjects, labels = content.get(OWN_SUBJECTS, False), content.get("labels", {})
    if not isinstance(own_subjects, bool) or not isinstance(labels, dict):
        raise InputError(
            f"{FILE} may say {OWN_SUBJECTS} = true or false, and below [labels] which class a "
            f"label is, as in blast = {_quoted('ALL')}."
        )
    if labels and "classes" not in content:
        raise InputError(f"{FILE} has [labels] without classes; list the classes in order.")
    names = _checked_classes(content.get("classes", list(CLASS_NAMES)))
    classes: dict[str, list[str]] = {name: [] for name in names}
    for written, name in labels.items():
        if name not in list(classes):
            raise InputError(
                f"The label {written!r} is assigned to {name!r}, which is not a class; "
                f"the classes are {', '.join(classes)}."
            )
        classes[name].append(written)
    meaning = meaning_of(classes, own_subjects, content.get(ALIKE, ""))
    return meaning if "classes" in content else meaning._replace(labels=None)


def meaning_of(
    classes: Mapping[str, Sequence[str]], own_subjects: bool = False, alike: str = ""
) -> Meaning:
    """Check classes and labels, and number them.

    Parameters
    ----------
    classes : mapping of str to sequence of str
        Class → the labels that mean it, in the order of the classes' numbers. The name of a
        class is a label of its own.
    own_subjects, alike
        See :class:`Meaning`.

    Raises
    ------
    InputError
        If a class or label is no text, empty, a number in disguise or of two classes, if
        there are fewer than two classes, or if HEM and ALL stand the wrong way round.
    """
    if alike and alike not in ALIKE_MEANS:
        raise InputError(f"{ALIKE} is {' or '.join(map(_quoted, ALIKE_MEANS))}, not {alike!r}.")
    names = _checked_classes(list(classes))
    known = {name: number for number, name in enumerate(names)}
    for number, (name, labels) in enumerate(classes.items()):
        for label in labels:
            _checked_name(label, "a label")
            if known.setdefault(label, number) != number:
                raise InputError(
                    f"The label {label!r} is of two classes, {names[known[label]]} and {name}."
                )
    return Meaning(names, known, own_subjects, alike)


def _checked_classes(classes: Any) -> tuple[str, ...]:
    """Refuse what cannot be the names of classes."""
    if not isinstance(classes, list) or len(classes) < 2:
        raise InputError('classes must be a list of two names or more, such as ["HEM", "ALL"].')
    for name in classes:
        _checked_name(name, "a class")
        if name.lstrip("+-").replace(".", "", 1).isdecimal():
            raise InputError(f"A class needs a name, not the number {name}; the order numbers it.")
    folded = [name.casefold() for name in classes]
    if len(set(folded)) < len(folded):
        raise InputError(f"Of these classes two are one and the same: {', '.join(classes)}.")
    # The course writes HEM for class 0 and ALL for class 1: under each other's name they
    # would be the very mistake that it warns of.
    if len(classes) == 2 and (folded[0] == "all" or folded[1] == "hem"):
        raise InputError(
            f"With two classes the healthy one comes first (HEM = 0, ALL = 1): "
            f"write classes = [{_quoted(classes[1])}, {_quoted(classes[0])}]."
        )
    return tuple(classes)


def _checked_name(name: Any, kind: str) -> None:
    if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
        raise InputError(f"{kind.capitalize()} must be text without spaces around, not {name!r}.")


def meaning_text(meaning: Meaning) -> str:
    """Write what labels mean as the text of ``cells.toml``."""
    meant = [
        f"{_quoted(label)} = {_quoted(meaning.classes[number])}"
        for label, number in meaning.known.items()
        if label not in meaning.classes
    ]
    listed = ", ".join(map(_quoted, meaning.classes))
    said = [f"{OWN_SUBJECTS} = {str(meaning.own_subjects).lower()}"]
    said += [f"{ALIKE} = {_quoted(meaning.alike)}"] if meaning.alike else []
    return "\n".join([f"classes = [{listed}]  # the first is 0", *said, "", "[labels]", *meant, ""])


def _quoted(text: str) -> str:
    """Quote text for TOML, whose strings escape as JSON's do."""
    return json.dumps(text, ensure_ascii=False)
