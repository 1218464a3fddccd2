"""An insert into the embedded ClickHouse needs room on the disk, and says so."""

import pytest

from deploy.embedded.clickhouse.engine import KEPT_FREE_BYTES, refuse_when_nearly_full
from deploy.embedded.clickhouse.errors import ClickHouseError


def test_a_nearly_full_disk_refuses_rows_with_the_code_that_senders_wait_for() -> None:
    refuse_when_nearly_full(KEPT_FREE_BYTES)
    with pytest.raises(ClickHouseError, match="free some space") as refused:
        refuse_when_nearly_full(KEPT_FREE_BYTES - 1)
    assert refused.value.code == 243
