"""One small page for all tests of the report in a process: its stages take seconds."""

import pytest

from tests.helpers.page import Results, made_page


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """`results/mini` after compare and figures, the page's description, and images.json files. Do not write into it."""
    return made_page(tmp_path_factory.mktemp("project"))
