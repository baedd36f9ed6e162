"""What every source of cells gives: a cell table, and the list of what was set aside."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.errors import InputError

TWIN_NOTE = "twin.json"  # lies beside drawn cells, and goes where their table goes
DRAWN = '{"note": "Synthetic cells, drawn by leukhelpers. No real pixel."}\n'
Aside = list[tuple[str, str]]  # path of what cannot be used, and why
Progress = Callable[[int, int], None]  # how much is done, of how much in all


@dataclass(frozen=True)
class Dataset:
    """Cells with their labels, and the files that could not be used.

    Attributes
    ----------
    name : str
        ``twin``, ``cnmc`` or the name of the folder.
    root : pathlib.Path
        The folder to which the table's paths are relative.
    table : pandas.DataFrame
        A cell table, see :mod:`leukhelpers.data.schema`.
    set_aside : pandas.DataFrame
        Columns ``path`` and ``reason``: every file that was seen and not used.
    synthetic : bool
        True for drawn cells; each figure and report then says so.
    classes : tuple of str
        Names of the classes; the label of a cell is the place of its class here.
    cautions : tuple of str
        Sentences that stand beside every score measured on these cells.
    """

    name: str
    root: Path
    table: pd.DataFrame
    set_aside: pd.DataFrame
    synthetic: bool = False
    classes: tuple[str, ...] = CLASS_NAMES
    cautions: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """What a figure must say of these cells."""
        parts = ["synthetic cells"] if self.synthetic else []
        parts += stand_ins(self.classes)
        parts += ["each image its own subject"] if self.cautions else []
        return "; ".join(parts)


def is_drawn(place: Path) -> bool:
    """Tell whether the files in a folder are drawn: ``twin.json`` lies there, or in one above."""
    place = place.resolve()
    return any((folder / TWIN_NOTE).is_file() for folder in (place, *place.parents))


def stand_ins(classes: Sequence[str]) -> list[str]:
    """Say what HEM and ALL stand for where a figure shows two other classes.

    Lessons and figures write HEM for the first of two classes and ALL for the second.
    """
    if len(classes) != 2 or tuple(classes) == CLASS_NAMES:
        return []
    pairs = zip(CLASS_NAMES, classes, strict=True)
    meant = [f"{short} for {name}" for short, name in pairs if short != name]
    return [", ".join(meant).replace(" for ", " stands for ", 1)]


def read_table(file: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Read columns of a CSV as text without outer spaces; the index is the line number.

    Fields may be separated by commas, semicolons or tabs; the case of the columns' names does
    not count. Columns that are `optional` come back empty where the file lacks them.

    Raises
    ------
    InputError
        If the file is no CSV in UTF-8, lacks a column, has one twice, or has a line with more
        fields than columns.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            separator = max(",;\t", key=opened.readline().count)
            opened.seek(0)
            rows = csv.reader(opened, delimiter=separator)
            header = [name.strip().casefold() for name in next(rows, [])]
            long = next((rows.line_num for row in rows if any(row[len(header) :])), None)
        table = None if long else pd.read_csv(
            file, sep=separator, dtype=str, keep_default_na=False, index_col=False,
            skip_blank_lines=False, encoding="utf-8-sig",
        )  # fmt: skip
    except (ValueError, OSError, csv.Error) as error:  # pandas' own errors are ValueErrors
        raise InputError(f"{file.name} is no readable CSV ({error}).") from None
    if table is None:
        raise InputError(
            f"{file.name}, line {long}: more fields than the {len(header)} columns; put quotes "
            f"around a value that holds the separator {separator!r}."
        )
    wanted = {column.casefold(): column for column in (*columns, *optional)}
    table.columns = [wanted.get(name.strip().casefold(), name.strip()) for name in table.columns]
    if missing := [column for column in columns if column not in table]:
        raise InputError(f"{file.name} lacks the column(s) {', '.join(missing)}.")
    if twice := [name for folded, name in wanted.items() if header.count(folded) > 1]:
        raise InputError(f"{file.name} has two columns {twice[0]}; rename one.")
    table.index += 2  # people count from 1, and the names of the columns are line 1
    table = table.reindex(columns=[*columns, *optional], fill_value="")
    table = table.fillna("").apply(lambda column: column.str.strip())
    if table.apply(lambda column: column.str.contains("[\r\n]")).any(axis=None):
        raise InputError(f"{file.name} has a line break in a value; is a quotation mark left open?")
    return table[(table != "").any(axis="columns")]


def set_aside_frame(rows: Aside) -> pd.DataFrame:
    """Make the table of files set aside, in the order of their paths."""
    # A name that is not UTF-8 could be neither printed nor written into a report.
    shown = [(path.encode(errors="backslashreplace").decode(), why) for path, why in sorted(rows)]
    return pd.DataFrame(shown, columns=["path", "reason"])
