"""Locked-image tuning: a text tower learns to read what a frozen image tower sees (LiT, Zhai et al.
2022, arXiv:2111.07991)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from strata.compat import prepare_imports
from strata.data.words import read_concepts
from strata.data.worlds import World, world_named
from strata.models.locked import dual_encoder
from strata.models.training import evaluate
from strata.models.training.loop import fit
from strata.models.training.pictures import Look
from strata.models.training.recipe import Recipe
from strata.models.training.rendered import frozen
from strata.models.training.text import caption_tokenizer, tokenize, words_of

Log = Callable[[str], None]
_BATCH = 32  # pictures through the image tower
_CAPTIONS = 8  # of each picture, drawn once


def locked(recipe: Recipe, log: Log, checkpoint: Path | None = None):
    """Train text tower and projections of `recipe`, with the features of the pictures computed
    once.

    Beside the batch's captions stand words of the world's concept list that are true of no picture:
    a labeller has to say of them that they are nowhere. Returns the model, its tokenizer and the
    card's scores.
    """
    world, data = world_named(recipe.data.world), recipe.data
    options = recipe.objective_options
    absent = _absent_words(Path(options["concepts"]), world)
    factors = world.sample(data.n, data.seed)
    captions = _captions(world, factors, data.seed, options["short"])
    known = words_of([*absent, *(line for lines in captions for line in lines)])
    tokenizer = caption_tokenizer(known, _longest(recipe))
    model, look = _model(recipe, tokenizer)
    features = _features(model, look, world, factors, data.seed, log)
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    features = torch.from_numpy((features - mean) / deviation)

    def loss_of(rows, draw):
        seed = int(torch.randint(2**31, (1,), generator=draw))
        chance = np.random.default_rng(seed)
        picks = chance.integers(_CAPTIONS, size=len(rows))
        lines = [captions[row][pick] for row, pick in zip(rows, picks, strict=True)]
        lines += list(chance.choice(absent, size=options["absent"], replace=False))
        seen = torch.nn.functional.dropout(features[rows], options["dropout"])
        images = unit(model.visual_projection(seen))
        texts = unit(model.get_text_features(**tokenize(tokenizer, lines)).pooler_output)
        logits = model.logit_scale.exp().clamp(max=100) * images @ texts.T
        own = torch.arange(len(rows))
        loss = torch.nn.functional.cross_entropy
        return (loss(logits, own) + loss(logits[:, : len(rows)].T, own)) / 2

    fit(model, loss_of, data.n, recipe.schedule, log, checkpoint=checkpoint)
    _take_in(model.visual_projection, mean, deviation)
    return model, tokenizer, look, _scores(model, tokenizer, look, world, recipe, log)


def _longest(recipe: Recipe) -> int:
    return recipe.architecture["text_config"]["max_position_embeddings"]


def unit(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)


def _model(recipe: Recipe, tokenizer):
    """The dual encoder, its image tower frozen, and how that wants its pictures."""
    prepare_imports()
    from transformers import AutoConfig, CLIPTextConfig, VisionTextDualEncoderConfig

    architecture = recipe.architecture
    tower = architecture["image_tower"]
    text = dict(architecture["text_config"], vocab_size=len(tokenizer))
    for role in ("bos", "eos", "pad"):
        text[f"{role}_token_id"] = getattr(tokenizer, f"{role}_token_id")
    config = VisionTextDualEncoderConfig.from_vision_text_configs(
        AutoConfig.from_pretrained(tower, local_files_only=True),
        CLIPTextConfig(**text),
        projection_dim=architecture["projection_dim"],
        read_blocks=architecture["read_blocks"],
    )
    seen, look = frozen(tower, recipe.data.size)
    torch.manual_seed(recipe.schedule.seed)
    model = dual_encoder()(config, vision_model=seen)
    model.vision_model.requires_grad_(False)
    return model, look


def _features(
    model, look: Look, world: World, factors: pd.DataFrame, seed: int, log: Log
) -> np.ndarray:
    """What the image tower makes of the pictures (n, features), in bfloat16 where that is quick."""
    log(f"rendering {len(factors)} pictures and reading them")
    parts = []
    for start in range(0, len(factors), _BATCH):
        images = world.render(factors.iloc[start : start + _BATCH], look.size, seed)
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            parts.append(model.picture_features(look.tensor(images)).float().numpy())
        if start % (100 * _BATCH) == 0:
            log(f"{start} of {len(factors)} pictures read")
    return np.concatenate(parts)


def _captions(world: World, factors: pd.DataFrame, seed: int, short: float) -> list[list[str]]:
    """`_CAPTIONS` captions of each picture, a share of them a word or phrase."""
    found = []
    for i, row in enumerate(factors.itertuples(index=False)):
        chance = np.random.default_rng([seed, i, 3])
        write = [world.short_caption if chance.random() < short else world.caption] * _CAPTIONS
        found.append([one(row, chance) for one in write])
    return found


def _absent_words(concepts: Path, world: World) -> np.ndarray:
    """Words of the concept list that are true of no picture of the world."""
    return np.array([word for word in read_concepts(concepts) if word not in world.vocabulary()])


def _take_in(projection: torch.nn.Linear, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Make the standardising of features a part of the projection behind it."""
    with torch.no_grad():
        projection.weight /= torch.from_numpy(deviation)
        projection.bias -= projection.weight @ torch.from_numpy(mean)


def _scores(
    model, tokenizer, look: Look, world: World, recipe: Recipe, log: Log
) -> dict[str, float]:
    """Zero-shot accuracy on held-out pictures, by factor."""
    data = recipe.data
    factors = world.sample(data.held_out, data.seed + 1)
    features = _features(model, look, world, factors, data.seed + 1, log)
    with torch.inference_mode():
        images = unit(model.visual_projection(torch.from_numpy(features))).numpy()

    def texts(lines: list[str]) -> np.ndarray:
        with torch.inference_mode():
            return unit(model.get_text_features(**tokenize(tokenizer, lines)).pooler_output).numpy()

    return evaluate.zero_shot(images, texts, factors, world.prompts())
