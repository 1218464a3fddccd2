"""Fits a notification to its channel: how long, how much of the content, which characters, and the link to act by.

A message that leaves our walls can be read by others, so each channel gets as little as it deserves (`Content`). What
strangers wrote is never given a chance to become markup.
"""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from markupsafe import escape

from services.alerts.channels import Notification

SMS_CHARACTERS = 160
CHAT_CHARACTERS = 1000
"""The shortest limit among the messengers that Apprise knows (WhatsApp's)."""

# Schemes of Apprise's services; what the first ones send costs by the message of 160 characters.
_SMS_SCHEMES = """46elks 800com atalk aprs bulksms bulkvs burstsms kudosity clickatell clicksend cm d7sms dapnet
    eight00com elks exotel freemobile httpsms infobip kaleyra klr kavenegar mobilemessage msg91 msgbird ncloud nclouds
    nexmo notifyre octopush plivo ringc serwersms seven sfr sinch smpp smpps smsc smseagle smseagles smsmanager smsmgr
    smstunnel sns telesign telnyx twilio voipms vonage"""
_CHAT_SCHEMES = """awswhatsapp bale bark barks bluesky bsky chanify cliq discord deltachat deltachats dingtalk
    evolution evolutions fcm feishu flock fluxer gchat gotify gotifys groupme guilded gupshup kakao kakaotalk kook lark
    line mastodon mastodons matrix matrixs mmost mmosts ntfy ntfys pover pushy qq revolt rocket rockets ryver session
    sessions signal signals slack stackfield tgram threema toot toots twist viber wechat wecombot webex whapi whatsapp
    workflow workflows wxteams xmpp xmpps zalo zoom zulip"""
_SMS = frozenset(_SMS_SCHEMES.split())
_CHAT = frozenset(_CHAT_SCHEMES.split())
_MAIL = frozenset({"mailto", "mailtos"})

# Look-alikes, for there is no escape that all messengers know.
_NO_MARKUP = str.maketrans({"*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ", "|": "ǀ", "<": "‹", ">": "›", "@": "＠", "\\": "∖"})
_TWO_SEPTETS = str.maketrans(
    {"[": "(", "]": ")", "{": "(", "}": ")", "|": "/", "~": "-", "^": "'", "\\": "/", "`": "'"}
)

_LINK_ONLY = "[Salingjaga] Ada peringatan untuk Anda"
_NOT_HERE = "Isinya tidak dikirim lewat saluran ini."


class Kind(StrEnum):
    """What a channel is like."""

    SMS = "sms"
    CHAT = "chat"
    MAIL = "mail"
    PLAIN = "plain"


class Content(StrEnum):
    """How much a channel may carry."""

    FULL = "full"
    SHORT = "short"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Words:
    """A notification without its link; `how` says how to act where there is none.

    Only `title` and `plain` are always there: other forms are written when a channel that was configured at the time
    shows them.
    """

    title: str
    short: str
    plain: str
    html: str
    how: str
    sms: str = ""
    """What an SMS says; empty: the title."""


def kind_of(url: str) -> Kind:
    """The kind of a channel by the scheme of its Apprise URL; `PLAIN` for whatever is no messenger, SMS or mail."""
    scheme = urlsplit(url).scheme.lower()
    if scheme in _SMS:
        return Kind.SMS
    if scheme in _CHAT:
        return Kind.CHAT
    return Kind.MAIL if scheme in _MAIL else Kind.PLAIN


def usual_content(url: str) -> Content:
    """What a channel carries when nobody has said: messengers and SMS the short form, the others all of it."""
    return Content.SHORT if kind_of(url) in (Kind.SMS, Kind.CHAT) else Content.FULL


def carries_html(kind: Kind, content: Content) -> bool:
    """Whether a channel shows the HTML form."""
    return kind is Kind.MAIL and content is Content.FULL


def carries_short(kind: Kind, content: Content) -> bool:
    """Whether a channel shows the short form."""
    return kind is not Kind.SMS and content is Content.SHORT


def fit(words: Words, kind: Kind, content: Content, link: str) -> Notification:
    """The notification as this channel gets it; `link` is empty when there is none to give."""
    if kind is Kind.SMS:
        return _sms(words, content, link)
    way = f"Tindak lanjut (tanpa kata sandi, jangan diteruskan): {link}" if link else words.how
    if content is Content.LINK:
        body = f"{_NOT_HERE}\n{way}\n"
        return Notification(_LINK_ONLY, f"<p>{escape(body)}</p>" if kind is Kind.MAIL else body, kind is Kind.MAIL)
    if kind is Kind.CHAT:
        return _chat(words, content, way)
    if content is Content.SHORT:
        body = f"{words.short or words.title}\n{way}\n"
        return Notification(words.title, _as_html(body) if kind is Kind.MAIL else body, kind is Kind.MAIL)
    if kind is Kind.MAIL:
        return Notification(words.title, _with_link(words.html or _as_html(words.plain), link), html=True)
    return Notification(words.title, f"{words.plain.rstrip()}\n\n{way}\n" if link else words.plain, html=False)


def _sms(words: Words, content: Content, link: str) -> Notification:
    text = _gsm(_LINK_ONLY if content is Content.LINK else words.sms or words.title)
    tail = f" {link}" if link else ""
    room = SMS_CHARACTERS - len(tail)
    if len(text) > room:
        text = text[: max(0, room - 3)].rstrip() + "..." if room > 3 else ""
    # Their title would be put before the body and make the message longer.
    return Notification("", (text + tail).strip(), html=False)


def _gsm(text: str) -> str:
    """`text` in characters of the GSM 7 bit alphabet that take one septet each."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join("".join(one if one.isprintable() else " " for one in ascii_only.translate(_TWO_SEPTETS)).split())


def _chat(words: Words, content: Content, way: str) -> Notification:
    text = words.plain if content is Content.FULL else words.short
    title = without_markup(words.title)
    room = CHAT_CHARACTERS - len(title) - len(way) - 4
    body = without_markup(text.strip())
    if len(body) > room:
        body = body[: max(0, room - 1)].rstrip() + "…"
    return Notification(title, f"{body}\n{way}", html=False)


def without_markup(text: str) -> str:
    """`text` with every character that some messenger takes for markup, mention or link replaced by a look-alike."""
    return text.translate(_NO_MARKUP).replace("](", "] (")


def _as_html(text: str) -> str:
    lines = "<br>\n".join(str(escape(line)) for line in text.strip().splitlines())
    return f'<!DOCTYPE html>\n<html lang="id"><body><p>{lines}</p></body></html>\n'


def _with_link(html: str, link: str) -> str:
    if not link:
        return html
    address = escape(link)
    button = (
        f'<p><strong><a href="{address}">Buka dan tindak lanjuti peringatan ini</a></strong><br>\n{address}<br>\n'
        "Tautan ini berlaku tanpa kata sandi atas nama Anda; jangan diteruskan.</p>\n"
    )
    head, body_end, tail = html.rpartition("</body>")
    return f"{head}{button}{body_end}{tail}" if body_end else html + button
