"""One embedded system for the tests of this folder that do not end it."""

from collections.abc import Iterator

import pytest

from tests.e2e.embedded import Embedded


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A running system with an empty data folder."""
    embedded = Embedded(
        tmp_path_factory.mktemp("e2e") / "data",
        # Short, so that what a killed process held is taken over while the test watches.
        environment={"SALINGJAGA_CLAIM_IDLE_SECONDS": "3"},
    )
    embedded.start()
    try:
        yield embedded
    finally:
        embedded.stop()
