"""What a user of make sees: lines, a bar, a failure's own words; in any folder, without TeX."""

import hashlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from running import ROOT, Workflow

sys.path.insert(0, str(ROOT / "tools/terminal"))
from estimate import MEASURED, TimeLeft, about, beforehand


def write_study(folder: Path, **damage: str) -> str:
    """The cheapest study that there is, its data beside it; returns the configuration's path.

    `damage`: names of models, and what is written over a word of their labels.
    """
    labels = pd.DataFrame(
        {
            "layer": np.repeat(["layer[0]", "layer[1]"], 4),
            "unit": [*range(4)] * 2,
            "description": ["red", "dog", "striped", "sea"] * 2,
            "similarity": np.linspace(0.1, 0.4, 8),
            "images": "[1 2]",
        }
    ).to_csv(index=False)
    tables = {f"{name}.csv": labels.replace("unit", word) for name, word in damage.items()}
    tables |= {} if damage else {"vit.csv": labels}
    contents = tables | {"categories.json": json.dumps({"colors": ["red"], "animals": ["dog"]})}
    (folder / "mirror/labels").mkdir(parents=True)
    for name, text in contents.items():
        (folder / "mirror/labels" / name).write_text(text)
    files = [
        {"name": name, "url": f"http://127.0.0.1:9/{name}", "sha256": sha256(text)}
        for name, text in contents.items()
    ]
    study = {"kind": "published_labels", "title": "Labels", "dataset": "labels", "bootstrap": 100}
    models = {name.removesuffix(".csv"): name for name in tables}
    study |= {"categories": "categories.json", "models": models}
    study["comparisons"] = {"pretraining": [*models]}
    dataset = {"kind": "download", "modality": "table", "licence": "none", "source": "this test"}
    written = {
        "run": ["released"],
        "data_mirror": str(folder / "mirror"),
        "datasets": {"labels": dataset | {"files": files}},
        "studies": {"released": study},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(written))
    return str(folder / "study.yaml")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def commands_without(folder: Path, *names: str) -> str:
    """A PATH with all commands of this machine but these."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        if Path(place) != Path(sys.executable).parent and Path(place).is_dir():
            for command in Path(place).iterdir():
                if command.name not in names and not (folder / command.name).is_symlink():
                    (folder / command.name).symlink_to(command)
    return f"{Path(sys.executable).parent}{os.pathsep}{folder}"


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Workflow:
    """A copy in a folder that a shell would take to pieces, on a machine without TeX or apt."""
    folder = tmp_path_factory.mktemp("terminal") / "Año Nuevo (v2)/my strata's"
    path = commands_without(folder.parents[1] / "bin", "latexmk", "tectonic", "apt-get")
    return Workflow(folder, PATH=path, TMPDIR=str(folder.parent))


def make_in(copy: Workflow, command: str, expect: int = 0) -> list[str]:
    """Lines that make prints; a set-up that calls this Python counts as done."""
    packages = copy.directory.parents[1] / "venv"
    if not packages.exists():
        (packages / "bin").mkdir(parents=True)
        (packages / "bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (packages / "bin/python").chmod(0o755)
        ready = copy.shell("tools/make-venv --where", STRATA_VENV=str(packages)).strip()
        Path(ready).touch()
    printed = copy.shell(f"make {command}", expect, STRATA_VENV=str(packages))
    assert "\x1b" not in printed and "\r" not in printed
    return printed.splitlines()


def test_the_failed_jobs_own_words_and_logs_are_last(copy, tmp_path):
    study = write_study(tmp_path / "some data", vit="neuron", clip="unit,unit")
    lines = make_in(copy, f"figures STUDY=\"'{study}'\"", expect=2)
    assert lines[-1].startswith("make: ***")
    told = "\n".join(lines[:-1]).split("\n\n")[-2:]
    logs = copy.path("results/logs/measures/released/labels")
    expected = {
        "vit": rf"error: .*vit\.csv: no column 'unit'.*\n{re.escape(str(logs))}/vit\.log",
        "clip": rf"\w+Error: .*\n{re.escape(str(logs))}/clip\.log",
    }
    for model, pattern in expected.items():
        heading = rf"released_labels \(released, {model}\) failed:\n"
        assert sum(bool(re.fullmatch(heading + pattern, part)) for part in told) == 1, told


def test_a_download_that_fails_says_what_names_a_mirror(copy, tmp_path):
    study = write_study(tmp_path / "some data")
    (tmp_path / "some data/mirror/labels/vit.csv").unlink()
    lines = make_in(copy, f"figures STUDY=\"'{study}'\"", expect=2)
    *_, told, way_out, log, _ = [line for line in lines if line]
    assert re.fullmatch(r"error: vit\.csv: cannot be fetched; .*no such file.*", told), lines
    assert "STRATA_MIRROR" in way_out and "data_mirror" in way_out
    assert Path(log).is_file()


def test_a_mistake_in_the_configuration_is_one_line_and_where_the_rest_is(copy, tmp_path):
    (tmp_path / "typo.yaml").write_text("devise: cuda")
    *_, line, path, _ = make_in(copy, f"paper STUDY={tmp_path / 'typo.yaml'}", expect=2)
    assert "devise" in line
    assert "device" in Path(path).read_text()


@pytest.fixture(scope="module")
def little(copy, tmp_path_factory) -> tuple[str, list[str]]:
    """A little study that has run without TeX: its configuration, and what was printed."""
    study = write_study(tmp_path_factory.mktemp("little") / "some data")
    return study, make_in(copy, f"paper STUDY=\"'{study}'\"")


def test_without_latex_all_but_the_pdf_is_made_and_the_last_line_says_the_way_out(copy, little):
    _, (first, second, *between, last) = little
    results = copy.path("results")
    assert "all but the PDF" in first
    made = len(list((results / "figures").glob("*.pdf")))
    assert re.fullmatch(
        rf"Making {made} figures and the report in {re.escape(str(results))}: \d+ steps on .*",
        second,
    )
    assert all(re.match(r"\d+ of \d+ steps|Done", line) for line in between)
    assert len(between) <= 21  # one for each twentieth, and the time that it took
    assert f"figures are in {results}/figures, the report is {results}/report.html" in last
    assert "no PDF" in last and "PATH" in last and "apt-get install" in last
    assert (results / "report.html").exists() and (results / "paper/generated").exists()
    assert not (results / "paper/strata.pdf").exists()


def test_conda_s_tectonic_typesets_where_there_is_no_latexmk(copy, little, tmp_path):
    study, _ = little
    stub(tmp_path / "tectonic", "echo %PDF-1.5 >main.pdf; touch main.log")
    command = f"python tools/terminal/run_study.py paper --cores 1 --configfile '{study}'"
    first, *_, last = copy.shell(f"PATH=$PATH:'{tmp_path}' {command}").splitlines()
    pdf = copy.path("results/paper/strata.pdf")
    assert first.startswith("Making the PDF and the report")
    assert last.startswith(f"The paper is {pdf}, the figures are in ")
    assert pdf.read_text() == "%PDF-1.5\n"


def test_what_is_up_to_date_is_not_made_again(copy, little):
    study, printed = little
    *_, said, last = make_in(copy, f"paper STUDY=\"'{study}'\"")
    assert said == "Everything is up to date."
    assert last == printed[-1]


def test_make_verify_names_what_is_other_than_it_was_made(copy, little):
    assert make_in(copy, "verify")[-1].endswith(" results, 0 other than they should be")
    table = sorted((copy.path("results") / "figures").glob("*.csv"))[0]
    kept = table.read_bytes()
    table.write_bytes(kept + b"1\n")
    told = make_in(copy, "verify", expect=2)
    table.write_bytes(kept)
    assert f"differs: figures/{table.name}" in told


def test_after_a_killed_run_one_line_says_how_to_go_on(copy, little):
    study, printed = little
    made = [path.relative_to(copy.directory) for path in copy.path("results").rglob("*")]
    lock = copy.path(".snakemake/locks/0.output.lock")
    lock.parent.mkdir()
    lock.write_text("\n".join(map(str, made)))  # as Snakemake leaves it when it is killed
    told = make_in(copy, f"paper STUDY=\"'{study}'\"", expect=2)[-2]
    assert told.startswith("error: another run works in this folder") and "make unlock" in told
    assert make_in(copy, "unlock") == ["Unlocked."]
    assert make_in(copy, f"paper STUDY=\"'{study}'\"")[-1] == printed[-1]


def test_on_a_terminal_a_bar_says_steps_what_runs_and_the_time_left(copy, little):
    study, _ = little
    command = [sys.executable, "tools/terminal/run_study.py", "paper", "--cores", "1"]
    command += ["--forcerun", "write_numbers", "--configfile", study]
    ours, theirs = pty.openpty()
    variables = {"TERM": "xterm", "COLUMNS": "80", "PATH": copy.variables["PATH"]}
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | variables
    process = subprocess.Popen(
        command, cwd=copy.directory, env=environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the terminal is closed
            break
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"━+ *0 of 1 step, less than a minute left", text)
    assert "now: write_numbers" in text
    assert text.rstrip().splitlines()[-1].startswith(f"The figures are in {copy.directory}")


def test_the_time_left_comes_from_what_finished_jobs_took():
    left = TimeLeft({"plot_measure": 4, "elsewhere": 2}, cores=2)
    before = left.left([])
    left.start("elsewhere")
    assert left.left([("elsewhere", 0.0)]) == before
    left.finish("elsewhere", 100.0)
    left.waiting["plot_measure"] = 0
    assert left.left([]) == 100  # one of them cannot be shared
    left.start("elsewhere")
    assert left.left([("elsewhere", 30.0)]) == 70
    assert left.share([("elsewhere", 30.0)]) == pytest.approx(130 / 200)
    left.finish("elsewhere", 90.0)
    assert left.left([]) == 0 and left.share([]) == 1


def test_the_time_beforehand_is_of_the_cores_and_no_shorter_than_a_chain_of_jobs():
    stats = {rule: jobs for rule, (jobs, _) in MEASURED["rules"].items()}
    work = sum(seconds for _, seconds in MEASURED["rules"].values())
    assert beforehand(stats, 1) == pytest.approx(work)
    assert beforehand(stats, 2) == pytest.approx(max(work / 2, MEASURED["longest_chain"]))
    assert beforehand(stats, 1000) == pytest.approx(MEASURED["longest_chain"])
    assert about(29) == "less than a minute"
    assert [about(seconds) for seconds in (70, 1500, 20000)] == [
        "about 1 minute",
        "about 25 minutes",
        "about 6 hours",
    ]


def test_the_costs_are_of_rules_that_there_are():
    text = "".join(path.read_text() for path in (ROOT / "rules").rglob("*.smk"))
    assert {*MEASURED["rules"], *MEASURED["elsewhere"]} <= set(
        re.findall(r"^ *(?:rule|checkpoint) (\w+):", text, re.MULTILINE)
    )


def clone(folder: Path) -> Path:
    """Of a clone, what the set-up reads; nothing to install."""
    (folder / "tools").mkdir(parents=True)
    script = folder / "tools/make-venv"
    script.write_bytes((ROOT / "tools/make-venv").read_bytes())
    script.chmod(0o755)
    (folder / "requirements.txt").write_text("torch==2.0.0 \\\n")
    return script


def set_up(script: Path, *arguments: str, expect: int = 0, **variables: str) -> str:
    environment = os.environ | {"STRATA_VENV": "", "XDG_CACHE_HOME": ""} | variables
    done = subprocess.run(
        [script, *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == expect, done.stdout
    return done.stdout.strip()


def stub(path: Path, lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def test_packages_lie_in_the_clone_or_where_a_shell_can_name_them(tmp_path):
    home = {"HOME": str(tmp_path / "home")}
    plain, odd = clone(tmp_path / "plain"), clone(tmp_path / "Año Nuevo (v2)/my strata")
    assert re.fullmatch(r"\.venv/\.ready-\d+", set_up(plain, "--where", **home))
    found = set_up(odd, "--where", **home)
    assert re.fullmatch(rf"{tmp_path}/home/\.cache/strata/venv-\d+/\.ready-\d+", found)
    assert found != set_up(clone(tmp_path / "another one"), "--where", **home)
    named = set_up(odd, "--where", STRATA_VENV=str(tmp_path / "named"))
    assert Path(named).parent == tmp_path / "named"


def test_without_such_a_place_one_line_says_so_before_the_set_up(tmp_path):
    script = clone(tmp_path / "my strata")
    home = {"HOME": str(tmp_path / "my home")}
    line = set_up(script, sys.executable, expect=1, **home)
    assert line.startswith("error: ") and "STRATA_VENV=" in line and "\n" not in line
    assert not (tmp_path / "my home").exists() and not (tmp_path / "my strata/.venv").exists()


def test_the_set_up_takes_uv_where_it_is_and_pip_where_uv_fails(tmp_path):
    script, venv, calls = clone(tmp_path / "my strata"), tmp_path / "venv", tmp_path / "calls"
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    variables = {
        "STRATA_VENV": str(venv),
        "PATH": path,
        "UV_FIND_LINKS": "",
        "PIP_FIND_LINKS": " /w /x",
    }
    stub(tmp_path / "bin/uv", f'echo "uv $UV_FIND_LINKS $*" >>{calls}')
    stub(venv / "bin/python", f'echo "pip $*" >>{calls}')
    assert "with uv" in set_up(script, sys.executable, **variables)
    assert calls.read_text().count("uv /w,/x pip install") == 2
    assert (tmp_path / "my strata/.venv").readlink() == venv
    assert Path(set_up(script, "--where", **variables)).exists()

    stub(tmp_path / "bin/uv", "echo no such network; exit 2")
    assert "now with pip" in set_up(script, sys.executable, **variables)
    by_pip = [line for line in calls.read_text().splitlines() if line.startswith("pip -m pip")]
    assert [line.split("--disable-pip-version-check ")[1].split("==")[0] for line in by_pip] == [
        "--no-deps torch",
        "--no-deps --require-hashes -r requirements.txt",
        "torch",
        "--no-deps --editable .",
    ]


def test_where_there_is_no_uv_pip_brings_that_of_the_lock(tmp_path):
    script, venv, calls = clone(tmp_path / "strata"), tmp_path / "venv", tmp_path / "calls"
    lock = (ROOT / "requirements.txt").read_text()
    (tmp_path / "strata/requirements.txt").write_text(lock)
    stub(tmp_path / "uv", f'echo "uv $UV_DEFAULT_INDEX $*" >>{calls}')
    stub(venv / "bin/python", f'echo "pip $*" >>{calls}; cp {tmp_path}/uv {venv}/bin/uv')
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("awk", "bash", "cksum", "cp", "cut", "dirname", "env", "ln", "sed", "touch", "tr"):
        (commands / name).symlink_to(shutil.which(name))
    variables = {"STRATA_VENV": str(venv), "PATH": str(commands), "UV_DEFAULT_INDEX": ""}
    printed = set_up(script, sys.executable, **variables, PIP_INDEX_URL="https://mirror/simple")
    assert "now with pip" not in printed
    brought, *by_uv = calls.read_text().splitlines()
    assert brought.endswith(f"--no-deps --require-hashes -r {venv}/uv.txt")
    asked = (venv / "uv.txt").read_text()
    assert re.fullmatch(r"uv==\S+( \\\n    --hash=sha256:\w{64})+\n", asked) and asked in lock
    assert [line.split(" pip install")[0] for line in by_uv] == ["uv https://mirror/simple"] * 2


def test_a_clone_that_has_moved_gets_its_packages_anew(tmp_path):
    script = clone(tmp_path / "here")
    stub(tmp_path / "bin/uv", "exit 0")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    set_up(script, sys.executable, PATH=path)
    (tmp_path / "here/.venv/old").touch()
    set_up(script, sys.executable, PATH=path)
    assert (tmp_path / "here/.venv/old").exists()
    (tmp_path / "here").rename(tmp_path / "there")
    moved = tmp_path / "there/tools/make-venv"
    set_up(moved, sys.executable, PATH=path)
    assert not (tmp_path / "there/.venv/old").exists()
    assert (tmp_path / "there" / set_up(moved, "--where")).exists()
