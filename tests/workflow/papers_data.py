"""Small data laid out as ImageNet, Broden, THINGS, Speech Commands and Imagenette are."""

import hashlib
import io
import json
import tarfile
import zipfile
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from strata.data.factors import sample_factors
from strata.data.rendering import render

OBJECTS = 12  # of THINGS
_WORDS = ("yes", "no", "up", "down")
_SPEAKERS = [hashlib.sha256(b"%d" % number).hexdigest()[:8] for number in range(10)]


def make_user_data(root: Path) -> None:
    """What the full study's user brings, below `root`/data."""
    pictures = _pictures(30, seed=1)
    for number, picture in enumerate(pictures, start=1):
        wnid = f"n{1440764 + number % 3:08d}"
        _save(picture, root / f"data/imagenet_val/{wnid}/ILSVRC2012_val_{number:08d}.JPEG")
    for number, picture in enumerate(_pictures(3 * OBJECTS, seed=2)):
        name = f"object{number // 3:02d}"
        _save(picture, root / f"data/things/object_images/{name}/{name}_{number % 3 + 1:02d}b.jpg")
    kinds = ["animal\ttool", *("1\t0" if i < OBJECTS // 2 else "0\t1" for i in range(OBJECTS))]
    (root / "data/things/category_mat_manual.tsv").write_text("\n".join(kinds) + "\n")


def make_mirror(mirror: Path) -> dict[str, bytes]:
    """What the full study downloads, below the mirror; returns the content of each file."""
    files = {
        "broden/broden1_224.zip": _broden(),
        "imagenette/imagenette2-160.tgz": _imagenette(),
        "things_answers/triplets.tsv": _answers(),
        "things_answers/unique_id.txt": "".join(
            f"object{i:02d}\n" for i in range(OBJECTS)
        ).encode(),
        "speech_commands/speech_commands_v0.02.tar.gz": _commands(),
        "concept_sets/20k.txt": b"red\nblue\nround\nanimal\nvehicle\ntree\n",
        "published_neuron_labels/data/words_per_category_curated.json": _categories(),
    }
    for name, content in files.items():
        (mirror / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror / name).write_bytes(content)
    return files


def _pictures(n: int, seed: int) -> np.ndarray:
    return render(sample_factors(n, seed), 48, seed)


def _save(picture: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=95)


def _categories() -> bytes:
    return json.dumps({"colors": ["red", "blue"], "objects": ["vehicle", "tree"]}).encode()


def _broden() -> bytes:
    """Pictures of four origins, each with a map of labels (.png) that is no picture to show."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("broden1_224/index.csv", "image,split,ih,iw,sh,sw,color,object\n")
        for number, picture in enumerate(_pictures(12, seed=3)):
            origin = ("ade20k", "dtd", "opensurfaces", "pascal")[number % 4]
            for suffix, kind in (("", "JPEG"), ("_color", "PNG")):
                content = io.BytesIO()
                Image.fromarray(picture).save(content, kind)
                extension = {"JPEG": "jpg", "PNG": "png"}[kind]
                name = f"broden1_224/images/{origin}/{number}{suffix}.{extension}"
                target.writestr(name, content.getvalue())
    return archive.getvalue()


def _imagenette() -> bytes:
    """Two classes, six pictures of each half."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as target:
        for number, picture in enumerate(_pictures(24, seed=4)):
            content = io.BytesIO()
            Image.fromarray(picture).save(content, "JPEG")
            place = f"{('train', 'val')[number // 12]}/n{number % 2 + 1440764:08d}"
            _add(target, f"imagenette2-160/{place}/{number}.JPEG", content.getvalue())
    return archive.getvalue()


def _names() -> bytes:
    return "".join(f"object{number:02d}\n" for number in range(OBJECTS)).encode()


def _answers() -> bytes:
    """Two answers to each triplet, by people who tell animals (the first half) from tools."""
    draw = np.random.default_rng(0)
    lines = ["dataset\timage1\timage2\timage3\tchoice\tRT"]
    for shown in combinations(range(OBJECTS), 3):
        animals = [item < OBJECTS // 2 for item in shown]
        rare = animals.count(True) == 1
        odd = animals.index(rare) if animals.count(rare) == 1 else int(draw.integers(3))
        for answer in (odd, odd if draw.random() < 0.8 else int(draw.integers(3))):
            lines.append(
                "\t".join(["0", *(str(item + 1) for item in shown), str(answer + 1), "900"])
            )
    return ("\n".join(lines) + "\n").encode()


def _commands() -> bytes:
    """Ten speakers who say four words six times; the last two speakers test."""
    archive = io.BytesIO()
    lists = {"validation": _SPEAKERS[6:8], "testing": _SPEAKERS[8:]}
    names = [(word, speaker, take) for word in _WORDS for speaker in _SPEAKERS for take in range(6)]
    with tarfile.open(fileobj=archive, mode="w:gz") as target:
        for word, speaker, take in names:
            _add(target, f"./{word}/{speaker}_nohash_{take}.wav", _sound(word, speaker, take))
        _add(target, "./_background_noise_/white_noise.wav", _sound("no", _SPEAKERS[0], 9))
        for name, speakers in lists.items():
            lines = [f"{w}/{s}_nohash_{t}.wav" for w, s, t in names if s in speakers]
            _add(target, f"./{name}_list.txt", "\n".join(lines).encode() + b"\n")
    return archive.getvalue()


def _add(target: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    target.addfile(member, io.BytesIO(content))


def _sound(word: str, speaker: str, take: int) -> bytes:
    """Half a second at 16 kHz: a tone of the speaker's pitch, coloured by the word."""
    draw = np.random.default_rng([take, _WORDS.index(word), int(speaker, 16)])
    time = np.arange(8000) / 16_000
    pitch = 90 + 12 * _SPEAKERS.index(speaker)
    formant = 400 * (_WORDS.index(word) + 1)
    strength = [np.exp(-(((k * pitch - formant) / 300) ** 2)) for k in range(1, 30)]
    wave = sum(s * np.sin(2 * np.pi * k * pitch * time) for k, s in enumerate(strength, start=1))
    wave = 0.3 * wave / np.abs(wave).max() + 0.01 * draw.normal(size=len(time))
    content = io.BytesIO()
    soundfile.write(content, wave, 16_000, format="WAV", subtype="PCM_16")
    return content.getvalue()
