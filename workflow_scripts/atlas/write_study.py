"""Write what the atlas shows of a study: its words or layers, its models, its samples."""

from job import job

with job(snakemake):
    from pathlib import Path

    import pandas as pd

    from strata.atlas import Samples, shown_words, study_data, write_data
    from strata.data import open_dataset
    from strata.data.vocabulary import read_vocabulary
    from strata.data.words import read_categories, read_concepts
    from strata.tables import measures_by_model

    folder, params, given = Path(snakemake.output[0]), snakemake.params, dict(snakemake.input)
    datasets = [open_dataset(Path(path).parent) for path in given.pop("manifests", [])]
    # Labels count the samples of their split, neighbors all of the data set's.
    split = params.study.get("split", "all") if "labels" in given else "all"
    samples = Samples(datasets, split) if datasets else None
    concepts, vocabulary = given.pop("concepts", []), given.pop("vocabulary", [])
    known = read_vocabulary(vocabulary[0]) if vocabulary else {}
    words = read_categories(params.categories) if given.pop("categories", []) else {}
    tables = {
        name: {Path(file).stem: pd.read_parquet(file) for file in files}
        if name == "histograms"
        else measures_by_model(files)
        for name, files in given.items()
    }
    names = {name: entry.get("label", name) for name, entry in params.models.items()}
    told, models = study_data(
        params.study,
        names,
        tables,
        samples,
        read_concepts(concepts[0]) if concepts else (),
        shown_words(words, known),
    )
    told["samples"] = samples.write(folder) if samples else None
    study = snakemake.wildcards.study
    write_data(folder / "study.js", study, told)
    for model, data in models.items():
        write_data(folder / f"model-{model}.js", f"{study}/{model}", data)
