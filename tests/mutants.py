"""Small faults put into the science, one at a time: do the unit tests notice? `make mutants`.

Each fault goes into a copy of the library in a temporary folder; there the unit tests nearest to
its module, by imports, run until one fails. Verdicts stay in .cache/mutants.json, so that a run
goes on where another ended. Faults that change nothing stand in mutants_equivalent.txt with why.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path

import pytest

from faults import faults_of

ROOT = Path(__file__).resolve().parents[1]
LIBRARY, TESTS = ROOT / "workflow_scripts" / "strata", ROOT / "tests"
STATE, TABLE = ROOT / ".cache" / "mutants.json", TESTS / "mutants.md"
EQUIVALENT = TESTS / "mutants_equivalent.txt"
SCIENCE = (
    *("alignment/*", "concepts/*", "convexity/*", "dissect/*", "pruning/*"),
    *("stats.py", "intervals.py", "differences.py", "arrays.py"),
    *("activations/pooling.py", "activations/importing.py", "activations/cache.py"),
    *("data/splits.py", "data/answers.py", "data/triplets.py", "data/annotations.py"),
    *("models/front_end.py", "models/speech.py"),
)
LEFT_OUT = ("__init__.py", "gpu.py")  # facades; what only a GPU runs
SEED, LEAST = 20, 0.95  # of the draw; share of faults that a test must notice
BUDGET, MOST = 60, 4  # seconds of CPU and files of tests for one fault
# Loaded once, before the forks; nothing of the library is.
HEAVY = ("numpy", "pandas", "scipy.stats", "scipy.spatial", "scipy.optimize", "numba", "hypothesis")
HEAVY += ("torch", "PIL.Image", "yaml")
MODULES = {
    ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(LIBRARY.rglob("*.py"))
}


def imports(path: Path) -> set[str]:
    """The library's modules that a file names; what a facade hands on is of the module it is in."""
    found: set[str] = set()
    pattern = r"^ *from (strata[\w.]*) import (\([^)]*\)|[^\n]*)|^ *import (strata[\w.]*)"
    for module, names, plain in re.findall(pattern, path.read_text(), re.MULTILINE):
        found.add(module or plain)
        for name in re.findall(r"\w+", names):
            inside = f"{module}.{name}" in MODULES
            found.add(f"{module}.{name}" if inside else owner(module, name))
    return found & set(MODULES)


def owner(module: str, name: str) -> str:
    """Where a name lives that a facade imports."""
    path = MODULES.get(module)
    if path and path.name == "__init__.py":
        pattern = r"^from (strata[\w.]*) import (\([^)]*\)|[^\n]*)"
        for other, names in re.findall(pattern, path.read_text(), re.MULTILINE):
            if name in re.findall(r"\w+", names):
                return other
    return module


def nearest_tests() -> dict[str, list[tuple[int, int, str]]]:
    """For each module the tests that reach it: imports in between, how many the file has, name."""
    arrows = {
        name: set() if path.name == "__init__.py" else imports(path)
        for name, path in MODULES.items()
    }
    found: dict[str, list[tuple[int, int, str]]] = {name: [] for name in MODULES}
    for test in sorted((TESTS / "unit").glob("test_*.py")):
        if test.name == "test_house.py":  # reads the sources, runs nothing
            continue
        seen, now, steps = set(), imports(test), 0
        breadth = len(now)
        while now:
            for name in now:
                found[name].append((steps, breadth, test.name))
            seen |= now
            now, steps = {each for name in now for each in arrows[name]} - seen, steps + 1
    return found


def draw(n: int, only: str) -> list[dict]:
    """`n` faults, as many in each module but one, the kinds as evenly as a module has them."""
    paths = sorted({p for pattern in SCIENCE for p in LIBRARY.glob(pattern) if p.suffix == ".py"})
    paths = [path for path in paths if path.name not in LEFT_OUT and only in str(path)]
    random.Random(SEED).shuffle(paths)
    orders = {path: iter(_drawn_faults(path)) for path in paths}
    turns = (next(orders[path], None) for path in islice(cycle(paths), 400 * len(paths)))
    return list(islice((fault for fault in turns if fault), n))


def _drawn_faults(path: Path) -> list[dict]:
    name, source = str(path.relative_to(LIBRARY)), path.read_bytes()
    chance, kinds = random.Random(f"{SEED} {name}"), {}
    for fault in faults_of(source):
        kinds.setdefault(fault["kind"], []).append(fault)
    drawn = []
    while kinds:
        kind = chance.choice(sorted(kinds))
        drawn.append(kinds[kind].pop(chance.randrange(len(kinds[kind]))))
        kinds = {each: left for each, left in kinds.items() if left}
    digest = hashlib.sha1(source).hexdigest()[:8]
    for fault in drawn:
        at = f"{fault['start']}-{fault['end']}"
        fault |= {"module": name, "key": f"{name} {digest} {at} {fault['new']}"}
    return drawn


def elsewhere(paths: list[str]) -> list[str]:
    """Of Python's paths those that do not lead to this library or its tests; the environment may
    lie in this folder."""
    own = [ROOT, LIBRARY.parent, TESTS, TESTS / "unit"]
    return [path for path in paths if Path(path or ".").resolve() not in own]


class Bench:
    """A copy of the repository in which faults are tried."""

    def __init__(self, folder: Path, state: dict):
        self.folder, self.state, self.near = folder, state, nearest_tests()
        for entry in ROOT.iterdir():
            if entry.name in ("workflow_scripts", "tests", "pyproject.toml"):
                copy = shutil.copytree if entry.is_dir() else shutil.copy
                copy(entry, folder / entry.name)
            elif entry.name not in (".git", ".cache", ".hypothesis", ".snakemake"):
                (folder / entry.name).symlink_to(entry)
        texts = {name: path.read_text() for name, path in MODULES.items()}
        kernels = {name for name in MODULES if re.search("numba|njit|compiled", texts[name])}
        self.compiled = kernels.union(*(imports(MODULES[name]) for name in kernels))

    def pytest(
        self, tests: list[str], limit: float, cache: Path | None = None
    ) -> tuple[str, str, float]:
        """The verdict, the test that failed and seconds of CPU; in a fork that has numpy etc.

        Without a folder for its `cache`, machine code is what it was without a fault.
        """
        said = self.folder / "said.txt"
        child = os.fork()
        if not child:
            os.setsid()
            os._exit(self._in_child(tests, said, cache))
        until = time.monotonic() + limit
        while not (done := os.wait4(child, os.WNOHANG))[0] and time.monotonic() < until:
            time.sleep(0.05)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if not done[0]:
            os.waitpid(child, 0)
            return "time", "the time limit", limit
        failed = re.search(r"^(?:FAILED|ERROR) tests/unit/(\S+)", said.read_text(), re.MULTILINE)
        passed = os.waitstatus_to_exitcode(done[1]) == 0
        used = done[2].ru_utime + done[2].ru_stime
        return ("passed" if passed else "failed"), (failed[1] if failed else "a crash"), used

    def _in_child(self, tests: list[str], said: Path, cache: Path | None) -> int:
        paths = [str(self.folder / part) for part in ("workflow_scripts", "tests")]
        places = {"NUMBA_CACHE_DIR": str(cache or self.folder / "numba")}
        os.environ |= {"PYTHONPATH": os.pathsep.join(paths), **places}
        # Two faults of one size in one second would look the same to Python's own cache.
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
        sys.path[:] = [*paths, *elsewhere(sys.path)]
        os.chdir(self.folder)
        import_module("numba.core.config").reload_config()
        if cache is None:
            import_module("strata.compiled")._digest = lambda folder: b"as it was"
        options = ["-x", "-q", "--tb=no", "--hypothesis-seed=0", "-p", "no:cacheprovider"]
        with said.open("w") as file, redirect_stdout(file), redirect_stderr(file):
            return int(pytest.main([*options, *(f"tests/unit/{test}" for test in tests)]))

    def seconds(self, test: str) -> float:
        """CPU time of a test file without a fault; infinite where it takes minutes."""
        digest = hashlib.sha1((TESTS / "unit" / test).read_bytes()).hexdigest()[:8]
        known, key = self.state["seconds"], f"{test} {digest}"
        if key not in known:
            verdict, _, used = self.pytest([test], 400)
            print(f"  without a fault {test}: {verdict}, {used:.1f} s", flush=True)
            if verdict == "failed":  # whatever it says of faults means nothing
                said = (self.folder / "said.txt").read_text()[-2000:]
                raise SystemExit(f"{said}\nerror: {test} fails without a fault; mend that first")
            known[key] = round(used, 1) if verdict == "passed" else 1e9
        return known[key]

    def covering(self, name: str) -> list[str]:
        """The nearest tests of a module that together take no longer than the budget."""
        stem = name.rsplit(".", 1)[-1]
        own = (f"test_{stem}.py", "test_edges.py")
        order = sorted(self.near[name], key=lambda test: (test[2] not in own, test))
        chosen, left = [], BUDGET
        for steps, _, test in order:
            if steps <= 4 and left > 0 and len(chosen) < MOST and self.seconds(test) <= left:
                chosen.append(test)
                left -= self.seconds(test)
        return sorted(chosen, key=self.seconds)

    def try_out(self, fault: dict) -> dict:
        """The verdict on a fault: killed by which test, or survived which files."""
        path = self.folder / "workflow_scripts" / "strata" / fault["module"]
        name = f"strata.{fault['module'].removesuffix('.py').replace('/', '.')}"
        tests, source = self.covering(name), path.read_bytes()
        limit = 60 + 20 * sum(map(self.seconds, tests))
        with tempfile.TemporaryDirectory() as fresh:  # what was compiled before hides a fault
            cache = Path(fresh) if name in self.compiled else None
            mutant = source[: fault["start"]] + fault["new"].encode() + source[fault["end"] :]
            path.write_bytes(mutant)
            verdict, by, _ = self.pytest(tests, limit, cache) if tests else ("passed", "", 0)
            path.write_bytes(source)
        return {"survived": ", ".join(tests)} if verdict == "passed" else {"killed": by}


def reasons() -> dict[tuple[str, ...], str]:
    """Faults that change nothing: module, line's text, what became what, and why."""
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    parts = [line.split(" :: ") for line in lines if line and not line.startswith("#")]
    return {tuple(part[:3]): part[3] for part in parts}


def tried(verdict: dict | None) -> bool:
    """Whether any test ran; a module that none reached within the budget was not tried."""
    return bool(verdict) and any(verdict.values())


def change(fault: dict) -> str:
    return " ".join(f"{fault['old']} → {fault['new'].strip()}".split())


def report(faults: list[dict], state: dict, write: bool) -> float:
    """Prints the verdicts, or writes the table; the share killed of faults that change anything."""
    known, equal = state["verdicts"], reasons()
    rows, killed, same = [], 0, 0
    reached = [fault for fault in faults if tried(known[fault["key"]])]
    if len(reached) < len(faults):
        print(f"{len(faults) - len(reached)} faults that no test reached within the budget")
    for fault in sorted(reached, key=lambda fault: (fault["module"], fault["start"])):
        verdict = known[fault["key"]]
        why = equal.get((fault["module"], fault["text"], change(fault)))
        killed += "killed" in verdict
        same += why is not None and "killed" not in verdict
        said = verdict.get("killed") or (f"nothing changes: {why}" if why else "**survived**")
        cells = [f"{fault['module']}:{fault['line']}", f"`{change(fault)}`", said]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    share = killed / max(len(rows) - same, 1)
    head = f"{killed} of {len(rows)} faults killed, {same} change nothing: {share:.1%} of the rest."
    if write:
        table = ["# Small faults and the tests that notice", "", head, ""]
        table += ["| Place | Fault | Killed by |", "|---|---|---|", *rows]
        table[2] = f"Written by `make mutants`. {head}"
        TABLE.write_text("\n".join(table) + "\n")
    print("\n".join(row for row in rows if "**survived**" in row))
    print(head)
    return share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of the module's path: convexity/")
    parser.add_argument("--n", type=int, default=120, help="number of faults")
    parser.add_argument("--again", action="store_true", help="try survivors again")
    parser.add_argument("--write", action="store_true", help="write tests/mutants.md")
    parser.add_argument("--list", action="store_true", help="only say what would be tried")
    options = parser.parse_args()
    faults = draw(options.n, options.only)
    if options.list:
        print("\n".join(f"{f['module']}:{f['line']}: {change(f)}    {f['text']}" for f in faults))
        return 0
    state = json.loads(STATE.read_text()) if STATE.exists() else {"verdicts": {}, "seconds": {}}
    known = state["verdicts"]
    for heavy in HEAVY:
        with suppress(ImportError):
            import_module(heavy)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), state)
        for number, fault in enumerate(faults, start=1):
            old = known.get(fault["key"])
            if not tried(old) or (options.again and "survived" in old):
                known[fault["key"]] = verdict = bench.try_out(fault)
                place = f"{fault['module']}:{fault['line']}: {change(fault)}"
                told = "; ".join(f"{what}: {by}" for what, by in verdict.items())
                print(f"{number}/{len(faults)} {place}  {told}", flush=True)
                STATE.parent.mkdir(exist_ok=True)
                STATE.write_text(json.dumps(state))
    if options.write:  # all that were ever tried of the library as it is
        faults = [fault for fault in draw(10**5, "") if tried(known.get(fault["key"]))]
    return 0 if report(faults, state, options.write) >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
