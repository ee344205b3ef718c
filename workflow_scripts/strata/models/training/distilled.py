"""Feature distillation: a small vision transformer learns, without labels, to tell what a frozen
network sees in a picture (Wei et al. 2022, arXiv:2205.14141)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from strata.models.training import evaluate
from strata.models.training.loop import fit
from strata.models.training.recipe import Recipe, TrainingData
from strata.models.training.rendered import Rendered, build, frozen

Log = Callable[[str], None]
_BATCH = 32  # pictures through the teacher
_SCALED = 4000  # pictures by which features are standardised


def distilled(recipe: Recipe, log: Log, checkpoint: Path | None = None):
    """Train the vision transformer of `recipe` to predict, from its class token and its patches,
    the last states of the recipe's `teacher`, which sees the same picture in full size.

    The teacher's states are computed once; those of its patches are brought to the model's grid.
    The pupil sees each picture a little shifted, by less than half a patch, as if it were not.
    Returns the model and the card's scores: the share of the teacher's variance on held-out
    pictures that is not explained (`held_out_loss`), and linear probes on the class token, of the
    model and of a random twin.
    """
    teacher, data = _Teacher(recipe), recipe.data
    log(f"{recipe.name}: rendering {data.n} + {data.held_out} pictures and reading them")
    pictures, states = teacher.read(data, data.n, data.seed, log)
    held_out, unseen = teacher.read(data, data.held_out, data.seed + 1, log)
    scale = _Scale(states)
    torch.manual_seed(recipe.schedule.seed)
    pupil = _Pupil(_build(recipe), states.shape[-1])

    def loss_of(rows, draw):
        pixels = pictures.look.shifted(pictures.images[rows], draw)
        return scale.unexplained(pupil(pixels), states[rows])

    fit(pupil, loss_of, data.n, recipe.schedule, log, checkpoint=checkpoint)
    predicted = evaluate.in_batches(pupil, held_out.look, held_out.images)
    unexplained = float(scale.unexplained(torch.from_numpy(predicted), unseen))
    torch.manual_seed(recipe.schedule.seed + 1)
    twin = _class_token(_build(recipe).eval())
    probed = held_out.probe_scores(_class_token(pupil.model))
    scores = evaluate.beside_twin(probed, held_out.probe_scores(twin))
    return pupil.model, {"held_out_loss": unexplained} | scores


def _build(recipe: Recipe):
    model = build(recipe.architecture, "ViTModel")
    model.pooler = None  # nothing would train it
    return model


def _class_token(model) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda pixels: model(pixel_values=pixels).last_hidden_state[:, 0]


class _Pupil(nn.Module):
    """A vision transformer with two linear heads, which training leaves behind: one for the class
    token and one for all patches."""

    def __init__(self, model, width: int):
        super().__init__()
        self.model = model
        self.whole = nn.Linear(model.config.hidden_size, width)
        self.patch = nn.Linear(model.config.hidden_size, width)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The teacher's standardised states (n, 1 + patches, width)."""
        states = self.model(pixel_values=pixels).last_hidden_state
        return torch.cat([self.whole(states[:, :1]), self.patch(states[:, 1:])], dim=1)


class _Scale:
    """Mean and deviation over the first pictures of a teacher's features: of its class token, and
    of all its patches together."""

    def __init__(self, states: torch.Tensor):
        parts = (states[:_SCALED, :1], states[:_SCALED, 1:])
        stacked = [part.flatten(0, 1).float() for part in parts]
        self.mean, self.deviation = (
            torch.stack([found(part) for part in stacked])
            for found in (lambda x: x.mean(dim=0), lambda x: x.std(dim=0) + 1e-6)
        )

    def unexplained(self, predicted: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Mean squared error of predicted standardised states: half of it the class token's, half
        the patches'; 1 is what the mean alone achieves."""
        errors = []
        for part, tokens in enumerate((slice(1), slice(1, None))):
            wanted = (states[:, tokens].float() - self.mean[part]) / self.deviation[part]
            errors.append(nn.functional.mse_loss(predicted[:, tokens], wanted))
        return (errors[0] + errors[1]) / 2


class _Teacher:
    """A frozen vision transformer, and the grid of patches that its pupil has."""

    def __init__(self, recipe: Recipe):
        self.model, self.look = frozen(recipe.objective_options["teacher"], recipe.data.size)
        self.grid = recipe.architecture["image_size"] // recipe.architecture["patch_size"]

    def read(
        self, data: TrainingData, n: int, seed: int, log: Log
    ) -> tuple[Rendered, torch.Tensor]:
        """`n` pictures as the pupil sees them, and the teacher's states (n, 1 + grid², width), in
        half precision."""
        parts: list[torch.Tensor] = []

        def shown(images: np.ndarray) -> None:
            for start in range(0, len(images), _BATCH):
                parts.append(self._states(images[start : start + _BATCH]))
            log(f"{sum(map(len, parts))} of {n} pictures read")

        pictures = Rendered.render(data, n, seed, shown)
        return pictures, torch.cat(parts)

    def _states(self, images: np.ndarray) -> torch.Tensor:
        """Computed in bfloat16, where that is quick."""
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            found = self.model(pixel_values=self.look.tensor(images)).last_hidden_state.float()
        patch = self.model.config.patch_size
        side = self.look.size // patch
        patches = found[:, -side * side :].mT.unflatten(-1, (side, side))
        size = (self.grid, self.grid)
        patches = nn.functional.interpolate(patches, size, mode="bilinear", align_corners=False)
        return torch.cat([found[:, :1], patches.flatten(2).mT], dim=1).half()
