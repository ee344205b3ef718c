"""Make torchvision and torchaudio importable where their compiled parts cannot be loaded.

Both wheels link CUDA. On a CPU build of torch their compiled operators fail to load and the import
with them, although Strata needs only their Python parts (transforms, layers). Call
`prepare_imports()` before the first import of timm, transformers, torchvision or torchaudio.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pathlib
import sys
from functools import cache
from pathlib import Path

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def prepare_imports() -> None:
    """Stand in for compiled extensions that cannot be loaded; leave working ones alone.

    Torchvision registers fake kernels for its operators `nms` and `qnms` at import, which fails
    when the extension that defines them did not load: the two schemas are defined here instead
    (calling them still fails, as it should). Torchaudio refuses to start when a library of its own
    is there but does not load: its search is made to find none. An extension that is missing for
    another reason than CUDA is not hidden: the import then fails as it would without Strata.
    """
    if "torchvision" not in sys.modules and _needs_cuda("torchvision", "_C.so"):
        import torch

        global _library  # the schemas live as long as this object
        _library = torch.library.Library("torchvision", "DEF")
        for schema in _SCHEMAS:
            _library.define(schema)
    if "torchaudio" not in sys.modules and _needs_cuda("torchaudio", "lib/_torchaudio.abi3.so"):
        _import_torchaudio_without_library()


def _needs_cuda(package: str, extension: str) -> bool:
    """Whether the package's extension fails to load because a CUDA library is not there."""
    import torch

    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return False
    path = Path(found.origin).parent / extension
    if not path.exists():
        suffixes = importlib.machinery.EXTENSION_SUFFIXES
        named = [path.with_name(path.name.split(".")[0] + suffix) for suffix in suffixes]
        path = next((candidate for candidate in named if candidate.exists()), path)
    if not path.exists():
        return False
    try:
        torch.ops.load_library(path)
    except OSError as error:
        # torch names only the extension; the library that is missing is named by the cause.
        reason = f"{error} {error.__cause__}"
        return any(word in reason for word in ("cuda", "cudart", "nvrtc"))
    return False


def _import_torchaudio_without_library() -> None:
    original = pathlib.Path.glob

    def glob(self, pattern, **options):
        return iter(()) if "torchaudio" in str(pattern) else original(self, pattern, **options)

    pathlib.Path.glob = glob
    try:
        import torchaudio  # noqa: F401
    finally:
        pathlib.Path.glob = original
