"""First view, search and memory of an atlas as large as the first paper's: thirteen models.

python benchmarks/atlas.py [--models 13] [--layers 12] [--neurons 768] [--words 1000]

Names, labels and scores are random. A headless Chromium opens the page from the disk and measures
itself; beside it the same page with one layer of one model, which shows what Chromium alone takes.
"""

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import write_results

from strata.atlas import Samples, copy_page, study_data, write_data
from strata.data.manifest import Dataset

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CATEGORIES = ("colors", "textures and materials", "objects and machines", "activities")
MEASURE = """
(async () => {
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  while (!document.querySelector(".row")) await wait(1);
  await new Promise(requestAnimationFrame);
  const told = { first: performance.now() };
  const field = document.querySelector("#search");
  const begun = [];
  for (const word of WORDS) {
    const start = performance.now();
    field.value = word;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    await wait(0);
    begun.push(performance.now() - start + 0 * document.body.offsetHeight);
  }
  told.search = begun.sort((a, b) => a - b)[Math.floor(begun.length / 2)];
  const [picker] = document.querySelectorAll(".head select");
  for (const option of [...picker.options].map((one) => one.value)) {
    const select = document.querySelector(".head select");
    select.value = option;
    select.dispatchEvent(new Event("change"));
    await wait(300);
  }
  told.memory = performance.memory.usedJSHeapSize / 2 ** 20;
  console.log(`told ${JSON.stringify(told)} end`);
})();
"""


def labels_of(model: str, layers: int, neurons: int, words: list[str], random) -> pd.DataFrame:
    n = layers * neurons
    table = pd.DataFrame(
        {
            "layer_index": np.repeat(np.arange(layers), neurons),
            "unit": np.tile(np.arange(neurons), layers),
            "concept": random.choice(words, n),
            "value": random.normal(size=n),
            "q_value": random.uniform(size=n),
            "margin": random.uniform(size=n),
            "runner_up": [";".join(random.choice(words, 4)) for _ in range(n)],
            "images": [";".join(map(str, random.integers(0, 2000, 5))) for _ in range(n)],
            "metric": "soft_wpmi",
            "model": model,
        }
    )
    return table.assign(layer="layer." + table["layer_index"].astype(str))


def nearest_of(labels: pd.DataFrame, words: list[str], random) -> pd.DataFrame:
    rows = random.integers(0, len(labels), 40 * len(words))
    near = labels.iloc[rows][["layer_index", "unit"]].assign(concept=np.repeat(words, 40))
    return near.assign(value=np.sort(random.uniform(size=len(near)))[::-1])


def write_atlas(folder: Path, models: int, layers: int, neurons: int, n_words: int) -> list[str]:
    random = np.random.default_rng(0)
    words = [f"word{i}" for i in range(n_words)]
    names = [f"model{i}" for i in range(models)]
    pictures = random.integers(0, 255, (2000, 8, 8, 3), dtype=np.uint8)
    np.save(folder / "images.npy", pictures)
    manifest = pd.DataFrame({"sample": range(2000), "index": range(2000), "split": "test"})
    info = {"name": "some", "root": ".", "modality": "image", "storage": "images.npy"}
    samples = Samples([Dataset(folder, info, manifest)])
    labels = {name: labels_of(name, layers, neurons, words, random) for name in names}
    tables = {
        "labels": labels,
        "nearest": {name: nearest_of(labels[name], words, random) for name in names},
    }
    study = {"kind": "concepts", "title": "Many neurons", "models": names}
    categories = {name: words[i :: len(CATEGORIES)] for i, name in enumerate(CATEGORIES)}
    told, data = study_data(study, {}, tables, samples, words, categories)
    told["samples"] = samples.write(folder / "many")
    write_data(folder / "many/study.js", "many", told)
    for name in names:
        write_data(folder / f"many/model-{name}.js", f"many/{name}", data[name])
    write_data(folder / "studies.js", "", [["many", "Many neurons"]])
    copy_page(folder)
    return words


def measure(folder: Path, words: list[str], browser: str) -> dict:
    """Milliseconds to the first rows and of a search (median), MiB with all models visited."""
    script = MEASURE.replace("WORDS", json.dumps(words[:20]))
    page = (folder / "index.html").read_text()
    (folder / "measured.html").write_text(page.replace("</body>", f"<script>{script}</script>"))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1300,900"]
    command += ["--enable-precise-memory-info", "--enable-logging=stderr"]
    command += [f"--user-data-dir={folder / 'profile'}", (folder / "measured.html").as_uri()]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stderr:
            told = re.search(r"told (.*) end", line)
            if told:
                running.kill()
                return json.loads(told[1].replace('\\"', '"'))
    raise SystemExit("Chromium ended without a measurement")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, value in {"models": 13, "layers": 12, "neurons": 768, "words": 1000}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("no Chromium on the PATH")
    rows = []
    for what, size in {"one layer": (1, 1), "all": (asked.models, asked.layers)}.items():
        with tempfile.TemporaryDirectory() as folder:
            words = write_atlas(Path(folder), *size, asked.neurons, asked.words)
            found = measure(Path(folder), words, browser)
            size_of = sum(file.stat().st_size for file in Path(folder).glob("many/*.js"))
        rows.append(
            {
                "atlas": what,
                "neurons": size[0] * size[1] * asked.neurons,
                "MB on disk": f"{size_of / 1e6:.0f}",
                "first view (ms)": f"{found['first']:.0f}",
                "a search (ms, median)": f"{found['search']:.0f}",
                "memory, every model seen (MiB)": f"{found['memory']:.0f}",
            }
        )
    write_results("atlas", "The atlas in a headless Chromium, opened from the disk", rows)


if __name__ == "__main__":
    main()
