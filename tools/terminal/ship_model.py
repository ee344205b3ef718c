"""Put a model that the workflow trained (zoo: train) into the zoo that ships.

usage: ship_model.py results/models/NAME    -> resources/zoo/NAME

A locked image tower is left out: it ships by itself and is put in again when the model is laid out.
Of a network with an adapter the adapter ships alone, and is merged again.
"""

import shutil
import sys
from pathlib import Path

from safetensors.numpy import load_file, save_file

ZOO = Path(__file__).resolve().parents[2] / "resources" / "zoo"
KEPT = ("*.json", "*.safetensors", "*.txt")


def ship(trained: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if (trained / "adapter").is_dir():
        shutil.copytree(trained / "adapter", folder / "adapter", dirs_exist_ok=True)
        for name in ("card.json", "preprocessor_config.json"):
            shutil.copyfile(trained / name, folder / name)
        return
    for file in (file for pattern in KEPT for file in trained.glob(pattern)):
        shutil.copyfile(file, folder / file.name)
    if '"image_tower"' in (folder / "card.json").read_text():
        weights = load_file(folder / "model.safetensors")
        learned = {n: w for n, w in weights.items() if not n.startswith("vision_model.")}
        save_file(learned, folder / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    ship(Path(sys.argv[1]), ZOO / Path(sys.argv[1]).name)
