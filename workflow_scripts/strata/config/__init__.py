"""The configuration: its form, what it leaves out, and the cross-checks of its entries.

Nothing of the science depends on it.
"""

from strata.config.prepare import prepare_config

__all__ = [
    "prepare_config",
]
