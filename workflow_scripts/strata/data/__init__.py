"""Data sets: rendered, downloaded or a user's own folder, all as a manifest of samples."""

from strata.data.manifest import Dataset, open_dataset, write_dataset

__all__ = ["Dataset", "open_dataset", "write_dataset"]
