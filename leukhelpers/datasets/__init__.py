"""From a place on disk, or a seed, to a cell table."""

from leukhelpers.datasets.loading import Dataset, load_dataset

__all__ = ["Dataset", "load_dataset"]
