"""Making the zoo's models from nothing, by their recipes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from strata.data.microspeech import RATE
from strata.errors import StrataError
from strata.models.cards import write_card
from strata.models.front_end import write_sound_processor
from strata.models.locked import TOWER, checksum
from strata.models.training import evaluate, speech
from strata.models.training.distilled import distilled
from strata.models.training.locked import locked
from strata.models.training.loop import fit
from strata.models.training.pictures import Look
from strata.models.training.recipe import SPEECH_OBJECTIVES, Recipe
from strata.models.training.rendered import Rendered, build
from strata.models.training.text import caption_tokenizer, tokenize, words_of

Log = Callable[[str], None]
_SHORT_CAPTIONS = 0.3  # share of training captions that are a bare word or phrase


def train(
    recipe: Recipe,
    directory: str | Path,
    log: Log = print,
    checkpoints: str | Path | None = None,
) -> dict:
    """Train the model of `recipe`, save it to `directory` and return its card.

    The directory holds what `transformers` loads offline (`config.json`, `model.safetensors`,
    `preprocessor_config.json`, for CLIP the tokenizer) and `card.json` with the held-out scores. In
    the folder `checkpoints` a run that was killed finds how far it came.

    Raises
    ------
    StrataError
        The model misses a score that its recipe requires; nothing is saved then.
    """
    look, checkpoint = None, _checkpoint(recipe, checkpoints)
    if recipe.objective == "locked":
        model, tokenizer, look, scores = locked(recipe, log, checkpoint)
    elif recipe.objective == "distilled":
        tokenizer, (model, scores) = None, distilled(recipe, log, checkpoint)
    else:
        follow = _on_speech if recipe.objective in SPEECH_OBJECTIVES else _on_pictures
        model, tokenizer, scores = follow(recipe, log, checkpoint)
    log(f"{recipe.name}: " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
    for metric, least in recipe.requires.items():
        if not scores[metric] >= least:
            raise StrataError(
                f"{recipe.name}: {metric} is {scores[metric]:.3f} on held-out data, its recipe "
                f"requires {least}; train longer (schedule.steps)"
            )
    card = _save(recipe, model, tokenizer, scores, Path(directory), look)
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return card


def _checkpoint(recipe: Recipe, folder: str | Path | None) -> Path | None:
    """A file for this very recipe, so that no other's is taken up."""
    if folder is None:
        return None
    told = json.dumps(asdict(recipe), sort_keys=True)
    return Path(folder) / f"{recipe.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.pt"


def _on_pictures(recipe: Recipe, log: Log, checkpoint: Path | None):
    log(f"{recipe.name}: rendering {recipe.data.n} + {recipe.data.held_out} pictures")
    pictures = Rendered.render(recipe.data, recipe.data.n, recipe.data.seed)
    held_out = Rendered.render(recipe.data, recipe.data.held_out, recipe.data.seed + 1)
    torch.manual_seed(recipe.schedule.seed)
    objective = {"supervised": _supervised, "masked": _masked, "contrastive": _contrastive}
    return objective[recipe.objective](recipe, pictures, held_out, log, checkpoint)


def _on_speech(recipe: Recipe, log: Log, checkpoint: Path | None):
    """Without labels; scores are those of probes, and of the same probes on a random twin."""
    heard, unheard = speech.Clips.heard(recipe.data), speech.Clips.unheard(recipe.data)
    log(f"{recipe.name}: {len(heard)} + {len(unheard)} clips")
    torch.manual_seed(recipe.schedule.seed)
    objective = {"contrastive_speech": speech.contrastive, "clustered_speech": speech.clustered}
    model = objective[recipe.objective](recipe, heard, log, checkpoint)
    scores = speech.probe_scores(model, unheard)
    torch.manual_seed(recipe.schedule.seed + 1)
    twin = speech.probe_scores(type(model)(model.config).eval(), unheard)
    return model, None, evaluate.beside_twin(scores, twin)


def _supervised(recipe: Recipe, pictures: Rendered, held_out: Rendered, log: Log, checkpoint):
    """Classify the object, by cross-entropy."""
    names = dict(enumerate(pictures.world.families["object"]))
    model_class = recipe.architecture["config"].replace("Config", "ForImageClassification")
    labels = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
    model = build(recipe.architecture, model_class, num_labels=len(names), **labels)
    targets = torch.from_numpy(pictures.classes("object"))

    def loss_of(rows, draw):
        logits = model(pixel_values=pictures.look.shifted(pictures.images[rows], draw)).logits
        return torch.nn.functional.cross_entropy(logits, targets[rows])

    fit(model, loss_of, len(pictures.images), recipe.schedule, log, checkpoint=checkpoint)
    accuracy = evaluate.classification_accuracy(
        model, held_out.look, held_out.images, held_out.classes("object")
    )
    return model, None, {"object_accuracy": accuracy}


def _masked(recipe: Recipe, pictures: Rendered, held_out: Rendered, log: Log, checkpoint):
    """Reconstruct hidden patches (masked autoencoding).

    Scores: the loss on held-out pictures (of patches of variance 1: the share that is not
    explained), and linear probes on the mean token for three factors, of the model and of its
    random twin.
    """
    model = build(recipe.architecture, "ViTMAEForPreTraining")

    def loss_on(images, draw):
        pixels = pictures.look.shifted(images, draw)
        patches = (model.config.image_size // model.config.patch_size) ** 2
        noise = torch.rand(len(images), patches, generator=draw)
        return model(pixel_values=pixels, noise=noise).loss

    def loss_of(rows, draw):
        return loss_on(pictures.images[rows], draw)

    fit(model, loss_of, len(pictures.images), recipe.schedule, log, checkpoint=checkpoint)
    draw = torch.Generator().manual_seed(recipe.schedule.seed)
    with torch.inference_mode():
        unexplained = float(loss_on(held_out.images, draw))
    probed = held_out.probe_scores(_unmasked(model))
    torch.manual_seed(recipe.schedule.seed + 1)
    twin = build(recipe.architecture, "ViTMAEForPreTraining").eval()
    beside = evaluate.beside_twin(probed, held_out.probe_scores(_unmasked(twin)))
    return model, None, {"held_out_loss": unexplained} | beside


def _unmasked(model):
    """Mean token of the encoder with nothing hidden."""

    def features(pixels: torch.Tensor) -> torch.Tensor:
        ratio, model.config.mask_ratio = model.config.mask_ratio, 0.0
        model.vit.embeddings.config.mask_ratio = 0.0
        states = model.vit(pixel_values=pixels).last_hidden_state
        model.config.mask_ratio = model.vit.embeddings.config.mask_ratio = ratio
        return states[:, 1:].mean(dim=1)

    return features


def _contrastive(recipe: Recipe, pictures: Rendered, held_out: Rendered, log: Log, checkpoint):
    """Match pictures with their captions (CLIP's symmetric contrastive loss)."""
    tokenizer = caption_tokenizer(
        _words(pictures), recipe.architecture["text_config"]["max_position_embeddings"]
    )
    text = dict(recipe.architecture["text_config"], vocab_size=len(tokenizer))
    for role in ("bos", "eos", "pad"):
        text[f"{role}_token_id"] = getattr(tokenizer, f"{role}_token_id")
    model = build(dict(recipe.architecture, text_config=text), "CLIPModel")

    def loss_of(rows, draw):
        seed = int(torch.randint(2**31, (1,), generator=draw))
        chance = np.random.default_rng(seed)
        write = (pictures.world.caption, pictures.world.short_caption)
        short = chance.random(len(rows)) < _SHORT_CAPTIONS
        captions = [
            write[int(s)](pictures.rows[row], chance) for s, row in zip(short, rows, strict=True)
        ]
        pixels = pictures.look.shifted(pictures.images[rows], draw)
        return model(pixel_values=pixels, **tokenize(tokenizer, captions), return_loss=True).loss

    fit(model, loss_of, len(pictures.images), recipe.schedule, log, checkpoint=checkpoint)
    return model, tokenizer, _clip_scores(model, tokenizer, held_out)


def _words(pictures: Rendered) -> set[str]:
    """All words of a world's captions and names of factors."""
    world, chance = pictures.world, np.random.default_rng(0)
    lines = [
        write(row, chance)
        for row in pictures.rows
        for write in (world.caption, world.short_caption)
    ]
    asked = [
        line
        for family in world.prompts().values()
        for phrases in family.values()
        for line in phrases
    ]
    return words_of([*lines, *asked, *world.vocabulary()])


def _clip_scores(model, tokenizer, held_out: Rendered) -> dict[str, float]:
    def unit(vectors: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(vectors, dim=-1)

    def texts(lines: list[str]) -> np.ndarray:
        with torch.inference_mode():
            tokens = tokenize(tokenizer, lines)
            return unit(model.get_text_features(**tokens).pooler_output).numpy()

    images = evaluate.in_batches(
        lambda x: unit(model.get_image_features(pixel_values=x).pooler_output),
        held_out.look,
        held_out.images,
    )
    return evaluate.zero_shot(images, texts, held_out.factors, held_out.world.prompts())


def _save(
    recipe: Recipe, model, tokenizer, scores: dict, directory: Path, look: Look | None
) -> dict:
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    if recipe.objective in SPEECH_OBJECTIVES:
        write_sound_processor(directory, RATE)
        data = {"data": asdict(recipe.data)}
        held_out = {"speakers": recipe.data.held_out_speakers, "seed": recipe.data.seed + 1}
    else:
        (look or Look(recipe.data.seen or recipe.data.size)).write(directory)
        data = {"pictures": recipe.data.n}
        held_out = {"pictures": recipe.data.held_out, "seed": recipe.data.seed + 1}
    if tokenizer is not None:
        tokenizer.save_pretrained(directory)
    card = {
        "name": recipe.name,
        "objective": recipe.objective,
        "architecture": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "licence": "Apache-2.0",
        "training": asdict(recipe.schedule) | data,
        "held_out": held_out,
        "scores": {metric: round(value, 4) for metric, value in scores.items()},
    }
    if recipe.objective == "locked":
        tower = recipe.architecture["image_tower"]
        card[TOWER] = {"folder": tower, "sha256": checksum(tower)}
    if teacher := recipe.objective_options.get("teacher"):
        card["teacher"] = {"folder": teacher, "sha256": checksum(teacher)}
    write_card(directory, card)
    return card
