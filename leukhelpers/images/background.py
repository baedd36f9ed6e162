"""The black around a cell, also where a lossy format or resizing has left it not quite black."""

import numpy as np
from scipy import ndimage

FAINT = 16  # no channel of a background pixel is above this
SPECK = 0.01  # brighter things smaller than this share of the largest are no cell
EXACT = 5  # so many faint pixels per √(bright pixels) has the background of a cell cut out


def black_background(image: np.ndarray) -> np.ndarray:
    """Make the background exactly black, where it is not yet; else return the picture itself.

    Parameters
    ----------
    image : numpy.ndarray
        uint8, shape (height, width, 3); a cell on black.

    Returns
    -------
    numpy.ndarray
        The same picture, or a copy in which every background pixel is (0, 0, 0).

    Notes
    -----
    *Background* is what can be reached from outside the picture, from pixel to pixel beside,
    above or below, without crossing a *thing*: joined bright pixels (a channel above 16), at
    least a hundredth as many as in the largest thing. If more than 5 √(number of bright pixels)
    background pixels are faint (not bright and not black), all background becomes black;
    otherwise nothing changes.

    Measured: of 6,052 cells of C-NMC stored without loss none has more than 4.3 √(bright pixels)
    of them, and so none changes; JPEG of quality 75 to 100 with subsampled colors leaves at least
    6.8, lossy WebP 13. Cleared, those cells have their area within 1% (half of them within
    0.4%), where it was 12 to 16% too large before.
    """
    red, green, blue = np.moveaxis(image, -1, 0)
    strongest = np.maximum(np.maximum(red, green), blue)  # ten times as fast as max(axis=-1)
    bright = strongest > FAINT
    faint = (strongest > 0) & ~bright
    at_most = EXACT * np.sqrt(np.count_nonzero(bright))
    if np.count_nonzero(faint) <= at_most or not bright.any():  # nothing need be labeled
        return image
    things, _ = ndimage.label(bright)
    sizes = np.bincount(things.ravel())
    sizes[0] = 0
    kept = sizes >= max(1, SPECK * sizes.max())
    outside, _ = ndimage.label(np.pad(~kept[things], 1, constant_values=True))
    background = (outside == outside[0, 0])[1:-1, 1:-1]
    if np.count_nonzero(faint & background) <= at_most:
        return image
    return np.where(background[..., None], np.uint8(0), image)
