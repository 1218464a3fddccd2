"""The short form of the chaos suite; `make chaos` runs the full one."""

from pathlib import Path

import pytest

from tests.chaos.faults import extents
from tests.chaos.run import run
from tests.chaos.world import running_world


@pytest.mark.timeout(300)
def test_under_every_fault_of_the_short_form_no_receipt_is_lost_or_counted_twice(tmp_path: Path) -> None:
    with running_world(tmp_path) as world:
        rows = list(run(world, extents(short=True), per_second=100, say=print))
    assert [row for row in rows if not row.good] == []
    assert all(row.receipts > 0 for row in rows), "the load went on under every fault"
