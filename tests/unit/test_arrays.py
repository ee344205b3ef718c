"""Activations made elsewhere: whatever their form and order, the same cache as from the network."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import yaml
from PIL import Image
from pyarrow import parquet
from safetensors.torch import save_file

from strata import StrataError
from strata.activations import importing
from strata.activations.cache import ActivationCache
from strata.activations.extraction import extract
from strata.activations.importing import arrays_card, import_arrays, match_rows
from strata.activations.probing import ProbingSet
from strata.compat import prepare_imports
from strata.config.prepare import prepare_config
from strata.convexity.families import study_convexity
from strata.data import arrays, open_dataset
from strata.data.folder import index_folder
from strata.data.manifest import write_dataset
from strata.models.encoder import load_encoder

prepare_imports()
import transformers  # noqa: E402

N = 12
ROOT = Path(__file__).parents[2]


def quiet(line):
    pass


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve pictures in two class folders, and what a small network makes of them."""
    root = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    for number in range(N):
        path = root / f"pictures/{'ab'[number % 2]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    spec = {"path": "pictures", "modality": "image", "family": "class"}
    index_folder(spec, root / "photos", base=root)
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=8,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.ViTModel(config).save_pretrained(root / "vit")
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(root / "vit")
    dataset = open_dataset(root / "photos")
    encoder = load_encoder(root / "vit", device="cpu")
    extract(encoder, dataset, root / "cache", log=quiet)
    tokens: dict[str, np.ndarray] = {}
    handles = [
        layer.register_forward_hook(
            lambda module, inputs, output, name=name: tokens.update(
                {name: (output if hasattr(output, "ndim") else output[0]).numpy()}
            )
        )
        for name, layer in encoder.layers.items()
    ]
    with torch.inference_mode():
        encoder.forward(encoder.preprocess([dataset.image(i) for i in range(N)]))
    for handle in handles:
        handle.remove()
    return dataset, ActivationCache(root / "cache"), list(tokens.values())


def rows_of(cache: ActivationCache) -> list[np.ndarray]:
    return [np.array(cache.layer(i)) for i in range(len(cache.layers))]


ORDER = np.random.default_rng(1).permutation(N)


def write_names(folder: Path, names, header: str = "path") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "names.csv").write_text("\n".join([header, *names]) + "\n")


def shuffled(folder: Path, dataset, layers) -> list[np.ndarray]:
    """Write the names in another order, and give the layers' rows in that order."""
    write_names(folder, dataset.manifest["path"].iloc[ORDER])
    return [layer[ORDER] for layer in layers]


def as_npy(folder, layers):
    for number, layer in enumerate(layers, 9):  # block10 comes after block9
        np.save(folder / f"block{number}.npy", layer)


def as_npz(folder, layers):
    for number, layer in enumerate(layers, 9):
        np.savez_compressed(folder / f"block{number}.npz", layer)


def as_one_npz(folder, layers):
    np.savez(folder / "all.npz", **{f"block{i}": layer for i, layer in enumerate(layers, 9)})


def as_fortran_npz(folder, layers):
    turned = {f"block{i}": np.asfortranarray(layer) for i, layer in enumerate(layers, 9)}
    np.savez(folder / "all.npz", **turned)


def as_safetensors(folder, layers):
    tensors = {f"block{i}": torch.tensor(layer) for i, layer in enumerate(layers, 9)}
    save_file(tensors, folder / "all.safetensors")


def as_parquet(folder, layers):
    for number, layer in enumerate(layers, 9):
        table = pd.DataFrame(layer, columns=[f"f{i}" for i in range(layer.shape[1])])
        table.to_parquet(folder / f"block{number}.parquet", index=False)


def as_lists_in_parquet(folder, layers):
    columns = {f"block{i}": list(layer) for i, layer in enumerate(layers, 9)}
    parquet.write_table(pa.table(columns), folder / "all.parquet", row_group_size=5)


def as_float64(folder, layers):
    as_npy(folder, [np.asfortranarray(layer.astype(">f8")) for layer in layers])


FORMS = [as_npy, as_npz, as_one_npz, as_fortran_npz, as_safetensors]
FORMS += [as_parquet, as_lists_in_parquet, as_float64]
SPEC = {"path": "features", "samples": "names.csv"}


@pytest.mark.parametrize("block", [1, 2**25])
@pytest.mark.parametrize("write", FORMS)
def test_shuffled_arrays_give_the_networks_own_cache(photos, tmp_path, write, block, monkeypatch):
    monkeypatch.setattr(arrays, "_BLOCK", block)
    dataset, cache, _ = photos
    write(tmp_path / "features", shuffled(tmp_path / "features", dataset, rows_of(cache)))
    import_arrays(SPEC, dataset, tmp_path / "own", model="mine", base=tmp_path, log=quiet)
    found = ActivationCache(tmp_path / "own")
    assert found.layers == ["block9", "block10", "block11"] and len(found) == N
    for mine, own in zip(rows_of(found), rows_of(cache), strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine, own)
    options = {"n_neighbors": 3, "halves": 2, "log": quiet, "model": "mine"}
    tables = [
        study_convexity(folder, dataset, ["class"], **options).drop(columns="layer")
        for folder in (tmp_path / "own", cache.directory)
    ]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float64"])
def test_every_floating_type_of_safetensors_is_read(photos, tmp_path, kind):
    dataset, cache, _ = photos
    layers = shuffled(tmp_path / "features", dataset, rows_of(cache))
    tensor = torch.tensor(layers[0]).to(getattr(torch, kind))
    save_file({"first": tensor}, tmp_path / "features/x.safetensors")
    import_arrays(SPEC, dataset, tmp_path / "own", model="mine", base=tmp_path, log=quiet)
    expected = tensor.float().numpy()[np.argsort(ORDER)]
    np.testing.assert_array_equal(ActivationCache(tmp_path / "own").layer(0), expected)


def test_tokens_are_pooled_as_they_are_by_the_network(photos, tmp_path):
    dataset, cache, tokens = photos
    as_npy(tmp_path / "features", shuffled(tmp_path / "features", dataset, tokens))
    pools = {
        "cls": (rows_of(cache), {"pool": "cls"}),
        "patches": ([t[:, 1:].mean(axis=1) for t in tokens], {"n_prefix_tokens": 1}),
        "all": ([t.mean(axis=1) for t in tokens], {}),
    }
    for name, (expected, options) in pools.items():
        spec = SPEC | {"pool": "mean"} | options
        import_arrays(spec, dataset, tmp_path / name, model="mine", base=tmp_path, log=quiet)
        found = rows_of(ActivationCache(tmp_path / name))
        for mine, own in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, own, atol=1e-6)
    with pytest.raises(StrataError, match=r"block9 .*samples x tokens x features, and pool is au"):
        import_arrays(SPEC, dataset, tmp_path / "x", model="mine", base=tmp_path, log=quiet)
    with pytest.raises(StrataError, match="behind n_prefix_tokens, 17, no token is left"):
        spec = SPEC | {"pool": "mean", "n_prefix_tokens": 17}
        import_arrays(spec, dataset, tmp_path / "x", model="mine", base=tmp_path, log=quiet)


def test_maps_are_averaged_over_their_places(photos, tmp_path):
    dataset = photos[0]
    maps = np.random.default_rng(2).normal(size=(N, 5, 3, 4)).astype(np.float32)
    as_npy(tmp_path / "features", shuffled(tmp_path / "features", dataset, [maps]))
    spec = SPEC | {"pool": "spatial_mean"}
    import_arrays(spec, dataset, tmp_path / "own", model="mine", base=tmp_path, log=quiet)
    found = ActivationCache(tmp_path / "own").layer(0)
    np.testing.assert_allclose(found, maps.reshape(N, 5, 12).mean(axis=2), atol=1e-6)
    with pytest.raises(StrataError, match="pool is cls; say pool: spatial_mean"):
        spec = SPEC | {"pool": "cls"}
        import_arrays(spec, dataset, tmp_path / "x", model="mine", base=tmp_path, log=quiet)


def test_layers_are_as_wide_as_they_are_and_in_the_order_that_is_asked_for(photos, tmp_path):
    dataset = photos[0]
    folder = tmp_path / "features"
    wide, narrow = np.ones((N, 6)), np.zeros((N, 2))
    first, last = shuffled(folder, dataset, [wide, narrow])
    np.save(folder / "entry.npy", first)
    np.save(folder / "z.npy", last)
    np.savez(folder / "sae.npz", b=first, a=last)
    np.save(folder / ".hidden.npy", np.zeros(1))
    (folder / "README.md").touch()
    assert [layer.name for layer in arrays.array_layers(folder)] == ["entry", "sae.a", "sae.b", "z"]
    spec = SPEC | {"layers": ["z", 0]}
    import_arrays(spec, dataset, tmp_path / "own", model="mine", base=tmp_path, log=quiet)
    found = ActivationCache(tmp_path / "own")
    assert found.layers == ["z", "entry"] and found.index["features"] == [2, 6]
    assert not found.layer(0).any() and found.layer(1).all()
    for chosen, told in (
        (["x"], "no layer 'x'"),
        (["entri"], "did you mean 'entry'"),
        ([0, "entry"], "'entry' twice"),
        ([4], "no layer 4; known are entry, sae.a"),
    ):
        with pytest.raises(StrataError, match=told):
            arrays.array_layers(folder, chosen)
    np.savez(folder / "z.npz", first)
    with pytest.raises(StrataError, match="two arrays are called 'z'"):
        arrays.array_layers(folder)


def test_names_that_are_missing_doubled_or_unknown_are_told_in_one_line():
    wanted = ["a/1", "a/2", "a/3", "a/4", "a/5"]
    assert match_rows(wanted[::-1], wanted, "t", "d").tolist() == [4, 3, 2, 1, 0]
    told = (
        r"t: 4 of 5 samples of d have no row \('a/2', 'a/3', 'a/4', \.\.\.\); "
        r"1 names are there twice \('a/1'\); 2 names are of no sample of d \('2', '/a/3'\); "
        r"samples are named like 'a/1'$"
    )
    for unknown in ("refuse", "skip"):
        with pytest.raises(StrataError) as caught:
            match_rows(["a/1", "2", "/a/3", "a/1"], wanted, "t", "d", unknown)
        assert ("no sample" in str(caught.value)) == (unknown == "refuse")
    with pytest.raises(StrataError, match=told):
        match_rows(["a/1", "2", "/a/3", "a/1"], wanted, "t", "d")


def test_rows_of_other_samples_can_be_left_out(photos, tmp_path):
    dataset, cache, _ = photos
    folder = tmp_path / "features"
    write_names(folder, ["x.png", *dataset.manifest["path"], "y.png"])
    own = rows_of(cache)[0]
    blank = np.full((1, own.shape[1]), np.nan, np.float32)  # what is left out may be anything
    np.save(folder / "first.npy", np.concatenate([blank, own, blank]))
    with pytest.raises(StrataError, match="2 names are of no sample of photos"):
        import_arrays(SPEC, dataset, tmp_path / "own", model="m", base=tmp_path, log=quiet)
    spec = SPEC | {"unknown": "skip"}
    import_arrays(spec, dataset, tmp_path / "own", model="m", base=tmp_path, log=quiet)
    np.testing.assert_array_equal(ActivationCache(tmp_path / "own").layer(0), own)


def test_samples_without_files_go_by_their_numbers(tmp_path):
    folder = tmp_path / "world"
    manifest = pd.DataFrame({"split": "all", "index": [2, 1, 0], "kind": ["x", "y", "x"]})
    write_dataset(folder, manifest, {"name": "world", "modality": "image", "root": "."})
    (tmp_path / "f/world").mkdir(parents=True)
    np.save(tmp_path / "f/world/one.npy", np.array([[2.0], [0.0], [1.0]]))
    (tmp_path / "f/world/n.tsv").write_text("sample\tkind\n2\tx\n0\tx\n1\ty\n")
    (tmp_path / "f/world/n.txt").write_text("2\r\n0\r\n1\r\n")
    for samples in ("n.tsv", "n.txt"):
        spec = {"path": "f/{dataset}", "samples": samples}
        own = tmp_path / samples
        import_arrays(spec, open_dataset(folder), own, model="m", base=tmp_path, log=quiet)
        assert ActivationCache(own).layer(0).ravel().tolist() == [0, 1, 2]


def broken(folder: Path, kind: str, rows: np.ndarray) -> None:
    """Write one layer that cannot be taken in."""
    file = folder / "block.npy"
    if kind == "objects":
        np.save(file, rows.astype(object), allow_pickle=True)
    elif kind == "objects in npz":
        np.savez(folder / "block.npz", rows.astype(object))
    elif kind == "integers":
        np.save(file, rows.astype(int))
    elif kind == "bfloat16 of numpy":
        np.save(file, np.zeros((N, 3), "V2"))
    elif kind == "one dimension":
        np.save(file, rows[:, 0])
    elif kind == "five dimensions":
        np.save(file, rows[:, :, None, None, None])
    elif kind == "fewer rows":
        np.save(file, rows[1:])
    elif kind == "no features":
        np.save(file, rows[:, :0])
    elif kind in ("nan", "too large"):
        rows = rows.astype(np.float64)
        rows[4, 1] = np.nan if kind == "nan" else 1e300
        np.save(file, rows)
    elif kind == "cut off":
        np.save(file, rows)
        file.write_bytes(file.read_bytes()[:-8])
    elif kind == "damaged npz":
        np.savez_compressed(folder / "block.npz", np.random.default_rng(0).normal(size=(N, 99)))
        content = bytearray((folder / "block.npz").read_bytes())
        content[2000:2100] = bytes(100)
        (folder / "block.npz").write_bytes(content)
    elif kind == "integers in safetensors":
        save_file({"x": torch.zeros(N, 2, dtype=torch.int64)}, folder / "block.safetensors")
    elif kind == "no safetensors":
        (folder / "block.safetensors").write_bytes(b"none of it")
    elif kind == "an index in parquet":  # as pandas writes it of a table in another order
        pd.DataFrame({"a": rows[:, 0]}).sample(frac=1).to_parquet(folder / "block.parquet")
    elif kind == "names in parquet":
        pd.DataFrame({"path": "x", "a": rows[:, 0]}).to_parquet(folder / "block.parquet")
    elif kind == "ragged lists":
        table = pa.table({"x": [[1.0, 2.0]] * 5 + [[1.0]] + [[1.0, 2.0]] * (N - 6)})
        parquet.write_table(table, folder / "block.parquet")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("objects", r"block\.npy: the array holds Python objects, which are not loaded; save it"),
        ("objects in npz", r"block\.npz, array 'arr_0': the array holds Python objects"),
        ("integers", r"block\.npy: the array is of type int64; save it as float16"),
        ("bfloat16 of numpy", r"NumPy does not know \(bfloat16\?\)"),
        ("one dimension", r"layer block .*of shape \(12,\); it should be samples x features"),
        ("five dimensions", r"of shape \(12, 3, 1, 1, 1\); it should be"),
        ("fewer rows", r"of shape \(11, 3\), but the table of samples has 12 names"),
        ("no features", r"of shape \(12, 0\) holds nothing"),
        ("nan", r"m, layer block .*NaN or infinite value of sample '[ab]/\d+\.png'"),
        ("too large", r"m, layer block .*NaN or infinite value of sample '[ab]/\d+\.png'"),
        ("cut off", r"block\.npy: unreadable: mmap length is greater than file size"),
        ("damaged npz", r"block\.npz: unreadable: "),
        ("integers in safetensors", r"array 'x': it is of type I64"),
        ("no safetensors", r"block\.safetensors: unreadable: "),
        (
            "an index in parquet",
            r"column '__index_level_0__' is the index of a DataFrame, no feature; save it with",
        ),
        ("names in parquet", r"column 'path' is of type .*string; columns should be floats"),
        ("ragged lists", r"column 'x': row 6 has 1 numbers, the first has 2"),
        ("nothing", r"features: no arrays; it should hold \.npy"),
    ],
)
def test_what_cannot_be_taken_in_is_told_in_one_line(photos, tmp_path, kind, told):
    dataset = photos[0]
    folder = tmp_path / "features"
    write_names(folder, dataset.manifest["path"])
    broken(folder, kind, np.ones((N, 3), np.float32))
    with pytest.raises(StrataError, match=told) as caught:
        import_arrays(SPEC, dataset, tmp_path / "own", model="m", base=tmp_path, log=quiet)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "own").exists()


def test_the_sample_of_a_value_that_is_not_finite_is_the_right_one(photos, tmp_path):
    dataset = photos[0]
    rows = shuffled(tmp_path / "features", dataset, [np.zeros((N, 2))])[0]
    rows[3, 1] = -np.inf
    np.save(tmp_path / "features/x.npy", rows)
    name = dataset.manifest["path"].iloc[ORDER[3]]
    with pytest.raises(StrataError, match=f"layer x .* sample '{name}'$"):
        import_arrays(SPEC, dataset, tmp_path / "own", model="m", base=tmp_path, log=quiet)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such table of samples' names"),
        (b"name\na\n", "no column 'path'; it has name"),
        (b"path\na\n\0\0\xff\n", "no text in UTF-8"),
        (b"", "the table is empty"),
        (b'path,x\na,1\n"",2\n', "line 3: column 'path' is empty"),
    ],
)
def test_a_table_of_names_that_is_wrong_is_told(tmp_path, content, told):
    if content is not None:
        (tmp_path / "names.csv").write_bytes(content)
    with pytest.raises(StrataError, match=told):
        arrays.read_names(tmp_path / "names.csv", "path")


def test_names_in_other_forms_are_the_same(tmp_path):
    names = ["a b.png", "01", "NA", "ä.png"]
    (tmp_path / "n.csv").write_text("\ufeffx,path\n" + "".join(f"1,{n}\n" for n in names), "utf-8")
    (tmp_path / "n.txt").write_text("\ufeff" + "\n".join(names), "utf-8")
    for file in ("n.csv", "n.txt"):
        assert arrays.read_names(tmp_path / file, "path") == names


def test_names_are_found_as_people_write_them(photos, tmp_path):
    dataset, cache, _ = photos
    own = dataset.manifest["path"].tolist()
    written = [str(dataset.root / own[0]), f"./{own[1]}", own[2].replace("/", "\\")]
    write_names(tmp_path / "features", [*written, own[3].upper(), *own[4:], "/elsewhere/x.png"])
    rows = rows_of(cache)[0]
    np.save(tmp_path / "features/x.npy", np.concatenate([rows, rows[:1]]))
    with pytest.raises(StrataError, match=r"1 names are of no sample .*'/elsewhere/x\.png'"):
        import_arrays(SPEC, dataset, tmp_path / "own", model="m", base=tmp_path, log=quiet)
    spec = SPEC | {"unknown": "skip"}
    import_arrays(spec, dataset, tmp_path / "own", model="m", base=tmp_path, log=quiet)
    np.testing.assert_array_equal(ActivationCache(tmp_path / "own").layer(0), rows)
    write_names(tmp_path / "features", [*own, f"./{own[0]}"])
    with pytest.raises(StrataError, match="1 names are there twice"):
        import_arrays(spec, dataset, tmp_path / "own", model="m", base=tmp_path, log=quiet)


def test_the_card_tells_the_files_and_that_parameters_are_unknown(photos, tmp_path):
    dataset, cache, _ = photos
    as_npy(tmp_path / "features", shuffled(tmp_path / "features", dataset, rows_of(cache)))
    own = tmp_path / "photos/mine"
    import_arrays(SPEC, dataset, own, model="mine", base=tmp_path, log=quiet)
    spec = SPEC | {"origin": "a repository", "licence": "MIT"}
    card = arrays_card("mine", spec, [own])
    json.dumps(card)
    assert card["source"] == "a repository" and card["licence"] == "MIT"
    assert card["parameters"] is None and len(card["sha256"]["photos"]) == 64
    files = {"block9.npy", "block10.npy", "block11.npy", "names.csv"}
    assert set(card["checksums"]["photos"]) == files
    with pytest.raises(StrataError, match="no study that runs has these arrays"):
        arrays_card("mine", spec, [])
    assert importing.array_folder("f/{dataset}/x", "photos", tmp_path) == tmp_path / "f/photos/x"


def test_the_page_about_arrays_runs_as_it_is_written(tmp_path, monkeypatch):
    page = (ROOT / "docs/arrays.md").read_text()
    program, overlay = (
        re.search(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL).group(1)
        for kind in ("python", "yaml")
    )
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    values = {"red/dark.png": (51, 0, 0), "red/light.png": (255, 0, 0), "blue/x.png": (0, 0, 102)}
    for name, color in values.items():
        Path("data/mine/pictures", name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), color).save(Path("data/mine/pictures", name))
    exec(compile(program, "features.py", "exec"), {"__name__": "features"})
    overlay = yaml.safe_load(overlay)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    joined = {key: config[key] | overlay[key] for key in ("datasets", "models", "studies")}
    config |= overlay | joined
    prepare_config(config, tmp_path)
    index_folder(config["datasets"]["pictures"], "pictures")
    dataset = open_dataset("pictures")
    import_arrays(config["models"]["mine"], dataset, "own", model="mine", log=quiet)
    found = ActivationCache("own")
    assert found.layers == ["colour", "brightness"] and found.index["features"] == [3, 1024]
    expected = [np.array(values[path]) / 255 for path in dataset.manifest["path"]]
    np.testing.assert_allclose(found.layer(0), expected, atol=1e-5)


def test_arrays_of_two_data_sets_are_one_probing_set(photos, tmp_path):
    dataset, _, layers = photos
    paths = []
    for number in (1, 2):  # files of the same names in a folder of each data set
        own = [layer + number for layer in layers]
        as_npy(tmp_path / f"data{number}", shuffled(tmp_path / f"data{number}", dataset, own))
        spec = SPEC | {"path": f"data{number}", "pool": "cls"}
        paths.append(tmp_path / f"cache{number}")
        import_arrays(spec, dataset, paths[-1], model="mine", base=tmp_path, log=quiet)
    both = ProbingSet.open([dataset.directory / "manifest.parquet"] * 2, paths)
    first = next(values for _, values in both.layers())
    parts = [rows_of(ActivationCache(path))[0] for path in paths]
    np.testing.assert_array_equal(first, np.concatenate(parts))
    assert not np.array_equal(*parts)
