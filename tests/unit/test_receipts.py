from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.receipts import parse_receipt, receipt_of


@given(st.uuids())
def test_a_receipt_is_read_back_however_it_was_typed(report_id: UUID) -> None:
    receipt = receipt_of(report_id)
    typed = receipt.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert parse_receipt(receipt) == parse_receipt(typed) == receipt


@given(st.uuids(), st.integers(0, 15), st.sampled_from("23456789ABCDEFGH"))
def test_one_wrong_character_is_noticed(report_id: UUID, place: int, wrong: str) -> None:
    symbols = list(receipt_of(report_id).removeprefix("SJ-").replace("-", ""))
    if symbols[place] == wrong:
        return
    symbols[place] = wrong
    assert parse_receipt("".join(symbols)) is None


def test_a_receipt_is_the_same_every_time_and_differs_between_reports() -> None:
    one = uuid4()
    assert receipt_of(one) == receipt_of(one)
    assert len({receipt_of(uuid4()) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text", ["", "SJ-", "SJ-1234", "SJ-!!!!-!!!!-!!!!-!!!!", "x" * 10_000, "SJ-0000-0000-0000-0001"]
)
def test_what_cannot_be_a_receipt_is_refused(text: str) -> None:
    assert parse_receipt(text) is None
