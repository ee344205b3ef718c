"""Copies of the workflow: one in which the tiny study has run, and fresh ones."""

from pathlib import Path

import pytest

from running import Workflow


def pytest_collection_modifyitems(items):
    """Whole runs of the workflow: `pytest -m "not slow"` leaves them out."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def workflow(tmp_path_factory) -> Workflow:
    """A copy in which the tiny study has run to the paper."""
    copy = Workflow(tmp_path_factory.mktemp("workflow"))
    copy("--configfile", "tests/workflow/tiny.yaml")
    return copy


@pytest.fixture
def fresh(tmp_path) -> Workflow:
    """A copy in which nothing has run."""
    return Workflow(tmp_path)
