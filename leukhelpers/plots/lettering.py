"""Letters that the font of the figures lacks: another font has them, or a number is written."""

import functools
import re
import sys
import warnings
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

FONT = "DejaVu Sans"  # comes with matplotlib, so figures repeat
MISSING = r"Glyph \d+ .*missing from"  # how matplotlib's warning begins
_WORD = re.compile(r"[^\s,;:()]+")


@functools.cache
def font_with(letter: str) -> str | None:
    """Name an installed font that has a letter: that of all figures if it does, or None."""
    for font in sorted(fontManager.ttflist, key=lambda font: font.name != FONT):
        # The "last resort" draws a box for any letter.
        if "Last Resort" not in font.name and ord(letter) in FT2Font(font.fname).get_charmap():
            return font.name
    return None


def make_readable(figure: Figure) -> None:
    """Change the fonts of a figure so that no letter is missing.

    A word whose letters no font has becomes a number, and standard error says which.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", MISSING)
        figure.draw_without_rendering()  # only now ticks have labels
    numbers: dict[str, str] = {}

    def readable(word: re.Match[str]) -> str:
        if all(map(font_with, word[0])):
            return word[0]
        return numbers.setdefault(word[0], f"[{len(numbers) + 1}]")

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        labels = [_WORD.sub(readable, label.get_text()) for label in axis.get_ticklabels()]
        low, high = axis.get_view_interval()
        axis.set_ticks(axis.get_ticklocs(), labels=labels)
        axis.set_view_interval(low, high, ignore=True)
    texts: list[Any] = figure.findobj(Text)
    for text in texts:
        text.set_text(_WORD.sub(readable, text.get_text()))
        fonts = {font_with(letter) or FONT for letter in text.get_text() if letter.strip()}
        text.set_fontfamily([FONT, *sorted(fonts - {FONT})])
    for word, number in numbers.items():
        print(f"In this figure {number} stands for {word}.", file=sys.stderr)
