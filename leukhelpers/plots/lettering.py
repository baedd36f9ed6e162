"""Letters that the font of the figures lacks: another font has them, or a number is written."""

from __future__ import annotations

import functools
import re
import warnings

from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

FONT = "DejaVu Sans"  # comes with matplotlib, so figures repeat
MISSING = r"Glyph \d+ .*missing from"  # how matplotlib's warning begins


@functools.cache
def font_with(letter: str) -> str | None:
    """Name an installed font that has a letter: that of all figures if it does, or None."""
    fonts = sorted(fontManager.ttflist, key=lambda font: font.name != FONT)
    return next(
        (
            font.name
            for font in fonts  # the "last resort" draws a box for any letter
            if not font.name.startswith("Last Resort")
            and ord(letter) in FT2Font(font.fname).get_charmap()
        ),
        None,
    )


def make_readable(figure: Figure) -> str:
    """Change fonts and words of a figure so that no letter is missing.

    Returns
    -------
    str
        What the numbers stand for that took the place of words whose letters no font has.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", MISSING)
        figure.draw_without_rendering()  # only now ticks have labels
    numbers: dict[str, str] = {}

    def number(word: re.Match[str]) -> str:
        if all(map(font_with, word.group())):
            return word.group()
        return numbers.setdefault(word.group(), f"[{len(numbers) + 1}]")

    def readable(text: str) -> str:
        return re.sub(r"[^\s,;:()]+", number, text)

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        if labels != (changed := list(map(readable, labels))):
            axis.set_ticks(axis.get_ticklocs(), labels=changed)
    for artist in figure.findobj(Text):
        assert isinstance(artist, Text)
        artist.set_text(readable(artist.get_text()))
        others = {font_with(letter) for letter in set("".join(artist.get_text().split()))}
        artist.set_fontfamily([FONT, *sorted(filter(None, others - {FONT}))])
    return "; ".join(f"{shown} stands for {word}" for word, shown in numbers.items())
