"""The house: data flows one way, nothing goes in a circle, and what is heavy loads late."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
LIBRARY = SCRIPTS / "strata"
RULES = SCRIPTS.parent / "rules"
STAGES = (
    "data",
    "models",
    "activations",
    "dissect",
    "concepts",
    "convexity",
    "alignment",
    "pruning",
    "figures",
    "claims",
    "atlas",
    "notebooks",
    "paper",
)
SHARED = (
    "arrays",
    "compat",
    "compiled",
    "differences",
    "errors",
    "intervals",
    "sources",
    "stats",
    "tables",
    "threads",
    "whole",
)
FILES = sorted(LIBRARY.rglob("*.py"))
LINES, SCREEN = 400, 66


def name_of(path: Path) -> str:
    parts = path.relative_to(SCRIPTS).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def imports(path: Path) -> Iterator[str]:
    """The library's modules that a file imports anywhere, also where only annotations need it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in inside if name in MODULES)
            if any(name not in MODULES for name in inside):
                yield node.module


ARROWS = {name: sorted(set(imports(path)) - {name}) for name, path in MODULES.items()}


def room(module: str) -> str:
    """The stage, or shared module, that a module belongs to."""
    return module.split(".")[1] if "." in module else "strata"


def test_every_room_is_known():
    rooms = {room(name) for name in MODULES} - {"strata"}
    assert rooms == {*STAGES, *SHARED, "config"}
    assert {path.stem for path in RULES.glob("*.smk")} == {*STAGES, "common", "inputs"}
    assert {path.stem for path in (RULES / "inputs").glob("*.smk")} <= {*STAGES}
    assert {path.name for path in SCRIPTS.iterdir() if list(path.glob("*.py"))} == {
        *STAGES,
        "strata",
    }


def test_files_of_rules_are_short():
    long = [
        path.name for path in RULES.rglob("*.smk") if len(path.read_text().splitlines()) > LINES
    ]
    assert not long


def test_no_module_imports_itself_by_way_of_others():
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " > ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in ARROWS[name]:
                # A package's modules may be named by its facade, which they never import back.
                if other in ARROWS and not name.startswith(f"{other}."):
                    walk(other, (*path, name))
            done.add(name)

    for name in ARROWS:
        walk(name, ())


def test_compiled_functions_call_those_of_their_own_folder():
    """Only changes there are noticed by what is kept of them (`strata.compiled`)."""
    compiling = {"strata.compiled"}
    while more := {name for name in MODULES if _takes_compiled(name, compiling)} - compiling:
        compiling |= more
    rooms = {name: MODULES[name].parent for name in compiling}
    for name in compiling:
        for other in {*ARROWS[name]} & compiling - {"strata.compiled"}:
            assert rooms[name] == rooms[other], f"{name} calls {other}"


def _takes_compiled(name: str, compiling: set[str]) -> bool:
    """Whether a module makes compiled functions, and from which others' it may."""
    text = MODULES[name].read_text()
    makes = re.search(r"^@_?(compiled|fast|exact)\b", text, re.MULTILINE)
    return bool(makes) and bool({*ARROWS[name]} & compiling)


def test_no_module_imports_its_own_facade():
    for name, arrows in ARROWS.items():
        facades = [other for other in arrows if name.startswith(f"{other}.")]
        assert set(facades) <= {"strata"}, f"{name} imports {facades}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_data_flows_one_way(name):
    here = room(name)
    for other in ARROWS[name]:
        if not other.startswith("strata."):
            continue
        there = room(other)
        if here in STAGES:
            allowed = {*SHARED, *STAGES[: STAGES.index(here) + 1]}
        else:
            allowed = {*SHARED, "config", "data"} if here == "config" else {*SHARED}
        assert there in allowed, f"{name} imports {other}"


def test_the_library_knows_nothing_of_snakemake_nor_of_results():
    for name, path in MODULES.items():
        text = path.read_text()
        assert not [other for other in ARROWS[name] if other.startswith("snakemake")], name
        assert '"results/' not in text and "'results/" not in text, name


def test_scripts_are_thin_and_call_the_library():
    for stage in STAGES:
        for path in (SCRIPTS / stage).glob("*.py"):
            tree = ast.parse(path.read_text())
            made = [
                n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))
            ]
            assert not made, f"{path}: {made} belong into the library"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_files_and_functions_stay_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < SCREEN, node.name


def test_facades_load_nothing_heavy():
    rooms = ", ".join(f"strata.{stage}" for stage in (*STAGES, "config"))
    heavy = "{'torch', 'transformers', 'timm', 'numba', 'matplotlib', 'snakemake'}"
    program = f"import sys, {rooms}; print(sorted({heavy} & set(sys.modules)))"
    printed = subprocess.check_output([sys.executable, "-c", program], text=True, cwd=SCRIPTS)
    assert printed.strip() == "[]"


def test_public_names_of_the_design_are_where_they_were():
    from strata.activations import ActivationCache, extract
    from strata.alignment import fit_transform, noise_ceiling, odd_one_out_accuracy
    from strata.concepts import category_shares, concept_counts
    from strata.convexity import euclidean_convexity, graph_convexity
    from strata.dissect import label_by_annotation, label_neurons
    from strata.pruning import convexity_cut, cost, prune

    named = [ActivationCache, extract, fit_transform, noise_ceiling, odd_one_out_accuracy]
    named += [category_shares, concept_counts, euclidean_convexity, graph_convexity]
    named += [label_by_annotation, label_neurons, convexity_cut, cost, prune]
    assert all(callable(each) for each in named)
