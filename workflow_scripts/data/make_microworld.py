"""Render Microworld into a data set."""

from pathlib import Path

import numpy as np

from job import job

with job(snakemake):
    from strata.data.factors import FAMILIES
    from strata.data.manifest import write_dataset
    from strata.data.microworld import NOT_LABELS, make_microworld

    spec = snakemake.params.spec
    directory = Path(snakemake.output.manifest).parent
    images, manifest = make_microworld(spec["n"], spec["size"], spec["seed"], spec["splits"])
    np.save(snakemake.output.images, images)
    info = {
        "name": directory.name,
        "kind": "microworld",
        "modality": "image",
        "root": ".",
        "licence": "Apache-2.0",
        "source": f"rendered by Strata, seed {spec['seed']}",
        "families": {family: list(values) for family, values in FAMILIES.items()},
        "storage": "images.npy",
        "not_labels": list(NOT_LABELS),
    }
    write_dataset(directory, manifest, info)
