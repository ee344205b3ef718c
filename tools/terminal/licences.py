"""What Strata rests on and under which licences: `python licences.py` writes docs/licences.md.

Packages say it in their metadata or in the first lines of their licence file; data and networks in
the configuration, of the default study and of studies/, or in the cards of the zoo.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import Distribution, distribution
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/licences.md"
OURS = "Apache-2.0 (Strata's own)"
MADE = ("microworld", "microspeech")  # kinds of data that Strata draws itself
KNOWN = {
    "MIT License": "MIT",
    "The MIT License": "MIT",
    "GNU GENERAL PUBLIC LICENSE": "GPL",
    "Apache License": "Apache",
}


def locked() -> dict[str, str]:
    """The packages of the lock and their versions, without what tells one build from another."""
    text = (ROOT / "requirements.txt").read_text()
    return dict(re.findall(r"^([^\s=]+)==(\S+)", text, re.MULTILINE))


def licence_of(package: Distribution) -> str:
    """As the package's metadata says, else its licence file."""
    told = package.metadata
    classes = [
        line.split("::")[-1].strip()
        for line in told.get_all("Classifier", [])
        if line.startswith("License ::") and line != "License :: OSI Approved"
    ]
    short = (told.get("License") or "").strip().split("\n")[0]
    for said in (told.get("License-Expression"), " and ".join(classes), short):
        if said and len(said) < 100:
            return said
    return _by_file(package) or "not stated in the package"


def _by_file(package: Distribution) -> str | None:
    for file in package.files or ():
        if re.match(r"(LICEN[CS]E|COPYING)", file.name, re.IGNORECASE):
            text = file.read_text().strip()
            named = next((KNOWN[k] for k in KNOWN if text.lower().startswith(k.lower())), None)
            version = re.search(r"Version (\d[.\d]*)", text[:200])
            if named:
                return f"{named} {version[1]}" if version else named
    return None


def configurations() -> list[dict]:
    files = [ROOT / "config.yaml", *sorted((ROOT / "studies").glob("*.yaml"))]
    return [yaml.safe_load(file.read_text()) or {} for file in files]


def data() -> list[tuple[str, str, str]]:
    """(name, licence, where from) of each data set with samples of its own."""
    found: dict[str, tuple[str, str]] = {}
    for one in configurations():
        for name, entry in (one.get("datasets") or {}).items():
            kind = entry.get("kind")
            if kind == "triplets" and "licence" not in entry:
                continue  # judgements of pictures that are listed, simulated or from their source
            made = kind in MADE
            licence = OURS if made else entry.get("licence", "the user's own")
            origin = entry.get("source") or entry.get("path") or "drawn by Strata"
            found.setdefault(name, (licence, "drawn by Strata" if made else origin))
    return sorted((name, *rest) for name, rest in found.items())


def networks() -> list[tuple[str, str, str]]:
    """(name, licence, where from) of each network that is fetched, or ships with Strata."""
    found: dict[str, tuple[str, str]] = {}
    bases: dict[str, str | None] = {}
    for one in configurations():
        for name, entry in (one.get("models") or {}).items():
            bases[name] = entry.get("base")
            if "base" in entry or entry.get("source") in ("zoo", "arrays"):
                continue
            origin = entry.get("origin") or entry.get("id") or entry.get("path")
            found.setdefault(name, (entry.get("licence", "as its hub page says"), str(origin)))
    for card in sorted((ROOT / "resources/zoo").glob("*/card.json")):
        told = json.loads(card.read_text())
        name = card.parent.name  # an adapter is under its base's
        found[name] = (told.get("licence") or found[bases[name]][0], f"resources/zoo/{name}")
    return sorted((name, *rest) for name, rest in found.items())


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page() -> str:
    """docs/licences.md, from the lock, the configurations and the cards."""
    packages = [(name, v, licence_of(distribution(name))) for name, v in locked().items()]
    return (
        "\n\n".join(
            [
                "# Licences of what Strata rests on",
                "Made by `python tools/terminal/licences.py`; a test holds it to the lock, the "
                "configurations and the cards. Strata itself is under the Apache License 2.0; "
                "[NOTICE](../NOTICE) names what of others ships with it.",
                "## Packages",
                "As their own metadata or licence files say; their checksums are in the lock.",
                table(("package", "version", "licence"), packages),
                "## Data",
                table(("data set", "licence", "from"), data()),
                "## Networks",
                table(("network", "licence", "from"), networks()),
            ]
        )
        + "\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page())
