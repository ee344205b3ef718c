"""The papers' headline claims, and where a run of studies/real.yaml says something about each."""

from dataclasses import dataclass, field

# A loss of accuracy that counts as none: one answer in fifty.
MARGIN = 0.02
RUN = "Without a GPU, in float32: some 80 minutes of a core (an hour on two, beside other work)."

CONTRASTS = {"first": "last block less the first", "twin": "last block less the random twin's"}
WHISPER, DINO = "whisper-real", "dinov2-real"


HOW = """The recordings, pets and judgements are downloaded and checked against their checksums; where that is not possible, `STRATA_MIRROR` (or `data_mirror:`) names a folder or base URL that has them. The photographs are for you to bring, as their licences forbid passing them on: pictures of ImageNet and of the Describable Textures Dataset in `data/probing_photos/`, and there a `labels.csv` with the columns `path`, `kind`, `domain` and `texture`, empty where a column does not apply. With them: `make paper STUDY=\"studies/real.yaml studies/real-photos.yaml\"`. For the hub's own weights, copy the models' entries with `id` and `revision` from [resources/networks](../resources/networks/README.md) for `path` and `origin`."""  # noqa: E501


@dataclass(frozen=True)
class Line:
    """One row of a run's tables, and the sign that the claim gives it.

    `table` is a path below results/measures, `where` picks by columns (None: missing), `last` the
    row behind most blocks. `margin` is a loss that counts as none; `below` makes it a count
    that the claim says is lower than that.
    """

    key: str
    text: str
    table: str
    where: dict[str, str | None]
    sign: int = 1
    margin: float = 0.0
    last: bool = False
    column: str = "value"
    below: float | None = None


@dataclass(frozen=True)
class Course:
    """A measure by depth (`depth`: the column that counts blocks), of all models of a table."""

    key: str
    study: int
    text: str
    table: str
    where: dict[str, str | None]
    depth: str = "block"


@dataclass(frozen=True)
class Claim:
    """A claim of study 1, 2 or 3; without tests, `note` says why these networks cannot test it."""

    key: str
    study: int
    text: str
    note: str = ""
    tests: list[Line] = field(default_factory=list)


def contrasts(sign: int) -> list[tuple[str, str]]:
    """What a change with depth is compared with. A network's last block can hold more than its
    twin's and yet less than its own first: for a claim of less the twin's level says nothing.
    """
    return [pair for pair in CONTRASTS.items() if sign > 0 or pair[0] == "first"]


def depth_tests(
    study: str, measure: str, model: str, family: str, what: str, sign: int = 1
) -> list[Line]:
    """The last block less the first, and of what should be more less the twin's last; `measure`
    names table and metric."""
    metric = {"convexity": "graph_convexity", "alignment": "accuracy"}[measure]
    where = {"model": model, "family": family, "metric": f"{metric}_difference", "concept": None}
    table = f"{study}/differences/{measure}.parquet"
    return [
        Line(
            f"{study}-{family}-{contrast}",
            f"{what}: {text}",
            table,
            where | {"contrast": contrast},
            sign,
            last=True,
        )
        for contrast, text in contrasts(sign)
    ]


def cut_tests(rule: str, text: str, margin: float = 0.0) -> list[Line]:
    """Accuracy of the convexity cut less that of another rule, in each task."""
    return [
        Line(
            f"{study}-{family}-{rule}",
            f"{task}: the convexity cut less {text}",
            f"{study}/comparison/all.parquet",
            {"model": WHISPER, "family": family, "concept": rule, "metric": "difference"},
            margin=margin,
        )
        for study, family, task in TASKS
    ]


TASKS = (
    ("digits-real", "word", "digits, unheard speakers"),
    ("digits-real", "speaker", "speakers of digits, other recordings"),
    ("commands-real", "word", "commands, unheard speakers"),
)
RULES = {
    "every_second": "every second block",
    "block_influence": "block influence",
    "angular_distance": "angular distance",
    "cka": "CKA",
    "random": "random blocks",
}
ONE = "There is one network of this modality, and no other pretraining to compare it with."
TUNED = "No fine-tuned version of these networks is part of this study."


def share_tests(study: str, model: str, column: str, what: str, sign: int) -> list[Line]:
    """Share of neurons whose concept is of a column, by depth and against the twin."""
    return concept_tests(study, model, "category_share_mean", column, f"share of {what}", sign)


def concept_tests(
    study: str, model: str, metric: str, column: str | None, what: str, sign: int
) -> list[Line]:
    where = {"model": model, "metric": f"{metric}_difference", "concept": column}
    return [
        Line(
            f"{study}-{column or metric}-{contrast}",
            f"{what}: {text}",
            f"{study}/differences/concepts.parquet",
            where | {"contrast": contrast},
            sign,
            last=True,
        )
        for contrast, text in contrasts(sign)
    ]


CLAIMS = [
    Claim(
        "colours",
        1,
        "Colours and textures early, objects and animals late",
        "Neurons are labelled by annotation, not by CLIP-Dissect: share of those neurons whose "
        "score is above the layer's mean. Textures are photographs of another source than "
        "objects; each column is compared within the photographs that have a value in it.",
        [
            *share_tests("photos-real", DINO, "color", "colours", -1),
            *share_tests("photos-real", DINO, "texture", "textures", -1),
            *share_tests("photos-real", DINO, "kind", "kinds of things and animals", 1),
            *share_tests("photos-real", DINO, "domain", "domains (animals, made things ...)", 1),
        ],
    ),
    Claim(
        "number",
        1,
        "The number of concepts rises with depth",
        "Distinct labels above the layer's median, as the paper counts; of so few annotations "
        "there can be no more than the study has. Intervals are about neurons, the samples as "
        "they are.",
        [
            *concept_tests("photos-real", DINO, "n_concepts_median", None, "photographs", 1),
            *concept_tests("neurons-real", WHISPER, "n_concepts_median", None, "commands", 1),
            *concept_tests("spoken-real", WHISPER, "n_concepts_median", None, "spoken digits", 1),
        ],
    ),
    Claim(
        "speech",
        1,
        "Its counterpart in speech (not in the paper): sound and speakers early, words late",
        "Without an interval: a share that is zero in both layers or networks does not tell how it "
        "varies.",
        [
            *share_tests("neurons-real", WHISPER, "word", "words of commands", 1),
            *share_tests("neurons-real", WHISPER, "speaker", "speakers of commands", -1),
            *share_tests("neurons-real", WHISPER, "loudness", "loudness of commands", -1),
            *share_tests("neurons-real", WHISPER, "pitch", "pitch of commands", -1),
            *share_tests("spoken-real", WHISPER, "word", "words of digits", 1),
            *share_tests("spoken-real", WHISPER, "speaker", "speakers of digits", -1),
        ],
    ),
    Claim("pretraining", 1, "Pretraining changes number and kind of concepts", ONE),
    Claim("tuning", 1, "Fine-tuning reduces concepts and shifts their kind", TUNED),
    Claim(
        "depth",
        2,
        "Concepts are convex, and more so with depth, beyond what the architecture does",
        "The Euclidean kind is about a classifier's own classes: those of a linear one that was "
        "trained on the last block's states of half of the pets.",
        [
            *depth_tests("pets-real", "convexity", DINO, "breed", "pets' breeds"),
            *depth_tests("kinds-real", "convexity", DINO, "kind", "kinds of things"),
            *depth_tests("kinds-real", "convexity", DINO, "domain", "domains"),
            Line(
                "pets-real-euclidean",
                "breeds, Euclidean: last block less the first",
                "pets-real/euclidean/dinov2-real-breed.parquet",
                {"metric": "euclidean_convexity_gain", "concept": None},
                last=True,
            ),
        ],
    ),
    Claim(
        "aligned",
        2,
        "Agreement with people grows with depth, beyond what the architecture does",
        tests=depth_tests(
            "materials-real", "alignment", DINO, "material_judgements", "judgements of materials"
        ),
    ),
    Claim(
        "correlation",
        2,
        "Convexity and alignment correlate over pretrained and fine-tuned networks",
        "The correlation is over networks, of which this study has one; fewer than eight have no "
        "interval. Nor are breeds and materials the same pictures.",
    ),
    Claim(
        "transforms",
        2,
        "Optimising for alignment improves it (its effect on convexity: no classes here)",
        "The judged materials have no classes whose convexity could be measured, so the claim's "
        "second half, that convexity rises too, cannot be tested on them.",
        [
            Line(
                f"gain-{method}",
                f"last block, {method}: accuracy after less before, on held-out materials",
                f"materials-real/transforms/{DINO}.parquet",
                {"model": DINO, "metric": "accuracy_gain", "transform": method},
                last=True,
            )
            for method in ("naive", "glocal")
        ],
    ),
    Claim("objective", 2, "Raising convexity by fine-tuning: no consistent effect", TUNED),
    Claim(
        "words",
        3,
        "What was said becomes convex with depth, beyond what the architecture does",
        tests=[
            *depth_tests("digits-real", "convexity", WHISPER, "word", "digits"),
            *depth_tests("commands-real", "convexity", WHISPER, "word", "commands"),
        ],
    ),
    Claim(
        "speakers",
        3,
        "Who said it becomes less convex with depth",
        "The courses by depth show the random twin beside it.",
        depth_tests("digits-real", "convexity", WHISPER, "speaker", "speakers", -1),
    ),
    Claim(
        "reduction",
        3,
        "Cutting at the most convex layer reduces computation",
        "A count of blocks, without an interval. Keeping none leaves the convolutions and a "
        "classifier: for speakers the embedding, which counts as a layer, is the most convex.",
        [
            Line(
                f"{study}-{family}-layers",
                f"{task}: blocks kept of 4, mean over seeds",
                f"{study}/comparison/all.parquet",
                {
                    "model": WHISPER,
                    "family": family,
                    "concept": "most_convex",
                    "metric": "accuracy",
                },
                column="layers",
                below=4,
            )
            for study, family, task in TASKS
        ],
    ),
    Claim(
        "loss",
        3,
        "The cut loses no accuracy",
        "Where the cut keeps all blocks it is the full network, and there is no difference to have "
        "an interval.",
        cut_tests("full", "the full network", MARGIN),
    ),
    Claim(
        "better",
        3,
        "The cut is better than other rules that keep as many blocks",
        tests=[test for rule, text in RULES.items() for test in cut_tests(rule, text)],
    ),
    Claim("tuned", 3, "Fine-tuning changes the course of convexity", TUNED),
]

CONVEXITY = {"metric": "graph_convexity", "concept": None}
COURSES = [
    *(
        Course(
            f"share-{study}-{column}",
            1,
            f"Share of neurons with a {column} ({what})",
            f"{study}/shares/*.parquet",
            {"metric": "category_share_mean", "concept": column},
        )
        for study, what, columns in (
            ("photos-real", "photographs", ("color", "texture", "kind", "domain")),
            ("neurons-real", "commands", ("loudness", "pitch", "speaker", "word")),
            ("spoken-real", "spoken digits", ("word", "speaker")),
        )
        for column in columns
    ),
    *(
        Course(
            f"count-{study}",
            1,
            f"Number of concepts ({what})",
            f"{study}/counts/*.parquet",
            {"metric": "n_concepts_median"},
        )
        for study, what in (
            ("photos-real", "photographs"),
            ("neurons-real", "commands"),
            ("spoken-real", "spoken digits"),
        )
    ),
    *(
        Course(
            f"course-{family}",
            2,
            f"Graph convexity of a photograph's {family}",
            "kinds-real/convexity/*.parquet",
            CONVEXITY | {"family": family},
        )
        for family in ("kind", "domain")
    ),
    Course(
        "course-breed",
        2,
        "Graph convexity of breeds",
        "pets-real/convexity/*.parquet",
        CONVEXITY | {"family": "breed"},
    ),
    Course(
        "course-euclidean",
        2,
        "Euclidean convexity of breeds, of a linear classifier",
        "pets-real/euclidean/dinov2-real-breed.parquet",
        {"metric": "euclidean_convexity", "concept": None},
    ),
    Course(
        "course-materials",
        2,
        "Odd-one-out accuracy on materials",
        "materials-real/alignment/*.parquet",
        {"metric": "accuracy", "concept": None},
    ),
    *(
        Course(
            f"course-{study}-{family}",
            3,
            f"Graph convexity, {task.partition(',')[0]}",
            f"{study}/convexity/*.parquet",
            CONVEXITY | {"family": family},
        )
        for study, family, task in TASKS
    ),
    *(
        Course(
            f"depth-{study}-{family}",
            3,
            f"Accuracy with the first blocks kept, {task}",
            f"{study}/comparison/all.parquet",
            {"metric": "depth_accuracy", "family": family},
            depth="layers",
        )
        for study, family, task in TASKS
    ),
]

# Curves of the run that the page shows, by study; no picture of any data set is in them.
FIGURES = {
    1: ["photos-real_categories", "neurons-real_categories", "spoken-real_categories"],
    2: ["pets-real_convexity", "kinds-real_convexity", "materials-real_alignment"],
    3: ["digits-real_cuts", "commands-real_cuts", "digits-real_tradeoff", "commands-real_tradeoff"],
}
