"""Which messages of one sender are one report, and which stay reports of their own."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.adapters import Draft
from services.ingest.conversations import MOST_CHARACTERS, MOST_CONVERSATIONS, Conversation, Said, Turn, joined, listen
from services.ingest.sources import Source
from shared.contracts import MOST_PARTS, Attachment

MINUTE = 60_000
WINDOW = 5 * MINUTE
HOUR = 60 * MINUTE


def said(
    receipt: str,
    at: float = 0,
    *,
    place: str = "",
    dated: bool = False,
    characters: int = 20,
    replayed: bool = False,
    edited: float | None = None,
) -> Said:
    """A message `at` so many minutes; `edited`: when it was received once more, with another content."""
    received = int((at if edited is None else edited) * MINUTE)
    entry = {b"receipt": receipt.encode(), b"received_ms": str(received).encode()}
    turn = Turn(
        entry, int(at * MINUTE) if edited is None else received, characters, place, placed=bool(place), dated=dated
    )
    return Said("wa", "s", turn, WINDOW, replayed)


def heard(messages: Sequence[Said], *, asked: str = "") -> list[list[str]]:
    """The receipts of each conversation after these messages."""
    conversations: list[Conversation] = []
    for one in messages:
        conversations = listen(conversations, one, asked=asked)
    return [[turn.receipt for turn in conversation.turns] for conversation in conversations]


def test_what_follows_within_the_window_belongs_to_the_report() -> None:
    assert heard([said("act", 0), said("place", 3, place="63.11"), said("time", 7, dated=True)]) == [
        ["act", "place", "time"]
    ]


def test_what_comes_after_the_window_is_a_report_of_its_own() -> None:
    assert heard([said("a", 0), said("b", 5), said("c", 10.1)]) == [["a", "b"], ["c"]]


def test_a_long_message_stays_alone_and_nothing_grows_beyond_its_bounds() -> None:
    assert heard([said("a"), said("long", 1, characters=MOST_CHARACTERS)]) == [["a"], ["long"]]
    many = [said(str(number), number / 10) for number in range(MOST_PARTS + 1)]
    assert [len(one) for one in heard(many)] == [MOST_PARTS, 1]


def test_two_messages_that_each_say_where_and_when_are_two_reports() -> None:
    assert heard([said("a", place="63.11", dated=True), said("b", 1, place="63.11", dated=True)]) == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("63.11", "63.01", False),
        ("63.11.05", "63.11.02", False),
        ("63", "63.11", True),
        ("63.11", "63.11.05", True),
        ("", "63.11", True),
    ],
)
def test_another_place_is_another_report(one: str, other: str, together: bool) -> None:
    found = heard([said("a", place=one), said("b", 1, place=other)])
    assert found == ([["a", "b"]] if together else [["a"], ["b"]])


def test_the_answer_to_our_question_joins_hours_later_until_nothing_is_lacking() -> None:
    messages = [said("a", 0), said("thanks", 120), said("where", 180, place="63.11"), said("when", 400, dated=True)]
    more = said("more", 600, dated=True)
    assert heard([*messages, more], asked="a") == [["thanks"], ["a", "where", "when"], ["more"]]
    assert heard(messages) == [["a"], ["thanks"], ["where"], ["when"]], "nobody was asked"


def test_a_question_is_not_answered_after_half_a_day() -> None:
    assert ["a"] not in heard([said("a"), said("where", 13 * 60, place="63.11")], asked="a")
    assert ["where"] in heard([said("a"), said("where", 13 * 60, place="63.11")], asked="a")


def test_an_edited_message_replaces_itself_in_its_place_and_a_stale_copy_replaces_nothing() -> None:
    conversations: list[Conversation] = []
    edit = said("a", edited=50, place="63.11")
    for one in (said("a", 0), said("b", 1), edit, said("a", 0)):
        conversations = listen(conversations, one)
    [conversation] = conversations
    assert [turn.receipt for turn in conversation.turns] == ["a", "b"]
    assert conversation.turns[0].place == "63.11"
    assert conversation.turns[0].at_ms == 0


def test_a_replay_opens_and_extends_nothing() -> None:
    before = listen([], said("a"))
    assert listen(before, said("b", 1, replayed=True)) == before
    assert listen(before, said("a", replayed=True)) == before


def test_what_is_remembered_of_a_sender_is_bounded() -> None:
    conversations: list[Conversation] = []
    for number in range(200):
        conversations = listen(conversations, said(str(number), number * 6))
    assert len(conversations) == MOST_CONVERSATIONS


@given(order=st.permutations(range(4)), again=st.lists(st.sampled_from(range(4)), max_size=6))
def test_messages_of_one_conversation_join_in_any_order_and_however_often(order: list[int], again: list[int]) -> None:
    messages = [said(name, number) for number, name in enumerate("abcd")]
    assert heard([messages[number] for number in (*order, *again)]) == [["a", "b", "c", "d"]]


def test_who_came_first_gives_the_report_its_id_whatever_the_order() -> None:
    for order in permutations((said("a", 0), said("b", 1), said("c", 2))):
        conversations: list[Conversation] = []
        for one in order:
            conversations = listen(conversations, one)
        [conversation] = conversations
        assert conversation.opener == order[0].turn.receipt
        assert [turn.receipt for turn in conversation.turns] == ["a", "b", "c"]


def test_messages_say_together_what_each_says_and_no_line_twice() -> None:
    photo = Attachment(url="whatsapp-media:1", type="image/jpeg")
    whole = joined(
        [
            Draft(text="ada bagi2 uang", reporter=("62812",)),
            Draft(text="ada bagi2 uang\ndi paringin", attachments=(photo,), coordinates=(-2.3, 115.4)),
            Draft(text="tadi malam", attachments=(photo,)),
        ]
    )
    assert whole.text == "ada bagi2 uang\ndi paringin\ntadi malam"
    assert whole.attachments == (photo,)
    assert whole.coordinates == (-2.3, 115.4)
    assert whole.reporter == ("62812",)


def source(adapter: str, **more: Any) -> Source:
    auth = {"scheme": "static-header", "header": "X-Uji", "secret_env": "SALINGJAGA_SECRET_UJI"}
    return Source.model_validate({"adapter": adapter, "auth": auth, **more})


def test_messengers_join_unless_told_otherwise_and_forms_never() -> None:
    for adapter in ("whatsapp", "telegram", "twilio", "rapidpro", "sms"):
        assert source(adapter).joins_within_ms == WINDOW
        assert source(adapter, join_minutes=0).joins_within_ms == 0
        assert source(adapter, join_minutes=20).joins_within_ms == 20 * MINUTE
    assert source("kobo").joins_within_ms == 0
    with pytest.raises(ValueError, match="join_minutes is for messengers"):
        source("kobo", join_minutes=5)
