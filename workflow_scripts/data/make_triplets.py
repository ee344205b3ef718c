"""Make a set of triplets from files of people's answers, or from simulated observers."""

from job import job

with job(snakemake):
    from pathlib import Path

    from strata.data import open_dataset
    from strata.data.triplets import collected_triplets, simulated_triplets

    spec, params = dict(snakemake.params.spec), snakemake.params
    pictures = open_dataset(Path(snakemake.input.pictures).parent)
    directory = Path(snakemake.output.manifest).parent
    if "simulated" in spec:
        simulated_triplets(spec, pictures, directory, seed=spec.get("seed", params.seed))
    else:
        files = [open_dataset(Path(path).parent) for path in snakemake.input.files]
        download = files[0] if files else None
        collected_triplets(spec, pictures, directory, base=params.base, download=download)
