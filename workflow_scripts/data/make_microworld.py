"""Render Microworld into a data set."""

from pathlib import Path

import numpy as np

from job import job

with job(snakemake):
    from strata.data.manifest import write_dataset
    from strata.data.microworld import NOT_LABELS, make_microworld
    from strata.data.worlds import world_named
    from strata.whole import whole

    spec = snakemake.params.spec
    drawn = {key: value for key, value in spec.items() if key != "kind"}
    directory = Path(snakemake.output.manifest).parent
    images, manifest = make_microworld(**drawn)
    with whole(snakemake.output.images) as path:
        np.save(path, images)
    info = {
        "name": directory.name,
        "kind": "microworld",
        "modality": "image",
        "root": ".",
        "licence": "Apache-2.0",
        "source": f"rendered by Strata, seed {spec['seed']}",
        "families": {
            family: list(values) for family, values in world_named(spec["world"]).families.items()
        },
        "storage": "images.npy",
        "not_labels": list(NOT_LABELS),
    }
    write_dataset(directory, manifest, info)
