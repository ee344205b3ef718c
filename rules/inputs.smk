"""Input functions and parameters of the rules, by stage: which files a job needs."""

import json

import yaml

from strata.activations.importing import array_folder
from strata.data.arrays import array_files
from strata.data.folder import folder_state
from strata.models.fetching import model_folder


def model_files(name):
    """Input function: the files of a model that every user of it depends on."""

    def files(wildcards):
        model = name(wildcards)
        return [
            f"results/models/{model}/{file}"
            for file in ("card.json", "model.safetensors")
        ]

    return files


def studied(pattern):
    """Input function: a file of the one data set that a study is about."""
    return lambda wildcards: pattern.format(
        dataset=study_of(wildcards)["dataset"], model=wildcards.model
    )


def probing(pattern):
    """Input function: a file for each data set of the study's probing set."""
    return lambda wildcards: [
        pattern.format(
            dataset=dataset, model=getattr(wildcards, "model", ""), clip=clip
        )
        for clip in [study_of(wildcards).get("clip", "")]
        for dataset in study_of(wildcards)["probing"]
    ]


def tables_of(study, measure, models=None):
    """Files of a measure of a study, for these models (all that the measure is taken of)."""
    entry = config["studies"][study]
    stems = catalogue.stems(entry, measure, models, config["seed"])
    return [f"results/measures/{study}/{measure}/{stem}.parquet" for stem in stems]


def beside(folder, study, measure):
    """Files in another folder of a study that go with the tables of a measure, by their names."""
    return [
        f"results/measures/{study}/{folder}/{os.path.basename(file)}"
        for file in tables_of(study, measure)
    ]


# --- data --------------------------------------------------------------------------------------


def user_folder(wildcards):
    """State of a user's folder: new, removed and changed files are seen."""
    place = config["datasets"][wildcards.dataset]["path"]
    return folder_state(Path(workflow.basedir) / place)


def user_tables(wildcards):
    """The small files that a user wrote for a data set; a change of them is seen."""
    entry = config["datasets"][wildcards.dataset]
    place = entry if "path" in entry else config["datasets"][entry["images"]]
    if "path" not in place:
        return []  # simulated, or downloaded beside the pictures
    keys = ("labels", "segments", "triplets", "items", "categories")
    names = [entry[key] for key in keys if key in entry]
    names += entry.get("lists", {}).values()
    files = [f"{place['path']}/{name}" for name in names]
    # With `from`, what is not in the folder comes with the download.
    return [file for file in files if "from" not in entry or os.path.exists(file)]


# --- models ------------------------------------------------------------------------------------


def local_files(wildcards):
    """The files of a model that lies in a folder of the user's; a change of them is seen."""
    folder = config["models"][wildcards.model].get("path")
    return [str(path) for path in model_folder(folder)] if folder else []


def base_of(wildcards):
    return config["models"][wildcards.model]["base"]


def context_of(model):
    """What a model of sounds sees around a clip; None where its entry does not say."""
    return config["models"][model].get("context")


def embedding_of(wildcards):
    """Whether the state before the first block of a model is one of its layers."""
    return config["models"][wildcards.model].get("embedding", False)


def zoo_file(wildcards, file):
    entry = config["models"][wildcards.model]
    return f"{config['zoo_directory']}/{entry['id']}/{file}"


def image_tower(wildcards):
    """Folder of the image tower that a bundled model is completed with; None for a whole one."""
    card = json.loads(Path(zoo_file(wildcards, "card.json")).read_text())
    return card.get("image_tower", {}).get("folder")


def zoo_folder(wildcards):
    """All files of a bundled model, and of the image tower that it is completed with."""
    folders = [zoo_file(wildcards, ""), image_tower(wildcards)]
    return sorted(str(path) for one in folders if one for path in Path(one).glob("*"))


def recipe_files(wildcards):
    """A recipe, and the image tower and concept list that it names."""
    path = zoo_file(wildcards, "recipe.yaml")
    recipe = yaml.safe_load(Path(path).read_text())
    tower = recipe.get("architecture", {}).get("image_tower")
    words = recipe.get("objective_options", {}).get("concepts")
    weights = f"{tower}/model.safetensors" if tower else None
    return [path, *(file for file in (weights, words) if file)]


def finetuning_of(wildcards):
    return config["models"][wildcards.model]["finetune"]


def shown_as(model):
    """How a model's pictures are made, where its entry says."""
    entry = config["models"][model]
    return {key: entry[key] for key in ("preprocess", "size") if key in entry}


def tuning_recipe(model):
    """All that decides what a fine-tuned model becomes, beside its base and the code."""
    finetune = config["models"][model]["finetune"]
    dataset = config["datasets"][finetune["dataset"]]
    told = {"finetune": finetune, "dataset": dataset, "seed": config["seed"]}
    return told | shown_as(model)


def ships_as_configured(model):
    """Whether an adapter of that name ships, and was learned as the configuration says."""
    card = Path(config["zoo_directory"]) / model / "card.json"
    if config["zoo"] != "bundled" or not card.is_file():
        return False
    return json.loads(card.read_text()).get("recipe") == tuning_recipe(model)


def adapter_files(wildcards):
    folder = Path(config["zoo_directory"]) / wildcards.model
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]


# --- activations -------------------------------------------------------------------------------


def arrays_of(wildcards):
    """The folder of a user's arrays about a data set."""
    path = config["models"][wildcards.model]["path"]
    return array_folder(path, wildcards.dataset)


def users_arrays(wildcards):
    """The files of activations made elsewhere, and the table of their rows' names."""
    folder, samples = (
        arrays_of(wildcards),
        config["models"][wildcards.model]["samples"],
    )
    return [str(path) for path in [*array_files(folder), folder / samples]]


def arrays_state(wildcards):
    """State of the folder: also a file that was replaced by an older one is seen."""
    return folder_state(arrays_of(wildcards))


def activations_in_studies(wildcards):
    """Activations of a model on the data sets of the studies that run."""
    names = []
    for study in (config["studies"][name] for name in config["run"]):
        if (
            study["kind"] == "published_labels"
            or wildcards.model not in study["models"]
        ):
            continue
        names += study.get("probing") or [study["dataset"]]
        local = study.get("transforms", {}).get("local_images")
        if local and wildcards.model in catalogue.models_of(study, "pretrained"):
            names.append(local["dataset"])
    return [
        f"results/activations/{name}/{wildcards.model}" for name in dict.fromkeys(names)
    ]


# --- dissect -----------------------------------------------------------------------------------


def concept_file(name):
    """Where the word list of a concept set lies: the user's file, or the downloaded one."""
    entry = config["concept_sets"][name]
    return entry["path"] if entry["kind"] == "file" else f"results/concepts/{name}.txt"


def clip_of(wildcards):
    return study_of(wildcards)["clip"]


# --- concepts ----------------------------------------------------------------------------------


def categories_source(wildcards):
    """The downloaded data set that a study's category word lists come with (None: shipped, or the
    user's own), and their file."""
    study = study_of(wildcards)
    if study.get("concepts") == "annotations":
        return None, f"results/annotations/{wildcards.study}.json"
    categories = study["categories"]
    if study["kind"] == "published_labels":
        return study["dataset"], categories
    if isinstance(categories, str):
        return None, categories
    return categories["from"], categories["file"]


def categories_path(wildcards):
    dataset, file = categories_source(wildcards)
    return f"{DOWNLOADS}/{dataset}/{file}" if dataset else file


def categories_file(wildcards):
    """What the word lists depend on: their file, or the data set that they come with."""
    dataset, file = categories_source(wildcards)
    return f"results/data/{dataset}/manifest.parquet" if dataset else file


def measures_of_labels(study):
    """What is compared of a study's labels; truth where it was scored."""
    found = catalogue.measures(config["studies"][study])
    return [name for name in ("counts", "shares", "truth") if name in found]


def label_measures(wildcards):
    """Tables of each measure of a study's labels, and of their deviates."""
    files = {}
    for measure in measures_of_labels(wildcards.study):
        files[measure] = tables_of(wildcards.study, measure)
        files[f"{measure}_deviates"] = beside(
            f"deviates/{measure}", wildcards.study, measure
        )
    return files


# --- alignment ---------------------------------------------------------------------------------


def triplets_files(wildcards):
    return [
        f"results/data/{name}/triplets.parquet"
        for name in study_of(wildcards)["triplets"]
    ]


def triplets_infos(wildcards):
    """What is told of each set of triplets: its task, and which pictures were shown."""
    return [
        f"results/data/{name}/dataset.json" for name in study_of(wildcards)["triplets"]
    ]


def item_columns(wildcards):
    """For each set of triplets, the column of the pictures that holds its items' names."""
    return {
        name: config["datasets"][name]["column"]
        for name in study_of(wildcards)["triplets"]
    }


def local_images(pattern):
    """Input function: a file of the pictures whose neighborhoods gLocal keeps, where named."""

    def files(wildcards):
        local = study_of(wildcards)["transforms"].get("local_images")
        found = {"dataset": local["dataset"]} if local else {}
        return pattern.format(model=wildcards.model, **found) if found else []

    return files


# --- concepts -----------------------------------------------------------------------------------


def half_labels_file(wildcards):
    """Labels on halves of the pictures; released ones have none."""
    if study_of(wildcards)["kind"] == "published_labels":
        return []
    return f"results/measures/{wildcards.study}/half_labels/{wildcards.model}.parquet"


# --- pruning -----------------------------------------------------------------------------------


def training_seeds(study):
    """Seeds of the trainings of a study of pruning."""
    return [config["seed"] + number for number in range(study["seeds"])]


# --- figures -----------------------------------------------------------------------------------


def figure_names(study):
    return [
        f"{study}_{name}" for name in catalogue.figure_names(config["studies"][study])
    ]


def figure_files(name):
    return [f"results/figures/{name}.{suffix}" for suffix in ("pdf", "svg", "csv")]


def model_entries(wildcards):
    """Display names and origins of a study's models, as the registry has them."""
    models = config["models"]
    return {
        name: models[name] for name in study_of(wildcards)["models"] if name in models
    }


def drawn_measures(wildcards):
    """Tables of the measures that a figure draws, for the models in it."""
    entry, study = catalogue.FIGURES[wildcards.figure], study_of(wildcards)
    return [
        file
        for measure in entry.measure.split("+")
        for file in tables_of(
            wildcards.study, measure, catalogue.models_of(study, entry.models)
        )
    ]


def drawn_figure(wildcards):
    """What draws a figure, of which measure, with which models in it."""
    entry = catalogue.FIGURES[wildcards.figure]
    return {
        "function": entry.function,
        "measure": entry.measure,
        "models": catalogue.models_of(study_of(wildcards), entry.models),
        "options": dict(entry.options),
    }


def drawing_module(wildcards):
    """The module of the library that draws a figure."""
    function = catalogue.FIGURES[wildcards.figure].function
    return f"strata.figures.{function.partition('.')[0]}"


def neuron_truth(wildcards):
    if wildcards.model not in catalogue.measured(study_of(wildcards), "truth"):
        return []
    return f"results/measures/{wildcards.study}/truth_neurons/{wildcards.model}.parquet"


def pictures_of(wildcards):
    """Manifests of the pictures that a study's models see."""
    study = study_of(wildcards)
    names = study.get("probing") or [study["dataset"]]
    return [f"results/data/{name}/manifest.parquet" for name in names]


# --- claims ------------------------------------------------------------------------------------


def tables_by_claim(wildcards):
    """Tables that decide a claim in a study: {"claim/study": files}."""
    found = {}
    for claim in read_claims(config["claims"]):
        for name in config["run"]:
            study = config["studies"][name]
            if study["kind"] in claim.kinds and catalogue.measured(
                study, claim.measure
            ):
                found[f"{claim.name}/{name}"] = tables_of(name, claim.measure)
    return found


def claimed_tables(wildcards):
    """Every table that decides a claim."""
    tables = tables_by_claim(wildcards).values()
    return list(dict.fromkeys(file for files in tables for file in files))


# --- atlas -------------------------------------------------------------------------------------

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


# --- notebooks ---------------------------------------------------------------------------------


# The measures that the notebook of each kind of study reads.
EXPLORED = {
    "concepts": ("labels",),
    "published_labels": ("labels",),
    "convexity": ("convexity",),
    "pruning": ("trained", "cost"),
}


def explored(study):
    """Tables that a study's notebook reads, by measure; none where a measure is not taken."""
    measures = EXPLORED[config["studies"][study]["kind"]]
    found = {measure: tables_of(study, measure) for measure in measures}
    return found if all(found.values()) else {}


def explored_tables(wildcards):
    # Snakemake writes the folder's name between apostrophes into the notebook that it runs.
    if "'" in os.getcwd():
        raise WorkflowError(
            f"{os.getcwd()}: notebooks do not run in a folder with an apostrophe in its path"
        )
    return explored(wildcards.study)


# --- paper -------------------------------------------------------------------------------------


def measures_in_paper(wildcards):
    """Every table that a number of the paper is taken from."""
    return [
        file
        for name in config["run"]
        for measure in catalogue.measures(config["studies"][name])
        for file in tables_of(name, measure)
    ]


def cards_in_paper(wildcards):
    """Cards of the models of the studies that ran models."""
    studies = [config["studies"][name] for name in config["run"]]
    models = [
        model
        for study in studies
        if study["kind"] != "published_labels"
        for model in [*study["models"], *([study["clip"]] if "clip" in study else [])]
    ]
    return [f"results/models/{model}/card.json" for model in dict.fromkeys(models)]


def datasets_in_paper(wildcards):
    names = []
    for name in config["run"]:
        study = config["studies"][name]
        names += study.get("probing") or [study["dataset"]]
        names += study.get("triplets", [])
        local = study.get("transforms", {}).get("local_images")
        names += [local["dataset"]] if local else []
    return [f"results/data/{name}/dataset.json" for name in dict.fromkeys(names)]
