"""Concept lists that must be refused."""

import pytest

from strata import StrataError
from strata.concepts import read_concepts


@pytest.mark.parametrize("content", ["", "\n\n", "cat\ndog\ncat\n"])
def test_a_list_without_concepts_or_with_one_twice_is_refused(tmp_path, content):
    path = tmp_path / "words.txt"
    path.write_text(content)
    with pytest.raises(StrataError, match=r"words\.txt"):
        read_concepts(path)


def test_blank_lines_are_skipped(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("cat\n\ndog\n")
    assert read_concepts(path) == ["cat", "dog"]
