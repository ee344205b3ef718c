"""The digest of the code behind a result: it changes with what is used, and with nothing else."""

import json
import os

import pytest

from strata import StrataError
from strata.sources import Sources, pinned


@pytest.fixture
def folder(tmp_path):
    files = {
        "lib/__init__.py": "",
        "lib/stats.py": '"""Doc."""\n\ndef mean(x):\n    """Doc."""\n    return sum(x) / len(x)\n',
        "lib/room/__init__.py": "from lib.room.one import first\nfrom lib.room.two import second\n",
        "lib/room/one.py": "from lib.stats import mean\n\ndef first(x):\n    return mean(x)\n",
        "lib/room/two.py": "def second(x):\n    from lib.late import late\n    return late(x)\n",
        "lib/late.py": "def late(x):\n    return x\n",
        "lib/hints.py": "class Hint:\n    pass\n",
        "lib/unused.py": "x = 1\n",
        "room/first.py": "import numpy\nfrom lib.room import first\n",
        "room/second.py": "from lib import room\nroom.second(1)\n",
        "room/named.py": "from lib.room.two import second as other\n",
        "room/typed.py": (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lib.hints import Hint\n"
        ),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def used(folder, script, *modules):
    files = Sources(folder, "lib").files(script, *modules)
    return {path.relative_to(folder).as_posix() for path in files} - {script}


def digest(folder, script, *modules):
    return Sources(folder, "lib").digest(script, *modules)


def test_only_what_is_named_is_followed_through_a_facade(folder):
    assert used(folder, "room/first.py") == {"lib/room/one.py", "lib/stats.py"}


def test_imports_inside_of_functions_are_found(folder):
    assert used(folder, "room/named.py") == {"lib/room/two.py", "lib/late.py"}


def test_a_whole_package_brings_all_behind_its_facade(folder):
    everything = {"lib/room/__init__.py", "lib/room/one.py", "lib/room/two.py"}
    assert used(folder, "room/second.py") == everything | {"lib/stats.py", "lib/late.py"}


def test_what_only_annotations_need_does_not_count(folder):
    assert used(folder, "room/typed.py") == set()


def test_a_module_known_by_name_alone_can_be_added(folder):
    assert used(folder, "room/typed.py", "lib.room.one") == {"lib/room/one.py", "lib/stats.py"}


def test_of_a_notebook_the_code_counts_and_neither_text_nor_what_only_jupyter_reads(folder):
    def write(*code: str, text: str = "Why?") -> str:
        cells = [{"cell_type": "markdown", "source": [text]}]
        cells += [{"cell_type": "code", "source": source.splitlines(True)} for source in code]
        (folder / "room/note.py.ipynb").write_text(json.dumps({"cells": cells}))
        return digest(folder, "room/note.py.ipynb")

    first = write("%matplotlib inline\nfrom lib.room import first", "first([1])")
    assert used(folder, "room/note.py.ipynb") == {"lib/room/one.py", "lib/stats.py"}
    assert first == write("from lib.room import first", "!ls\nfirst([1])", text="Because.")
    assert first != write("from lib.room import first", "first([2])")


@pytest.mark.parametrize(
    "text",
    [
        "def mean(x):\n    return sum(x) / len(x)\n",
        '"""Another."""\n# why\ndef mean(x):\n    """Other words."""\n    return sum(x)/len(x)\n',
    ],
)
def test_comments_docstrings_and_layout_change_nothing(folder, text):
    before = digest(folder, "room/first.py")
    (folder / "lib/stats.py").write_text(text)
    assert digest(folder, "room/first.py") == before


def test_a_changed_line_changes_its_users_and_no_others(folder):
    scripts = ("room/first.py", "room/second.py", "room/named.py", "room/typed.py")
    before = {script: digest(folder, script) for script in scripts}
    (folder / "lib/stats.py").write_text("def mean(x):\n    return sum(x) / (len(x) - 1)\n")
    changed = {script for script in scripts if digest(folder, script) != before[script]}
    assert changed == {"room/first.py", "room/second.py"}


def test_another_module_behind_the_same_name_changes_its_users(folder):
    before = digest(folder, "room/first.py")
    (folder / "lib/room/three.py").write_text("def first(x):\n    return x\n")
    facade = folder / "lib/room/__init__.py"
    facade.write_text(facade.read_text().replace("room.one", "room.three"))
    assert digest(folder, "room/first.py") != before


def test_an_import_that_leads_nowhere_is_told(folder):
    (folder / "room/wrong.py").write_text("from lib.nothing import x\n")
    with pytest.raises(StrataError, match=r"wrong\.py: imports lib\.nothing"):
        digest(folder, "room/wrong.py")


def test_versions_of_an_environment_count_and_its_comments_do_not(tmp_path):
    file = tmp_path / "torch.yaml"
    file.write_text("name: x\ndependencies:\n  - python=3.11\n  - pip:\n      - torch==2.0\n")
    before = pinned(file)
    file.write_text("# why\n" + file.read_text())
    assert pinned(file) == before
    file.write_text(file.read_text().replace("2.0", "2.1"))
    assert pinned(file) != before


def test_what_was_found_in_a_file_is_kept_for_these_bytes_alone(folder):
    kept, source = folder / "__pycache__/sources/lib.stats.py.json", folder / "lib/stats.py"
    before = digest(folder, "room/first.py")
    known = json.loads(kept.read_text())
    kept.write_text(json.dumps(known | {"digest": "read"}))
    assert digest(folder, "room/first.py") != before  # it is read
    for broken in ("", "[]", "{}", '{"of": 1', json.dumps({"of": known["of"]})):
        kept.write_text(broken)
        assert digest(folder, "room/first.py") == before
        assert json.loads(kept.read_text()) == known
    stamp = source.stat()
    source.write_text(source.read_text().replace("sum(x)", "max(x)"))  # as long as before
    os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert digest(folder, "room/first.py") != before


def test_a_folder_that_cannot_be_written_is_no_mistake(folder):
    (folder / "__pycache__").write_text("a file where the folder should be")
    assert len(digest(folder, "room/first.py")) == 16
