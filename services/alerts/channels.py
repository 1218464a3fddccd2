"""The way out: one notification to one channel, by Apprise or into a file.

The URL of a channel holds secrets (tokens, passwords, addresses). What is recorded or logged of it is its scheme and,
where that is a host and not a token, its host; what a channel says of a failure is cleaned of every other part.
"""

import logging
import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from apprise import Apprise, AppriseAsset, NotifyFormat

_HOST_IS_A_HOST = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"})
"""Schemes whose URL names a host in the host's place; elsewhere that may be the token (`tgram://token/chat`)."""
_TAKES_HTML = frozenset({"mailto", "mailtos"})

# Without its own time limit Apprise sends in the calling thread. With one it would share a few threads among all
# channels, and a handful of hanging ones would hold up the rest.
_ASSET = AppriseAsset(
    app_id="Salingjaga", app_desc="Salingjaga", app_url="", async_mode=False, secure_logging=True, service_timeout=0
)
SEPARATOR = "=" * 80
"""Stands before each notification in the file of the embedded default."""

_CONNECT_SECONDS = 5.0
_ERROR_CHARACTERS = 300
_SHORTEST_SECRET = 3

# Both log recipients and whole URLs; what is wrong with a channel is told by us instead. Apprise's warnings must still
# be made, since its results carry them.
logging.getLogger("apprise").setLevel(logging.WARNING)
logging.getLogger("apprise").propagate = False
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("urllib3").setLevel(logging.WARNING)


class ChannelError(Exception):
    """The notification was not handed over; the words hold no secret."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What is handed to a channel."""

    title: str
    body: str
    html: bool


def channel_label(url: str) -> str:
    """Scheme and host of a channel's URL, without anything secret: `mailto://smtp.example.id`, `tgram://`."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        if scheme not in _HOST_IS_A_HOST or not parts.hostname:
            return f"{scheme}://" if scheme else ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{scheme}://{parts.hostname}{port}"


def takes_html(url: str) -> bool:
    """Whether the channel shows HTML (and makes the plain text from it); the others get plain text."""
    return urlsplit(url).scheme.lower() in _TAKES_HTML


def is_usable(url: str) -> bool:
    """Whether Apprise understands this URL. Loads the service's plug-in, so the first call takes a moment."""
    return Apprise.instantiate(url, asset=_ASSET) is not None


def leads_away(url: str) -> bool:
    """Whether a channel leads beyond this machine; one whose URL names no host does (`tgram://`)."""
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() not in _HOST_IS_A_HOST or not is_this_machine(parts.hostname or "")
    except ValueError:
        return True


def is_this_machine(host: str) -> bool:
    """Whether a host's name or address means the machine that says it, and so is of no use to another one."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def send_by_apprise(url: str, notification: Notification, timeout_seconds: float) -> None:
    """Hand over a notification; blocks. Raises `ChannelError` when the channel did not take it."""
    plugin = Apprise.instantiate(url, asset=_ASSET)
    if plugin is None:
        raise ChannelError("Apprise does not understand this channel's URL")
    plugin.socket_connect_timeout = min(_CONNECT_SECONDS, timeout_seconds)
    # A little longer than our own limit: a channel that does not answer must not look like one that refuses.
    plugin.socket_read_timeout = timeout_seconds + 1
    channel = Apprise(asset=_ASSET)
    channel.add(plugin)
    result = channel.notify(
        title=notification.title,
        body=notification.body,
        body_format=NotifyFormat.HTML if notification.html else NotifyFormat.TEXT,
        log_level=logging.WARNING,
    )
    if not result:
        said = "; ".join(str(entry.message) for one in result for entry in one.logs())
        raise ChannelError(without_secrets(said, url)[:_ERROR_CHARACTERS] or "the channel did not take it")


def send_to_file(path: Path, notification: Notification) -> None:
    """Append a notification to a file that only its owner can read. Raises `ChannelError` when that fails."""
    text = f"{SEPARATOR}\n{notification.title}\n\n{notification.body.rstrip()}\n\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ChannelError(f"the notification file cannot be written: {error.strerror}") from None


def without_secrets(text: str, url: str) -> str:
    """`text` with every part of `url` but its scheme and public host replaced by `***`."""
    parts = urlsplit(url)
    found = [url, parts.username, parts.password, parts.netloc, *re.split(r"[/:@,]", parts.path)]
    found += [value for _, value in parse_qsl(parts.query)]
    if parts.scheme.lower() not in _HOST_IS_A_HOST:
        found += re.split(r"[:@]", parts.netloc)
    secrets = {form for item in found if item for form in (item, unquote(item)) if len(form) >= _SHORTEST_SECRET}
    public = channel_label(url).rpartition("//")[2]
    for secret in sorted(secrets - {public, public.partition(":")[0]}, key=len, reverse=True):
        text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
    return re.sub(r"[^\s\"'<>]+@[^\s\"'<>]+", "***", text)
