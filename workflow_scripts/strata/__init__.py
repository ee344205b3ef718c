"""Strata: what does each layer of a transformer know?

The science of the workflow as pure functions over arrays and tables. Nothing here knows of
Snakemake or of the project's paths, and importing the package imports neither torch nor
transformers; each module imports them where a function needs them.
"""

from strata.errors import StrataError

__version__ = "0.1.0"
__all__ = ["StrataError", "__version__"]
