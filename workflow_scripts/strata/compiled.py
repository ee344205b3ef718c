"""Loops as machine code, kept on disk between runs. Importing this module imports numba.

numba keeps the machine code of a function until the function's file changes. What the function
calls is compiled into it, though, and may lie in another file: then a change there would go
unnoticed, and numbers would come from code that is gone. Here it is kept until any file of the
folder changes, so whatever compiled functions call lies in their own folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numba
from numba.core import caching, config


def machine_code(**options) -> Callable[[Callable], Callable]:
    """A decorator: `numba.njit` with these options, without the interpreter's lock, kept on disk.

    Where numba keeps things is numba's choice: NUMBA_CACHE_DIR if set, else beside the source, else
    the user's cache.
    """

    def decorate(function: Callable) -> Callable:
        before = config.CACHE_LOCATOR_CLASSES  # other libraries' functions keep to numba's rules
        config.CACHE_LOCATOR_CLASSES = ",".join(f"{__name__}.{kind.__name__}" for kind in _PLACES)
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        finally:
            config.CACHE_LOCATOR_CLASSES = before

    return decorate


@cache
def _digest(folder: Path) -> bytes:
    found = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        content = path.read_bytes()
        found.update(f"{path.name} {len(content)} ".encode() + content)
    return found.digest()


class _OfFolder:
    """What says whether kept machine code is still that of the source."""

    def get_source_stamp(self) -> bytes:
        return _digest(Path(self._py_file).parent)


class Named(_OfFolder, caching.UserProvidedCacheLocator):
    """In the folder that NUMBA_CACHE_DIR names."""


class Beside(_OfFolder, caching.InTreeCacheLocator):
    """Beside the source."""


class OfUser(_OfFolder, caching.UserWideCacheLocator):
    """In the user's cache."""


_PLACES = (Named, Beside, OfUser)
