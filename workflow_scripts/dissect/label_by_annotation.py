"""Label every neuron of every layer of a model with the annotation that it tells best."""

from job import job

with job(snakemake):
    from strata.activations.probing import ProbingSet
    from strata.dissect import Annotations, picture_halves, with_stability
    from strata.dissect.annotated import annotations_of
    from strata.dissect.annotation_measures import annotation_halves, annotation_measures
    from strata.tables import write_measures, write_table

    params, options = snakemake.params, dict(snakemake.params.options)
    model = snakemake.wildcards.model
    values = annotations_of(
        snakemake.input.manifests, snakemake.input.numbers, options["split"], options["annotations"]
    )
    probing = ProbingSet.open(
        snakemake.input.manifests, snakemake.input.activations, split=options["split"]
    )
    deciding = {key: options["annotations"][key] for key in ("direction", "best", "min_positives")}
    deciding["seed"] = params.seed
    given = (values.to_numpy(), list(values))
    prepared = Annotations(*given, n_permutations=options["permutations"], **deciding)
    print(f"{len(prepared.concepts)} annotations, {len(prepared.left_out)} left out")
    labels = annotation_measures(probing.layers(), prepared, model=model, dataset=probing.name)
    halves = picture_halves(probing.manifest, options["halves"], params.seed)
    half_labels = annotation_halves(probing.layers, *given, halves, **deciding)
    half_labels.insert(0, "model", model)
    write_table(half_labels, snakemake.output.halves)
    write_measures(with_stability(labels, half_labels), snakemake.output.labels)
