"""A link is worth something for its alert, its officer, its purpose and its time, and for nothing else."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts import links as links_module
from services.alerts.links import TOKEN_CHARACTERS, LinkExpiredError, LinkRefusedError, Links

NOW = datetime(2024, 11, 27, 3, 0, tzinfo=UTC)
LINKS = Links(b"kunci-uji", "https://salingjaga.contoh.id", timedelta(days=7))
ALERT = UUID("5f1c6a52-3c59-5f0e-9c39-6a2f5d1b7a10")
OFFICERS = ("balangan-1", "kalsel-piket", "nasional")
TOKEN = LINKS.token(ALERT, "balangan-1", NOW)

officer_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


@given(alert_id=st.uuids(), officer_id=officer_ids, others=st.lists(officer_ids, max_size=5))
def test_a_link_says_its_alert_and_its_officer_and_has_one_length(
    alert_id: UUID, officer_id: str, others: list[str]
) -> None:
    token = LINKS.token(alert_id, officer_id, NOW)
    link = LINKS.read(token, [*others, officer_id], NOW)
    assert (link.alert_id, link.officer_id) == (alert_id, officer_id)
    assert link.expires_at == NOW + timedelta(days=7)
    assert len(token) == TOKEN_CHARACTERS
    assert token.isalnum()


@given(
    place=st.integers(0, TOKEN_CHARACTERS - 1), character=st.sampled_from("abcdefghijklmnopqrstuvwxyz234567AZ018_-=%")
)
def test_a_token_with_any_character_altered_is_refused(place: int, character: str) -> None:
    altered = TOKEN[:place] + character + TOKEN[place + 1 :]
    if altered == TOKEN:
        assert LINKS.read(altered, OFFICERS, NOW).alert_id == ALERT
    else:
        with pytest.raises(LinkRefusedError):
            LINKS.read(altered, OFFICERS, NOW)


@given(st.text(max_size=200))
def test_whatever_else_comes_is_refused_and_breaks_nothing(token: str) -> None:
    with pytest.raises(LinkRefusedError):
        LINKS.read(token, OFFICERS, NOW)


@pytest.mark.parametrize(
    "token", [TOKEN[:-1], TOKEN + "a", TOKEN.upper(), f" {TOKEN}", f"{TOKEN}\n", TOKEN + "========"]
)
def test_a_token_cut_off_or_dressed_up_is_refused(token: str) -> None:
    with pytest.raises(LinkRefusedError):
        LINKS.read(token, OFFICERS, NOW)


def test_a_token_under_another_key_is_refused() -> None:
    other = Links(b"kunci lain", LINKS.public_url, LINKS.valid)
    with pytest.raises(LinkRefusedError):
        other.read(TOKEN, OFFICERS, NOW)


def test_the_token_of_an_officer_who_is_not_configured_any_more_is_refused() -> None:
    with pytest.raises(LinkRefusedError):
        LINKS.read(TOKEN, ("kalsel-piket", "nasional"), NOW)


def test_an_officer_with_the_same_mark_cannot_take_over_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "_tag", lambda _officer_id: b"tag")
    token = LINKS.token(ALERT, "balangan-1", NOW)
    assert LINKS.read(token, ("nasional", "balangan-1"), NOW).officer_id == "balangan-1"
    with pytest.raises(LinkRefusedError):
        LINKS.read(token, ("nasional", "kalsel-piket"), NOW)


def test_a_token_is_good_until_its_end_and_not_a_moment_longer() -> None:
    end = NOW + timedelta(days=7)
    assert LINKS.read(TOKEN, OFFICERS, end - timedelta(microseconds=1)).expires_at == end
    for late in (end, end + timedelta(days=4000)):
        with pytest.raises(LinkExpiredError) as caught:
            LINKS.read(TOKEN, OFFICERS, late)
        assert caught.value.link.alert_id == ALERT


def test_an_end_between_two_minutes_is_rounded_up() -> None:
    token = LINKS.token(ALERT, "balangan-1", NOW + timedelta(seconds=1))
    assert LINKS.read(token, OFFICERS, NOW).expires_at == NOW + timedelta(days=7, minutes=1)


def test_an_altered_token_that_is_also_expired_is_refused_and_tells_nothing() -> None:
    with pytest.raises(LinkRefusedError):
        LINKS.read(TOKEN[:-1] + ("a" if TOKEN[-1] != "a" else "b"), OFFICERS, NOW + timedelta(days=365))


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(links_module.hmac, "compare_digest", compare)
    with pytest.raises(LinkRefusedError):
        LINKS.read(TOKEN, OFFICERS, NOW)
    assert [len(one) + len(other) for one, other in compared] == [32], "nothing else decides about a signature"


def test_links_without_a_key_are_not_made() -> None:
    with pytest.raises(ValueError, match="key"):
        Links(b"", "https://x.id", timedelta(days=1))


def test_the_address_is_the_public_one() -> None:
    url = LINKS.url(uuid4(), "balangan-1", NOW)
    assert url.startswith("https://salingjaga.contoh.id/a/")
