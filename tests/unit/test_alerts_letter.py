"""What each kind of channel gets: short enough, as little as it deserves, and no markup of strangers."""

import json
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock
from uuid import UUID

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.channels import send_by_apprise
from services.alerts.letter import CHAT_CHARACTERS, SMS_CHARACTERS, Content, Kind, Words, fit, kind_of, usual_content
from services.alerts.links import Links
from services.alerts.officers import Officer
from services.alerts.role import Role
from shared.settings import Settings

LONGEST_URL = "https://" + "a" * 49 + ".id"
LINK = Links(b"kunci", LONGEST_URL, timedelta(days=7)).url(UUID(int=7), "b-1", datetime(2024, 11, 27, tzinfo=UTC))
ONE_SEPTET = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
HOSTILE = "*tebal* _miring_ ~coret~ `kode` [klik](tg://user?id=1) <b>x</b> <!channel> <@1> @everyone ||rahasia||"


def words(text: str = HOSTILE, title: str = "[KRITIS] Dugaan politik uang: Kabupaten Balangan") -> Words:
    html = "<html><body><p>&lt;b&gt;</p></body></html>"
    return Words(title, text, text, html, "Rincian: salingjaga alerts show 1")


texts = st.text(max_size=3000)


@given(title=texts, link=st.sampled_from(["", LINK]), content=st.sampled_from(list(Content)))
def test_an_sms_is_never_longer_than_160_gsm_7_characters_and_holds_its_whole_link(
    title: str, link: str, content: Content
) -> None:
    sms = fit(words(title=title), Kind.SMS, content, link)
    assert sms.title == "", "a title would be put before the body"
    assert len(sms.body) <= SMS_CHARACTERS
    assert set(sms.body) <= ONE_SEPTET
    assert sms.body.endswith(link)


def test_a_mailbox_configured_after_a_notification_was_written_gets_its_text() -> None:
    late = Words("[KRITIS] Dugaan", "[KRITIS] Dugaan", "<b>Isi</b> lengkap", "", "Rincian: salingjaga alerts show 1")
    mail = fit(late, Kind.MAIL, Content.FULL, LINK)
    assert mail.html
    assert "&lt;b&gt;Isi&lt;/b&gt; lengkap" in mail.body
    assert LINK in mail.body


def test_the_longest_public_address_that_is_allowed_leaves_room_for_words() -> None:
    assert Settings(public_url=LONGEST_URL).alerts_url == LONGEST_URL
    assert fit(words(), Kind.SMS, Content.SHORT, LINK).body.startswith("(KRITIS) Dugaan politik")
    with pytest.raises(ValueError, match="public_url"):
        Settings(public_url=LONGEST_URL + "x")


@given(title=st.text(max_size=120), text=texts, content=st.sampled_from(list(Content)))
def test_a_chat_message_has_room_everywhere_and_no_markup_but_ours(title: str, text: str, content: Content) -> None:
    chat = fit(words(text, title), Kind.CHAT, content, LINK)
    assert len(chat.title) + len(chat.body) <= CHAT_CHARACTERS
    assert chat.body.endswith(LINK + "\n") or chat.body.endswith(LINK)
    rest = chat.title + chat.body.replace(LINK, "")
    assert not set("*_~`|<>@\\") & set(rest)
    assert "](" not in rest


@pytest.mark.parametrize("content", list(Content))
def test_the_html_of_a_mail_holds_no_markup_of_strangers_and_our_link(content: Content) -> None:
    mail = fit(words(), Kind.MAIL, content, "https://x.id/a/b?c&d")
    assert mail.html
    for part in ("<b>x", "<!channel>", "<@1>"):
        assert part not in mail.body
    assert "https://x.id/a/b?c&amp;d" in mail.body


@pytest.mark.parametrize("kind", list(Kind))
def test_where_only_the_link_may_leave_nothing_else_does(kind: Kind) -> None:
    sent = fit(words("RAHASIA", "RAHASIA"), kind, Content.LINK, LINK)
    assert "RAHASIA" not in sent.title + sent.body
    assert LINK in sent.body


@pytest.mark.parametrize("kind", [Kind.CHAT, Kind.MAIL])
def test_the_short_form_holds_no_evidence(kind: Kind) -> None:
    sent = fit(Words("judul", "ringkas", "BUKTI", "<body>BUKTI</body>", "cara"), kind, Content.SHORT, LINK)
    assert "BUKTI" not in sent.body
    assert "ringkas" in sent.body


def test_without_a_link_the_notification_says_how_to_act() -> None:
    for kind in (Kind.CHAT, Kind.PLAIN):
        assert "salingjaga alerts show" in fit(words(), kind, Content.SHORT, "").body


@pytest.mark.parametrize(
    ("url", "kind", "content"),
    [
        ("twilio://a:b@+15551234567", Kind.SMS, Content.SHORT),
        ("vonage://a:b@1555", Kind.SMS, Content.SHORT),
        ("tgram://123456789:abc/1", Kind.CHAT, Content.SHORT),
        ("whatsapp://token@1/2", Kind.CHAT, Content.SHORT),
        ("MAILTOS://u:p@x.id", Kind.MAIL, Content.FULL),
        ("json://127.0.0.1/a", Kind.PLAIN, Content.FULL),
    ],
)
def test_the_scheme_of_a_channel_says_its_kind_and_its_usual_content(url: str, kind: Kind, content: Content) -> None:
    assert (kind_of(url), usual_content(url)) == (kind, content)


def test_an_officer_may_set_the_content_for_all_channels_or_by_scheme() -> None:
    def officer(content: object) -> Officer:
        return Officer.model_validate(
            {"id": "a", "role": Role.NATIONAL, "regions": ["*"], "channels": ["json://x.id"], "content": content}
        )

    assert officer("link").content_for("mailto://x.id") is Content.LINK
    by_scheme = officer({"mailto": "short"})
    assert by_scheme.content_for("mailto://x.id") is Content.SHORT
    assert by_scheme.content_for("tgram://1/2") is Content.SHORT
    assert by_scheme.content_for("json://x.id") is Content.FULL
    with pytest.raises(ValueError, match="content"):
        officer("semua")


def test_what_telegram_is_handed_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Mock(status_code=200, content=b'{"ok":true}', json=lambda: {"ok": True})
    post = Mock(return_value=answer)
    monkeypatch.setattr(requests, "post", post)
    url = "tgram://123456789:abcdefg_hijklmnop/12345/"
    send_by_apprise(url, fit(words(), Kind.CHAT, Content.FULL, LINK), 1)
    payload = json.loads(post.call_args.kwargs["data"])
    assert payload["disable_web_page_preview"]
    assert "<b>x" not in payload["text"]
    assert LINK in payload["text"]
