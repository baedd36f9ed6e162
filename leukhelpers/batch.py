"""The name that version 1 gave to :mod:`leukhelpers.experiments.run_notebook`."""

from leukhelpers.experiments.run_notebook import find_lessons as find_lessons
