"""Keeps an environment of the stand-in to itself, and notes the jobs that ran in it.

Snakemake puts the folders of its own packages at the end of every script's path, because a script
unpickles objects of Snakemake. What an environment lacks would be found there by chance. Here only
Snakemake and its packages see those folders; for all others a missing package is missing.
"""

import atexit
import functools
import json
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

_WORKFLOW = os.getcwd()
_STANDARD_LIBRARY = os.path.dirname(os.__file__)


def _inside(path: str, folder: str) -> bool:
    return os.path.abspath(path).startswith(folder + os.sep)


def _foreign(path: str) -> bool:
    """Whether a file or folder is neither the environment's, Python's nor the workflow's."""
    if _inside(path, sys.prefix):
        return False
    if "site-packages" in path:
        return True
    folders = (_WORKFLOW, sys.base_prefix)
    return os.path.abspath(path) not in folders and not any(_inside(path, f) for f in folders)


def _asked_by_snakemake() -> bool:
    """Whether the innermost code outside of the standard library is one of Snakemake's packages."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith("<") and not (
            _inside(file, _STANDARD_LIBRARY) and "site-packages" not in file
        ):
            return _foreign(file)
        frame = frame.f_back
    return False


class Alone:
    """Finds modules and packages as Python does, but for us not in foreign folders."""

    invalidate_caches = PathFinder.invalidate_caches

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "snakemake":
            atexit.register(_note)  # runs before IPython's own, which empties __main__
        if path is None and not name.startswith("snakemake") and not _asked_by_snakemake():
            path = [entry for entry in sys.path if not _foreign(entry)]
        return PathFinder.find_spec(name, path, target)

    @staticmethod
    def find_distributions(context):
        found = PathFinder.find_distributions(context)
        if _asked_by_snakemake():
            return found
        return (each for each in found if not _foreign(str(each.locate_file(""))))


@functools.cache
def _note() -> None:
    """Once, add the process that ends to the environment's list: its rule, what it has loaded."""
    job = getattr(sys.modules["__main__"], "snakemake", None)  # a job's helper process has none
    loaded, foreign = set(), set()
    for name, module in sys.modules.copy().items():
        file = getattr(module, "__file__", None) or ""
        if "site-packages" in file:
            (foreign if _foreign(file) else loaded).add(name.partition(".")[0])
    noted = {"rule": job and job.rule, "loaded": sorted(loaded), "foreign": sorted(foreign)}
    with (Path(sys.prefix) / "jobs.jsonl").open("a") as file:
        file.write(json.dumps(noted) + "\n")


sys.meta_path[sys.meta_path.index(PathFinder)] = Alone
atexit.register(_note)
