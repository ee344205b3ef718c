"""Every family of picture encoders: read right, or refused in one line. Makes docs/models.md.

`STRATA_REWRITE=1 pytest tests/unit/test_families.py` writes the tables of the page anew.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from families import TIMM, TRANSFORMERS, check_section, save_timm, save_transformers
from strata import StrataError
from strata.activations.checks import check_encoder
from strata.activations.pooling import Recorder
from strata.models.encoder import load_encoder

PAGE = Path(__file__).parents[2] / "docs/models.md"
# Tokens before the patches, known beforehand; of other families none.
PREFIX = {
    "BEiT": 1, "CLIP": 1, "Data2Vec": 1, "DeiT": 2, "DINOv2": 1, "DINOv2 with registers": 5,
    "DINOv3": 5, "DPT": 1, "MLCD": 1, "Pixio": 8, "ViT": 1, "ViT-MAE": 1, "ViT-MSN": 1, "YOLOS": 1,
    "CoaT-Lite": 1, "DeiT (distilled)": 2, "EVA-02": 1, "NaFlexViT": 4, "PiT": 1,
    "PiT (distilled)": 2, "TNT": 1, "ViT (CLIP)": 1, "ViT (hybrid)": 1,
}  # fmt: skip
# Whose maps, in transformers, have their channels last.
CHANNELS_LAST = ("SAM",)
# The library gives no states for each layer of these, or other ones: PVT's before its blocks.
UNCOMPARED = {
    "transformers": ["DETR", "GLPN", "PoolFormer", "PVT"],
    "timm": ["CoaT-Lite", "EfficientNet", "GhostNet", "Hiera", "MobileNet V3", "Twins-PCPVT"],
}  # fmt: skip


def pictures():
    draw = np.random.default_rng(1)
    noise = draw.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    return [Image.fromarray(each).resize((240, 240)) for each in noise]


def rows_of(encoder, batch, pool):
    with Recorder(encoder, pool) as recorder:
        return recorder.record(batch)


def own_states(encoder, batch, library):
    """What the library itself gives as the states behind the layers, if it gives them."""
    module = encoder.module
    with torch.inference_mode():
        if library == "transformers":
            extra = {}
            if type(module).__name__ == "ViTMAEModel":
                extra["noise"] = torch.arange(16.0).expand(len(batch), -1)
            found = module(pixel_values=batch, output_hidden_states=True, **extra)
            states = getattr(found, "hidden_states", None) or []
            if type(module).__name__ == "SwiftFormerModel":
                states = states[1::2]  # others are those of the patches embedded anew
            return states[-len(encoder.layers) :]
        if not hasattr(module, "forward_intermediates"):
            return []
        options = {"intermediates_only": True, "output_fmt": "NCHW"}
        return module.forward_intermediates(batch, **options)


def expected(states, family, library):
    """Mean of the patches or places, and class token or None, by what is known of the family."""
    n = PREFIX.get(family, 0)
    if states.ndim == 4:
        axes = (1, 2) if library == "transformers" and family in CHANNELS_LAST else (2, 3)
        return states.mean(dim=axes).numpy(), None
    behind = states.shape[1] - (5 if family == "YOLOS" else 0)
    classes = 8 if family == "Pixio" else 1
    token = states[:, :classes].mean(dim=1).numpy() if n else None
    return states[:, n:behind].mean(dim=1).numpy(), token


def compared(encoder, family, library):
    """Hold all layers but the last, which the libraries may give normalised, against the
    library's own states; whether that could be done."""
    batch = encoder.preprocess(pictures())
    means, auto = (rows_of(encoder, batch, pool) for pool in ("mean", "auto"))
    states = own_states(encoder, batch, library)
    if len(states) != len(means) or family == "PVT":
        return False
    for layer, (mean, row, state) in enumerate(zip(means, auto, states, strict=True)):
        wanted, token = expected(state, family, library)
        if layer == len(means) - 1 and mean.shape != wanted.shape:
            continue
        assert mean.shape == wanted.shape, (family, layer, mean.shape, wanted.shape)
        if layer == len(means) - 1:
            continue
        scale = float(state.abs().max())
        np.testing.assert_allclose(mean, wanted, atol=1e-4 * scale, err_msg=f"{family} {layer}")
        if token is not None:
            np.testing.assert_allclose(row, token, atol=1e-4, err_msg=f"{family} {layer}")
    return True


def described(encoder, family):
    """Cells of the table: layers, their widths, what is read of them."""
    batch = encoder.preprocess(pictures())
    with Recorder(encoder, "auto") as recorder:
        kinds = []
        for layer in encoder.layers.values():
            layer.register_forward_hook(lambda module, given, output: kinds.append(output))
        widths = [row.shape[1] for row in recorder.record(batch)]
    names, n = encoder.layer_names, len(encoder.layers)
    token = len(recorder.class_tokens) == n
    tensors = [kind if hasattr(kind, "ndim") else kind[0] for kind in kinds]
    maps = [getattr(tensor, "ndim", 0) == 4 for tensor in tensors]
    read = "mean of the map" if any(maps) else "mean of the patches"
    if any(maps) and not all(maps):
        read = "mean of the map, or of the patches"
    if token:
        read = "class token"
    if token and encoder.n_class_tokens > 1:
        read = f"mean of {encoder.n_class_tokens} class tokens"
    if not token and encoder.has_class_token:
        read += "; its class token is not in every layer"
    wide = sorted(set(widths))
    told = str(wide[0]) if len(wide) == 1 else ", ".join(str(width) for width in widths)
    if len(wide) > 1 and n > 8:
        told = f"{widths[0]} to {widths[-1]}"
    return f"{n}: `{names[0]}` to `{names[-1]}`", told, read


def family_rows(families, save, library, tmp_path):
    rows, unlike = (
        ["| family | layers of the small network | width | read |", "|---|---|---|---|"],
        [],
    )
    for number, family in enumerate(families):
        folder = tmp_path / str(number)
        side = save(family, folder)
        try:
            encoder = load_encoder(folder, device="cpu", preprocess="imagenet", size=side)
            check_encoder(encoder)
        except StrataError as error:
            told = re.sub(r"^\d+: ", "", str(error))
            rows.append(f"| {family} | | | refused: {told} |")
            continue
        assert all(p.dtype == torch.float32 for p in encoder.module.parameters())
        if not compared(encoder, family, library):
            unlike.append(family)
        rows.append(f"| {family} | {' | '.join(described(encoder, family))} |")
    return rows, unlike


@pytest.mark.parametrize(
    ("library", "families", "save"),
    [("transformers", TRANSFORMERS, save_transformers), ("timm", TIMM, save_timm)],
)
def test_every_family_is_read_right_or_refused(library, families, save, tmp_path):
    rows, unlike = family_rows(families, save, library, tmp_path)
    assert unlike == UNCOMPARED[library]
    check_section(PAGE, f"pictures of {library}", rows)
