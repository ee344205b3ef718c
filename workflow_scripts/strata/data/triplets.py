"""Similarity judgements as data: items, and triplets with the odd one last.

Beside `manifest.parquet` (a row per item: `item`, and a column per category) and `dataset.json`, a
set of triplets has `triplets.parquet`: item numbers a, b and odd, and `count`, how many people gave
this answer. In two-alternative sets `a` is the reference, `b` the chosen item, `odd` the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from strata.data.answers import TASKS, check_triplets, noise_ceiling
from strata.data.items import marks, shared_labels, skipped_labels, with_skipped, without_items
from strata.data.manifest import Dataset, write_dataset
from strata.data.shown import check_shown
from strata.data.splits import some_rows
from strata.data.user_tables import read_json, read_lines, read_table
from strata.errors import StrataError, one_line
from strata.tables import write_table

FORMS = ("table", "numbers", "choices", "votes")
_MOST = 10**9  # of an item's number, and of people that gave an answer
_COLUMNS = ("a", "b", "odd", "count")


# --- reading ------------------------------------------------------------------------------------


def read_items(path: Path, column: str | None = None) -> list[str]:
    """Item names from a text file (one per line) or a column of a table (`user_tables`).

    Raises StrataError when the file or column is missing, or a name is empty or there twice.
    """
    if not path.is_file():
        raise StrataError(f"{path}: no such file of items")
    if column is None:
        names = read_lines(path)
        while names and not names[-1]:
            names.pop()
    else:
        names = read_table(path, [column])[column].tolist()
    if "" in names:
        raise StrataError(f"{path}: item {names.index('') + 1} has no name")
    repeated = pd.Index(names)[pd.Index(names).duplicated()]
    if len(repeated):
        raise StrataError(f"{path}: item {repeated[0]!r} is there twice")
    return names


def read_triplets(path: Path, form: str, items: list[str]) -> pd.DataFrame:
    """Answers (a, b, odd, count) of item numbers from a file.

    Parameters
    ----------
    form
        "table": a CSV with columns a, b, odd and optionally count, of item names; "numbers": three
        numbers a line, from 0, the odd one last (THINGS); "choices": a table separated by tabs with
        item numbers from 1 in image1, image2 and image3, and in choice which of the three is odd
        (THINGS' answers one by one); "votes": JSON with `answers` [reference, first, second] and
        `agreement` [votes for the first, for the second] (Lagunas et al. 2019).

    Raises
    ------
    StrataError
        A file or column is missing, an item is unknown or twice in a triplet.
    """
    if form not in FORMS:
        raise StrataError(f"form {form!r} is unknown: choose from {FORMS}")
    if not path.is_file():
        raise StrataError(f"{path}: no such file of triplets")
    read = {"table": _from_table, "numbers": _from_numbers, "choices": _from_choices}
    answers = (read | {"votes": _from_votes})[form](path, items)
    try:
        check_triplets(answers[["a", "b", "odd"]].to_numpy(), len(items))
    except StrataError as error:
        raise StrataError(f"{path}: {error}") from None
    keys = ["a", "b", "odd"]
    return answers.groupby(keys, sort=True, as_index=False)["count"].sum()


def _from_table(path: Path, items: list[str]) -> pd.DataFrame:
    table = read_table(path, _COLUMNS[:3])
    numbers = {name: number for number, name in enumerate(items)}
    for column in _COLUMNS[:3]:
        unknown = ~table[column].isin(numbers)
        if unknown.any():
            line = table.index[unknown.argmax()]
            name = table[column].loc[line]
            close = get_close_matches(name, items, n=1) or items[:1]
            raise StrataError(
                f"{path}, line {line}: unknown item {name!r}; items are named like {close[0]!r}"
            )
        table[column] = table[column].map(numbers)
    if "count" not in table:
        table["count"] = "1"
    wrong = ~table["count"].str.fullmatch("[0-9]{1,9}")
    if wrong.any():
        line = table.index[wrong.argmax()]
        raise StrataError(
            f"{path}, line {line}: count should be a whole number, not {table['count'].loc[line]!r}"
        )
    table = table[list(_COLUMNS)].astype("int64").reset_index(drop=True)
    return table[table["count"] > 0]


def _whole_numbers(path: Path, **options) -> pd.DataFrame:
    """A large table of whole numbers; a line that is none is told."""
    try:
        return pd.read_csv(path, dtype="int64", encoding="utf-8-sig", **options)
    except (ValueError, OverflowError) as error:  # pandas' errors of parsing among them
        reason = one_line(error)
        raise StrataError(f"{path}: should hold whole numbers alone ({reason})") from None


def _from_numbers(path: Path, items: list[str]) -> pd.DataFrame:
    table = _whole_numbers(path, sep=r"\s+", header=None)
    if table.shape[1] != 3:
        raise StrataError(f"{path}: {table.shape[1]} numbers a line; it should be three")
    table.columns = list(_COLUMNS[:3])
    return table.assign(count=1)


def _from_choices(path: Path, items: list[str]) -> pd.DataFrame:
    columns = ["image1", "image2", "image3", "choice"]
    try:
        there = pd.read_csv(path, sep="\t", nrows=0, encoding="utf-8-sig").columns
    except ValueError as error:  # pandas' errors of parsing among them
        reason = one_line(error)
        raise StrataError(f"{path}: should be a table separated by tabs ({reason})") from None
    missing = [column for column in columns if column not in there]
    if missing:
        raise StrataError(f"{path}: no column {missing[0]!r}; it has {', '.join(there)}")
    table = _whole_numbers(path, sep="\t", usecols=columns)[columns].to_numpy()
    shown, choice = table[:, :3] - 1, table[:, 3] - 1
    wrong = np.flatnonzero((choice < 0) | (choice > 2))
    if len(wrong):
        raise StrataError(f"{path}, line {wrong[0] + 2}: choice should be 1, 2 or 3")
    rows = np.arange(len(shown))
    kept = [shown[rows, (choice + step) % 3] for step in (1, 2)]
    columns = [np.minimum(*kept), np.maximum(*kept), shown[rows, choice]]
    return pd.DataFrame(np.stack(columns, axis=1), columns=list(_COLUMNS[:3])).assign(count=1)


def _from_votes(path: Path, items: list[str]) -> pd.DataFrame:
    content = read_json(path)
    if not isinstance(content, dict):
        raise StrataError(f"{path}: should read {{answers: [...], agreement: [...]}}")
    for key in ("answers", "agreement"):
        if key not in content:
            raise StrataError(f"{path}: no key {key!r}; it has {', '.join(content)}")
    reference, first, second = _rows_of_numbers(path, content, "answers", 3).T
    votes = _rows_of_numbers(path, content, "agreement", 2)
    if len(votes) != len(reference):
        raise StrataError(f"{path}: {len(reference)} answers, but {len(votes)} of agreement")
    parts = [(reference, first, second, votes[:, 0]), (reference, second, first, votes[:, 1])]
    table = pd.DataFrame(np.concatenate([np.stack(p, axis=1) for p in parts]), columns=_COLUMNS)
    return table[table["count"] > 0].astype("int64")


def _rows_of_numbers(path: Path, content: Mapping, key: str, width: int) -> np.ndarray:
    """A list of rows of so many whole numbers from 0, of JSON, as int64 (rows, width)."""
    rows = content[key] if isinstance(content[key], list) else [content[key]]
    for place, row in enumerate(rows):
        whole = isinstance(row, list) and all(type(each) is int for each in row)
        if not whole or len(row) != width or not all(0 <= each <= _MOST for each in row):
            shown = repr(row)[:60]
            raise StrataError(
                f"{path}: {key}: row {place} should be {width} whole numbers, not {shown}"
            )
    return np.array(rows, np.int64).reshape(-1, width)


# --- simulated observers ------------------------------------------------------------------------


def simulate_answers(
    factors: pd.DataFrame, weights: Mapping[str, float], triplets: int, repeats: int, seed: int
) -> tuple[pd.DataFrame, float]:
    """Answers of simulated observers to random triplets of the rows of `factors`.

    Two items are as similar as the sum of the `weights` of the factors that they share; a missing
    label is shared with none. Every
    triplet is shown to `repeats` observers, who keep a pair together with the probability of the
    softmax of the three similarities. With `object` and `kind` among the factors this is a planted
    hierarchy. The noise is known: the second value is the highest accuracy that can be expected.

    Raises
    ------
    StrataError
        A factor that is not there, or fewer than three items.
    """
    missing = [family for family in weights if family not in factors]
    if missing:
        raise StrataError(f"simulated observers: no factor {missing[0]!r} among the labels")
    if len(factors) < 3:
        raise StrataError(f"simulated observers: {len(factors)} items do not make a triplet")
    draw = np.random.default_rng(seed)
    rows = np.stack([draw.choice(len(factors), 3, replace=False) for _ in range(triplets)])
    a, b, c = rows.T
    pairs = [(a, b, c), (a, c, b), (b, c, a)]
    similar = np.zeros((triplets, 3))
    for family, weight in weights.items():
        values = pd.factorize(factors[family])[0]  # -1 for a missing one
        shared = [(values[i] == values[j]) & (values[i] >= 0) for i, j, _ in pairs]
        similar += weight * np.stack(shared, axis=1)
    chances = np.exp(similar - similar.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    counts = draw.multinomial(repeats, chances)
    parts = [np.stack([*pair, counts[:, k]], axis=1) for k, pair in enumerate(pairs)]
    answers = pd.DataFrame(np.concatenate(parts), columns=list(_COLUMNS))
    answers = answers[answers["count"] > 0].groupby(["a", "b", "odd"], sort=True, as_index=False)
    return answers["count"].sum(), float(chances.max(axis=1).mean())


def simulated_triplets(spec: Mapping, pictures: Dataset, directory: str | Path, seed: int) -> None:
    """Make a `kind: triplets` entry with `simulated` in `directory`, about some of the pictures
    (or sounds), drawn by `seed`.

    `spec["simulated"]` has split, items, triplets, repeats and weights. An item is a sample; its
    name is its number.
    """
    options = spec["simulated"]
    rows = pictures.manifest
    rows = rows[rows["split"] == options["split"]] if options["split"] != "all" else rows
    if len(rows) < options["items"]:
        raise StrataError(
            f"{Path(directory).name}: {options['items']} items, but split {options['split']!r} "
            f"of {spec['images']} has {len(rows)} samples"
        )
    every = np.arange(len(rows))
    rows = rows.iloc[some_rows(every, options["items"], seed, rows)]
    counted = (options["triplets"], options["repeats"], seed)
    answers, ceiling = simulate_answers(rows, options["weights"], *counted)
    families = {family: rows[family].to_numpy() for family in options["weights"]}
    items = pd.DataFrame({"item": rows["sample"].astype(str).to_numpy(), **families})
    info = {"source": f"simulated observers of {spec['images']}", "licence": "Apache-2.0"}
    known = {"upper": [ceiling] * 3, "lower": [ceiling] * 3, "n": options["triplets"]}
    info |= {"simulated": dict(options), "noise_ceiling": known}
    _write(directory, spec, items, answers, info)


# --- people's -----------------------------------------------------------------------------------


def collected_triplets(
    spec: Mapping,
    pictures: Dataset,
    directory: str | Path,
    *,
    base: str | Path = ".",
    download: Dataset | None = None,
    log: Callable[[str], None] = print,
) -> None:
    """Make a `kind: triplets` entry of people's answers about `pictures` in `directory`.

    `spec["shown"]`, a regular expression of paths, says which pictures people saw
    (`strata.data.shown`), `spec["ceiling_answers"]` how often a triplet of the noise ceiling was
    answered at least (2); StrataError where no picture and no triplet is such a one.

    The files lie in the folder `spec["path"]`, else among those of `download`, else beside the
    pictures:
    `spec["triplets"]` is the file of answers, `spec["form"]` its form, `spec["items"]` the file of
    item names (without it: the pictures' column `spec["column"]`, in the order of the manifest),
    `spec["categories"]` a table of marks (1 or 0), a column a category, in items' order (without
    it: the pictures' labels that all pictures of an item share).

    Items whose pictures were all skipped because they cannot be read go, with the answers about
    them, which are counted in `dataset.json`.

    Raises StrataError as `read_items` and `read_triplets`, and for categories of another length or
    with other marks.
    """
    directory = Path(directory)
    folders = [Path(base) / spec["path"]] if "path" in spec else []
    folders += [] if download is None else [download.root]
    folders = folders or [pictures.root]

    def find(file: str) -> Path:
        found = (folder / file for folder in folders if (folder / file).is_file())
        return next(found, folders[0] / file)

    lost = skipped_labels(pictures, spec["column"])
    if "items" in spec:
        names = read_items(find(spec["items"]), spec.get("item_column"))
    else:
        names = list(dict.fromkeys(with_skipped(pictures.manifest[spec["column"]], lost)))
    answers = read_triplets(find(spec["triplets"]), spec["form"], names)
    check_shown(spec, pictures, names)
    items = pd.DataFrame({"item": names})
    if "categories" in spec:
        items = pd.concat([items, marks(find(spec["categories"]), len(items))], axis=1)
    else:
        items = items.join(shared_labels(pictures, spec["column"], log), on="item")
    info = {key: spec.get(key, pictures.info.get(key)) for key in ("source", "licence")}
    without = (set(lost.values()) - {None}).difference(
        pictures.manifest[spec["column"]] if lost else ()
    )
    gone = items["item"].isin(without).to_numpy()
    if gone.any():
        items, answers, dropped = without_items(items, answers, gone)
        info |= {"dropped_items": int(gone.sum()), "dropped_answers": dropped}
        told = f"{gone.sum()} items have no picture that can be read; {dropped} answers dropped"
        log(f"{directory.name}: {told}")
        if not len(answers):
            raise StrataError(f"{directory.name}: no answer is left; {told}")
    _write(directory, spec, items, answers, info)


def _write(
    directory: str | Path, spec: Mapping, items: pd.DataFrame, answers: pd.DataFrame, info: Mapping
) -> None:
    """Triplets first, the manifest last: a set that is complete has both."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    task = spec.get("task", "odd_one_out")
    rows = answers[["a", "b", "odd"]].to_numpy()
    told = {
        "name": directory.name,
        "kind": "triplets",
        "modality": "triplets",
        "root": ".",
        "task": task,
        "chance": TASKS[task],
        "images": spec.get("images"),
        **({"shown": spec["shown"]} if "shown" in spec else {}),
        "n_triplets": len(np.unique(np.sort(rows, axis=1), axis=0)),
        "n_answers": int(answers["count"].sum()),
    }
    write_table(answers, directory / "triplets.parquet")
    manifest = items.assign(split="all", index=np.arange(len(items)))
    write_dataset(
        directory, manifest, told | {"noise_ceiling": _ceiling(rows, answers, spec)} | info
    )


def _ceiling(rows: np.ndarray, answers: pd.DataFrame, spec: Mapping) -> dict | None:
    """Noise ceiling as `dataset.json` keeps it; None where no triplet was answered twice.

    Raises StrataError where none was answered as often as `ceiling_answers` asks for.
    """
    at_least, task = spec.get("ceiling_answers"), spec.get("task", "odd_one_out")
    try:
        found = noise_ceiling(rows, answers["count"].to_numpy(), task=task, at_least=at_least or 2)
    except StrataError as error:
        if at_least is None:
            return None
        raise StrataError(f"{error} (ceiling_answers)") from None
    return {"upper": list(found.upper), "lower": list(found.lower), "n": found.n_triplets}
