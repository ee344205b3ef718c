"""Speak Microspeech into a data set."""

from job import job

with job(snakemake):
    import hashlib
    from pathlib import Path

    import numpy as np

    from strata.data import espeak
    from strata.data.manifest import write_dataset
    from strata.data.microspeech import NOT_LABELS, RATE, make_microspeech
    from strata.whole import whole

    spec = dict(snakemake.params.spec)
    directory = Path(snakemake.output.manifest).parent
    words = {"words": spec["words"]} if "words" in spec else {}
    sounds, manifest, segments = make_microspeech(
        spec["speakers"], spec["takes"], spec["seed"], spec["splits"], **words
    )
    with whole(snakemake.output.sounds) as path:
        np.save(path, sounds)
    info = {
        "name": directory.name,
        "kind": "microspeech",
        "modality": "audio",
        "root": ".",
        "rate": RATE,
        "licence": "Apache-2.0",
        "source": f"spoken by espeak-ng {espeak.version()} for Strata, seed {spec['seed']}",
        "storage": "sounds.npy",
        "not_labels": list(NOT_LABELS),
        "checksums": {"sounds.npy": hashlib.sha256(sounds.tobytes()).hexdigest()},
    }
    write_dataset(directory, manifest, info, segments)
