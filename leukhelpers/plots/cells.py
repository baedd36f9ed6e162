"""Pictures of cells: brightened, and with what a method says the model looked at."""

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from leukhelpers.data.schema import ALL, HEM
from leukhelpers.plots.style import CLASS_COLORS, WIDTH, new_figure, styled

_SIGNED = LinearSegmentedColormap.from_list(
    "towards", [CLASS_COLORS[HEM], "#f7f7f7", CLASS_COLORS[ALL]]
)
_POSITIVE = LinearSegmentedColormap.from_list(
    "strength", ["#f7f7f7", "#f0a868", CLASS_COLORS[ALL], "#6e2b00"]
)


def brighten(images: np.ndarray) -> np.ndarray:
    """Return images brightened for display; a model never sees them.

    Stained cells on black are dark on a projector. Black stays black, white stays white.

    Parameters
    ----------
    images : uint8 array of shape (..., 3)
        RGB values 0 to 255.

    Returns
    -------
    uint8 array of the same shape

    Examples
    --------
    >>> import numpy as np
    >>> import leukhelpers as lk
    >>> lk.brighten(np.array([[0, 64, 255]], np.uint8))
    array([[  0, 111, 255]], dtype=uint8)
    """
    return (255 * (np.asarray(images) / 255) ** 0.6).round().astype(np.uint8)


@styled
def plot_maps(
    image: np.ndarray, maps: Mapping[str, np.ndarray], title: str, note: str = ""
) -> Figure:
    """Show a cell, and beside it what each method says the model looked at.

    Under each map lies the cell in pale gray, its background white, so that attribution on
    the background is seen as well. The scale ends at the 99th percentile of what is not zero.

    Parameters
    ----------
    image : numpy.ndarray of uint8, shape (height, width, 3)
        The cell, RGB, on black.
    maps : mapping of str to numpy.ndarray
        For each method its map, (height, width). One with negative values is drawn as signed:
        blue towards HEM, vermilion towards ALL, in logits.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.
    """
    side = WIDTH / (1 + len(maps))
    figure, panels = new_figure(side + 1.4, title, note, columns=1 + len(maps))
    panels[0].set(xticks=[], yticks=[])
    panels[0].imshow(brighten(image))
    gray = 0.62 + 0.36 * image.mean(axis=-1) / 255
    pale = np.where(image.max(axis=-1) > 0, gray, 1.0)
    for axes, (method, values) in zip(panels[1:], maps.items(), strict=True):
        axes.set_title(textwrap.fill(method, int(side * 12)), size=9)
        axes.set(xticks=[], yticks=[])
        sizes = np.abs(values[values != 0])
        limit = float(np.percentile(sizes, 99)) if sizes.size else 1.0
        signed = bool((values < 0).any())
        ends = [-limit, 0, limit] if signed else [0, limit]
        norm, colors = Normalize(ends[0], limit), _SIGNED if signed else _POSITIVE
        axes.imshow(pale, cmap="gray", vmin=0, vmax=1)
        # The root lets middling values be seen; what is near zero lets the cell show through.
        alpha = 0.9 * np.sqrt(np.clip(np.abs(values) / limit, 0, 1))
        axes.imshow(values, cmap=colors, norm=norm, alpha=alpha)
        below = axes.inset_axes((0, -0.1, 1, 0.05))
        bar = figure.colorbar(ScalarMappable(norm, colors), below, orientation="horizontal")
        words = [f"{-limit:.2g}\nHEM", "0\nlogits"] if signed else ["0"]
        bar.set_ticks(ends, labels=[*words, f"{limit:.2g}\nALL"], size=8)
    return figure
