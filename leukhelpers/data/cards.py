"""Data cards: what there is to know of a data set before one uses it.

A card is a TOML file. Those of C-NMC and of the twin come with the course
(``data/cards/``); cells of your own may bring one, ``card.toml`` beside them. A lesson shows it
in the form of ``templates/data_card.md``.
"""

import tomllib
from pathlib import Path
from typing import Any

import jinja2

from leukhelpers import files
from leukhelpers.data.base import Dataset
from leukhelpers.data.cnmc import find_root
from leukhelpers.errors import InputError

TEXTS = ("title", "what", "source", "license", "citation")
LISTS = ("known_faults", "not_for")
OWN_CARD = "card.toml"


def cards_folder() -> Path:
    """Find the cards that come with the course."""
    return files.shipped("cards", "data/cards")


def read_card(file: Path) -> dict[str, Any]:
    """Read and check a card.

    Parameters
    ----------
    file : path
        A TOML file.

    Returns
    -------
    dict
        The texts ``title, what, source, license, citation``, the lists of text
        ``known_faults, not_for``, and ``counts``: a name of a part → what is counted
        in it → a whole number (empty if the card has none).

    Raises
    ------
    InputError
        If there is no such card, or something in it is missing or of another kind.
    """
    try:
        card = tomllib.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:  # TOML's and Unicode's errors are ValueErrors
        raise InputError(f"The data card {file} cannot be read ({error}).") from None
    if "licence" in card:  # as cards of version 1 spell it
        card.setdefault("license", card.pop("licence"))
    for name in TEXTS:
        if not isinstance(card.get(name), str) or not card[name].strip():
            raise InputError(f"The data card {file.name} needs a text {name!r}.")
    for name in LISTS:
        entries = card.get(name)
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            raise InputError(f"The data card {file.name} needs a list of texts {name!r}.")
    card.setdefault("counts", {})
    if not _are_counts(card["counts"]):
        raise InputError(f"In the data card {file.name}, counts must be whole numbers by part.")
    return {name: card[name] for name in (*TEXTS, *LISTS, "counts")}


def _are_counts(counts: Any) -> bool:
    """Tell ``{"training": {"images": 10661}}`` from anything else."""
    return isinstance(counts, dict) and all(
        isinstance(part, dict) and all(type(number) is int for number in part.values())
        for part in counts.values()
    )


def card_file(dataset: Dataset) -> Path | None:
    """Find the card of a data set: the twin's, C-NMC's, or the ``card.toml`` beside it."""
    if dataset.synthetic:
        return cards_folder() / "twin.toml"
    if find_root(dataset.root) is not None:
        return cards_folder() / "cnmc.toml"
    own = dataset.root / OWN_CARD
    return own if own.is_file() else None


def card_of(dataset: Dataset) -> dict[str, Any] | None:
    """Read the card of a data set; None for cells of your own without a card."""
    file = card_file(dataset)
    return read_card(file) if file is not None else None


def data_card(dataset: Dataset) -> str:
    """Return the card of a dataset as Markdown, to be shown in a notebook.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    str
        Source, license, counts, known faults, and what the cells must not be used for; one
        sentence where a dataset has no card.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> cells = lk.load_dataset("twin", "data", n_images=200)
    >>> lk.data_card(cells).splitlines()[0]
    '**The synthetic dataset: drawn blood cells**'
    """
    card = card_of(dataset)
    if card is None:
        return "This dataset has no data card. Write one."
    columns = list(dict.fromkeys(name for part in card["counts"].values() for name in part))
    environment = jinja2.Environment(loader=jinja2.PackageLoader("leukhelpers"), trim_blocks=True)
    return environment.get_template("data_card.md").render(card=card, columns=columns)
