"""Models fetched once, from a folder, a mirror or their hub, to be loaded offline ever after."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from strata.data.files import sha256_of
from strata.errors import StrataError, one_line
from strata.models.cards import (
    ADAPTER,
    MODEL_FILES,
    adapter_told,
    count_parameters,
    read_model_json,
    write_card,
)
from strata.models.clap import is_clap, load_clap
from strata.models.encoder import Encoder, load_encoder
from strata.models.front_end import write_sound_processor
from strata.models.weights import WEIGHTS, gather_weights, weight_files


def fetch(
    spec: Mapping,
    directory: str | Path,
    *,
    mirror: str | None = None,
    name: str = "",
    check: Callable[[Encoder, Mapping], None] | None = None,
    log: Callable[[str], None] = print,
) -> dict:
    """Put a model into `directory`, ready to load offline, and return its card.

    It is taken from `spec["path"]` (a local folder), else from `{mirror}/models/{id}` when the
    mirror is a folder that has it, else from the hub at `spec["revision"]`. Its weights become one
    `model.safetensors`, also where they are several files with an index; where a repository has
    no safetensors, its `pytorch_model.bin` is read with `weights_only`. `spec["processor"]`
    (`sampling_rate`, `do_normalize`) says how sounds are prepared where a speech model's repository
    does not. `check` is called with the encoder, loaded as `spec` says, and with `spec`, before
    anything lies in `directory`.

    What came from the hub before a failure is kept beside `directory`, and a second call goes on
    from there. The card's source is the hub's name, or of a folder what `spec["origin"]` says of
    it, else the folder. The card's revision is the commit, also where the specification names a
    branch.

    Raises
    ------
    StrataError
        The model cannot be fetched, or the result does not load.
    """
    directory = Path(directory)
    temporary = directory.with_name(f".{directory.name}.part")
    downloads = directory.with_name(f".{directory.name}.downloads")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        found = _copy_local(spec, temporary, mirror, name)
        source, revision = found or _download(spec, downloads, temporary, name, log)
        _preprocessor_alone(temporary)
        if "processor" in spec and not (temporary / "preprocessor_config.json").is_file():
            write_sound_processor(temporary, **spec["processor"])
        _try(temporary, spec, name, check)
        card = {
            "name": name,
            "source": source,
            "revision": revision,
            "licence": spec.get("licence") or _licence(temporary),
            "parameters": count_parameters(temporary / "model.safetensors"),
            "sha256": sha256_of(temporary / "model.safetensors"),
        }
        write_card(temporary, card)
        directory.mkdir(parents=True, exist_ok=True)
        for file in (*MODEL_FILES, "model.safetensors", "card.json"):
            if (temporary / file).is_file():
                os.replace(temporary / file, directory / file)
        shutil.rmtree(downloads, ignore_errors=True)
    except StrataError as error:  # which may name the folder, one that goes
        name = name or directory.name
        told = str(error).replace(f"{temporary}: ", f"{name}: ")
        raise StrataError(told.replace(temporary.name, name)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return card


def _try(directory: Path, spec: Mapping, name: str, check: Callable | None) -> None:
    """Load what was fetched, read as `spec` says; of a CLAP, which labels, no layer is read."""
    if is_clap(directory):
        load_clap(directory)
        return
    keys = ("layers", "preprocess", "size", "context")
    reading = {key: spec[key] for key in keys if key in spec}
    encoder = load_encoder(directory, device="cpu", **reading)
    if check is not None:
        check(replace(encoder, name=name or encoder.name), spec)


def model_folder(folder: str | Path) -> list[Path]:
    """The files of a local folder that a model is made of; empty where there is none."""
    files = (Path(folder) / name for name in MODEL_FILES)
    return [*(file for file in files if file.is_file()), *weight_files(Path(folder))]


def _copy_local(
    spec: Mapping, directory: Path, mirror: str | None, name: str
) -> tuple[str, str | None] | None:
    """Copy a model from its folder or the mirror; its origin and revision, None if not there."""
    if "path" in spec:
        folder = Path(spec["path"])
        if not folder.is_dir():
            raise StrataError(f"{name}: path {folder} is not a folder; it should hold config.json")
        source = spec.get("origin", spec.get("id", folder))
    else:
        folder = Path(mirror or "") / "models" / spec["id"]
        if not mirror or not folder.is_dir():
            return None
        source = spec["id"]
    _copy_files(folder, directory, name)
    return str(source), spec.get("revision")


def _copy_files(folder: Path, directory: Path, name: str) -> None:
    if (folder / ADAPTER).is_file():
        raise StrataError(adapter_told(f"{name}: {folder}"))
    for file in MODEL_FILES:
        if (folder / file).is_file():
            shutil.copyfile(folder / file, directory / file)
    gather_weights(folder, directory / "model.safetensors", name)


def _download(
    spec: Mapping, downloads: Path, directory: Path, name: str, log: Callable[[str], None]
) -> tuple[str, str]:
    """Fetch a model from the hub by way of `downloads`; its origin and its commit."""
    from strata.models.hub import fetch_repository

    repository, revision = spec["id"], spec["revision"]
    try:
        commit, folder = fetch_repository(
            repository, revision, MODEL_FILES, downloads, either=WEIGHTS, log=log
        )
        _copy_files(folder, directory, repository)
    except (OSError, StrataError) as error:
        raise StrataError(
            f"{name}: cannot fetch {repository} at revision {revision}: {one_line(error)}; "
            f"or put it under models/{repository} of the data mirror"
        ) from None
    if commit != revision:
        log(f"{repository}: {revision} is commit {commit}; name that to pin it")
    return repository, commit


def _preprocessor_alone(directory: Path) -> None:
    """Write `preprocessor_config.json` from the file in which transformers keeps all that a model's
    processor is made of, where the model was saved with its whole processor."""
    whole, alone = directory / "processor_config.json", directory / "preprocessor_config.json"
    if alone.is_file() or not whole.is_file():
        return
    parts = read_model_json(whole)
    found = parts.get("feature_extractor") or parts.get("image_processor")
    if found:
        alone.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")


def _licence(directory: Path) -> str:
    """The licence that the model's own README declares in its header."""
    readme = directory / "README.md"
    header = readme.read_text(errors="replace")[:4000] if readme.is_file() else ""
    found = re.search(r"^license:\s*(\S+)", header, flags=re.MULTILINE)
    return found.group(1) if found else "not stated"
