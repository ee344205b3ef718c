"""Input functions and parameters of the rules in `rules/atlas.smk`."""

SHOWN = {
    "concepts": ("labels",),
    "published_labels": ("labels",),
    "convexity": ("convexity", "alignment"),
    "pruning": ("convexity", "cuts", "comparison"),
}


def atlas_tables(wildcards):
    """What the atlas shows of a study: {measure: tables}, its samples and its words."""
    name, study = wildcards.study, study_of(wildcards)
    measured = [m for m in SHOWN[study["kind"]] if catalogue.measured(study, m)]
    files = {measure: tables_of(name, measure) for measure in measured}

    def of_models(measure):
        return [
            f"results/measures/{name}/{measure}/{model}.parquet"
            for model in study["models"]
        ]

    if study["kind"] == "concepts" and catalogue.measured(study, "truth"):
        files["truth"] = of_models("truth_neurons")
        files["vocabulary"] = [study["vocabulary"]]
    if name in DISSECTIONS:
        files |= {m: of_models(m) for m in ("portraits", "nearest", "histograms")}
        files["concepts"] = [concept_file(study["concept_set"])]
    if "labels" in files:
        files["categories"] = [categories_file(wildcards)]
    else:
        files["neighbors"] = of_models("neighbors")
    if study["kind"] != "published_labels":
        files["manifests"] = pictures_of(wildcards)
    return files


def categories_in_atlas(wildcards):
    """The file of the words' categories, for studies of labels."""
    kind = study_of(wildcards)["kind"]
    return None if kind in ("convexity", "pruning") else categories_path(wildcards)
