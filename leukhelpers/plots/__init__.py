"""The figures that more than one place draws, in one style.

What draws returns a :class:`matplotlib.figure.Figure` that pyplot knows nothing about: it works
without a display, and nothing needs closing. HEM, ALL and each model have the same color in
every figure.
"""
