"""Models from a hub on the loopback: whole, resumed, and every way in which a hub says no."""

import errno
import json
import os
import shutil
import subprocess

import pytest
import torch
from safetensors.torch import load_file

import strata.data.download as download
from hub import Hub, point_to
from strata import StrataError
from strata.compat import prepare_imports
from strata.data.files import sha256_of
from strata.models.encoder import load_encoder
from strata.models.fetching import fetch, model_folder
from strata.models.hub import fetch_repository

prepare_imports()
import transformers  # noqa: E402 - after prepare_imports

NAME = "lab/small-vit"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the repository holds: a small network, and files that no one asked for."""
    folder = tmp_path_factory.mktemp("vit")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=8,
    )  # fmt: skip
    transformers.ViTModel(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A small network\n")
    (folder / "tf_model.h5").write_bytes(b"of no use")
    return folder


@pytest.fixture
def hub(folder, monkeypatch):
    with Hub() as running:
        running.commit = running.publish(NAME, folder)
        running.stand_in(monkeypatch)
        monkeypatch.setenv("HF_TOKEN", "")
        monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
        monkeypatch.setattr(download, "_CHUNK", 1024)  # the network is small
        yield running


def get(tmp_path, revision="main", **spec):
    return fetch({"id": NAME, "revision": revision, **spec}, tmp_path / "m", name="m", log=str)


def test_a_model_is_fetched_verified_and_described(hub, tmp_path):
    card = get(tmp_path)
    assert card["revision"] == hub.commit and card["licence"] == "mit" and card["source"] == NAME
    assert len(load_encoder(tmp_path / "m", device="cpu").layers) == 2
    assert not hub.fetched("tf_model.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]  # nothing is left beside it


def test_a_branch_is_told_to_be_pinned(hub, tmp_path):
    lines = []
    fetch({"id": NAME, "revision": "main"}, tmp_path / "m", name="m", log=lines.append)
    assert lines == [f"{NAME}: main is commit {hub.commit}; name that to pin it"]


def test_a_broken_transfer_is_resumed_within_a_call(hub, tmp_path):
    hub.troubles["model.safetensors"] = [0.5]
    get(tmp_path)
    first, second = hub.fetched("model.safetensors")
    assert first is None and second.startswith("bytes=") and second != "bytes=0-"


def test_an_interrupted_download_is_resumed_by_the_next_call(hub, tmp_path):
    hub.troubles["model.safetensors"] = [0.5, 500, 500, 500]
    with pytest.raises(StrataError, match="HTTP status 500 after 4 attempts; run again"):
        get(tmp_path)
    asked = len(hub.requests)
    get(tmp_path)
    again = hub.requests[asked:]
    assert [path.rpartition("/")[2] for path, _ in again[1:]] == ["model.safetensors"]
    assert again[1][1].startswith("bytes=")  # only the rest of the one file that was missing


def test_nothing_of_another_revision_is_mixed_in(hub, folder, tmp_path):
    hub.troubles["model.safetensors"] = [500] * 4
    with pytest.raises(StrataError):
        get(tmp_path)
    changed = shutil.copytree(folder, tmp_path / "changed")
    (changed / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    commit = hub.publish(NAME, changed)
    card = get(tmp_path)
    assert card["revision"] == commit and card["licence"] == "apache-2.0"
    assert get(tmp_path, hub.commit)["licence"] == "mit"  # the earlier one, by its name


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"id": "lab/smal-vit"}, "no such repository at .*lab/smal-vit, or a private one"),
        ({"revision": "f" * 40}, "at revision f+: it has no such revision; .*/commits/main lists"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(hub, tmp_path, spec, told):
    with pytest.raises(StrataError, match=told) as caught:
        get(tmp_path, **spec)
    assert "\n" not in str(caught.value) and "data mirror" in str(caught.value)
    assert len(hub.requests) == 1  # asking again would not help


def test_too_many_requests_are_waited_for(hub, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    hub.troubles["/revision/main"] = [(429, {"Retry-After": "7"}), 429]
    hub.troubles["config.json"] = [(429, {"Retry-After": "9999"})]
    get(tmp_path)
    assert waits == [7, 2, 300]


def test_a_hub_that_stays_busy_is_told_in_one_line(hub, tmp_path):
    hub.troubles["/revision/main"] = [429] * 4
    with pytest.raises(StrataError, match="HTTP status 429 after 4 attempts; run again"):
        get(tmp_path)


def test_a_gated_repository_needs_a_token(hub, folder, tmp_path, monkeypatch):
    hub.publish(NAME, folder, gated=True)
    with pytest.raises(StrataError, match=r"gated: accept its terms at .*, then set HF_TOKEN"):
        get(tmp_path)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert get(tmp_path)["licence"] == "mit"


def test_a_repository_without_loadable_weights_is_refused(hub, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "model.safetensors").unlink()
    hub.publish(NAME, other)
    with pytest.raises(StrataError, match=r"has none of model.safetensors, .*pytorch_model.bin"):
        get(tmp_path)


def test_a_file_that_changed_on_its_way_is_refused(hub, tmp_path):
    files = hub.repositories[NAME].commits[hub.commit]
    right = files["config.json"]
    for name, checksum in (("config.json", "git object is"), ("model.safetensors", "sha256 is")):
        hub.troubles = {}
        damaged = bytearray(files[name])
        damaged[-2] ^= 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hub._checksum", _checksum_of({name: files[name]}))
            patch.setitem(files, name, bytes(damaged))
            with pytest.raises(StrataError, match=f"{name}: cannot be fetched; .*{checksum}"):
                get(tmp_path)
    assert files["config.json"] == right and get(tmp_path)["licence"] == "mit"


def _checksum_of(original):
    """The checksums that the hub tells: of these files the true ones, whatever it sends."""
    from hub import _checksum

    return lambda name, content: _checksum(name, original.get(name, content))


def test_a_hub_that_is_not_there_is_told_in_one_line(hub, tmp_path, monkeypatch):
    point_to("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(StrataError, match=r"ConnectError at http://127.0.0.1:9 after 4 attempts"):
        get(tmp_path)


def test_a_download_that_cannot_fit_is_told_before_it_starts(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("strata.models.hub.shutil.disk_usage", lambda path: _Usage())
    with pytest.raises(StrataError, match=r"MiB do not fit on the disk of .* \(0 MiB free\)"):
        get(tmp_path)
    assert len(hub.requests) == 1


class _Usage:
    free = 1000


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up_is_told_and_the_download_can_go_on(hub, small_disk, monkeypatch):
    monkeypatch.setattr("strata.models.hub._check_space", lambda folder, needed: None)
    files = hub.repositories[NAME].commits[hub.commit]
    files["model.safetensors"] += b"\0" * 2**17
    with pytest.raises(StrataError, match="No space left on device"):
        fetch_repository(NAME, "main", ["config.json"], small_disk, either=["model.safetensors"])
    part = small_disk / hub.commit / "model.safetensors.part"
    assert 0 < part.stat().st_size < len(files["model.safetensors"])
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    fetch_repository(NAME, "main", ["config.json"], small_disk, either=["model.safetensors"])
    assert hub.fetched("model.safetensors")[-1] not in (None, "bytes=0-")


def test_a_write_error_is_told_in_one_line(hub, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("strata.models.fetching.shutil.copyfile", full)
    with pytest.raises(StrataError, match=r"m: cannot fetch .*No space left on device"):
        get(tmp_path)


# --- weights in several files ---------------------------------------------------------------------


def sharded(folder, place, pickled=False):
    """The network of `folder` with its weights in several files; the files' names."""
    model = transformers.ViTModel.from_pretrained(folder)
    model.save_pretrained(place, max_shard_size="8KB")
    (place / "preprocessor_config.json").write_bytes(
        (folder / "preprocessor_config.json").read_bytes()
    )
    index = place / "model.safetensors.index.json"
    parts = sorted(place.glob("model-*.safetensors"))
    assert len(parts) > 2
    if not pickled:
        return [part.name for part in parts]
    for part in parts:
        torch.save(load_file(part), place / part.name.replace("safetensors", "bin"))
        part.unlink()
    told = json.loads(index.read_text())
    told["weight_map"] = {k: v.replace("safetensors", "bin") for k, v in told["weight_map"].items()}
    (place / "pytorch_model.bin.index.json").write_text(json.dumps(told))
    index.unlink()
    return sorted(set(told["weight_map"].values()))


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("origin", ["hub", "path", "mirror"])
def test_weights_in_several_files_become_one(hub, folder, tmp_path, pickled, origin):
    place = tmp_path / "mirror/models/lab/large"
    parts = sharded(folder, place, pickled)
    spec = {"id": "lab/large", "revision": "main"}
    if origin == "hub":
        hub.publish("lab/large", place)
        card = fetch(spec, tmp_path / "m", name="m", log=str)
        assert all(hub.fetched(part) for part in parts)
    elif origin == "path":
        card = fetch({"path": place}, tmp_path / "m", name="m")
        assert {path.name for path in model_folder(place)} >= set(parts)
    else:
        card = fetch(spec, tmp_path / "m", name="m", mirror=str(tmp_path / "mirror"))
    whole = load_file(folder / "model.safetensors")
    joined = load_file(tmp_path / "m/model.safetensors")
    assert joined.keys() == whole.keys()
    assert all(torch.equal(joined[key], whole[key]) for key in whole)
    assert card["sha256"] == sha256_of(tmp_path / "m/model.safetensors")
    assert sorted(path.suffix for path in (tmp_path / "m").iterdir()) == [
        ".json", ".json", ".json", ".safetensors",
    ]  # fmt: skip


def test_damaged_files_of_weights_are_told(hub, folder, tmp_path):
    place = tmp_path / "large"
    first, second, *_ = sharded(folder, place)
    index = place / "model.safetensors.index.json"
    right, told = index.read_text(), json.loads(index.read_text())
    content = (place / second).read_bytes()

    def refused(message, **changes):
        index.write_text(json.dumps(told | changes) if changes else right)
        with pytest.raises(StrataError, match=message):
            fetch({"path": place}, tmp_path / "m", name="m")

    moved = dict.fromkeys(told["weight_map"], first)
    refused(f"m: {first} lacks .*, which its index says", weight_map=moved)
    refused("names '../elsewhere', which is not a file beside it", weight_map={"a": "../elsewhere"})
    refused("is no index", weight_map=3)
    (place / second).write_bytes(content[:-100])
    refused(f"m: {second} is damaged")
    shutil.copyfile(place / first, place / second)
    refused(f"m: {second} (lacks|also holds)")
    (place / second).unlink()
    refused(f"m: its index names {second}, which is not there")
    hub.publish("lab/large", place)
    with pytest.raises(StrataError, match=f"index.json names {second}, which it does not have"):
        fetch({"id": "lab/large", "revision": "main"}, tmp_path / "m", name="m", log=str)
    (place / second).write_bytes(content)
    fetch({"path": place}, tmp_path / "m", name="m")


def test_a_part_of_the_weights_that_changed_on_its_way_is_refused(hub, folder, tmp_path):
    _, second, *_ = sharded(folder, tmp_path / "large")
    commit = hub.publish("lab/large", tmp_path / "large")
    files = hub.repositories["lab/large"].commits[commit]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hub._checksum", _checksum_of({second: files[second]}))
        files[second] = files[second][:-1] + bytes([files[second][-1] ^ 1])
        with pytest.raises(StrataError, match=f"{second}: cannot be fetched; .*sha256 is"):
            fetch({"id": "lab/large", "revision": "main"}, tmp_path / "m", name="m", log=str)
