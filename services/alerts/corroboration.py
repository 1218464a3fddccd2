"""Corroboration: an incident that several senders tell of, each in words of their own, counts one step graver. Pure.

The reports of an incident resemble each other, or they would not have been joined; most of those that resemble each
other are one message, passed on with a greeting or an edit. So only those count whose words differ much, and of these
one for each sender that is known.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from uuid import UUID
from zlib import crc32

from msgspec.structs import replace

from services.alerts.case import Sighting
from shared.contracts import Severity

_incident = attrgetter("incident_id.int")
_WORD = re.compile(r"[^\W_]+")
_WORDS = 60
_BYTES = 32
_BITS = _BYTES * 8
_ALIKE = 0.6
"""Texts that share this part of the shorter one's words are taken for one message."""
_WORDINGS = 20
"""So many texts of an incident are told apart; what comes after them cannot be known for a copy, and counts no more."""
_RAISED = {Severity.LOW: Severity.MEDIUM, Severity.MEDIUM: Severity.HIGH}
"""Never to critical, which a single report must be by its own words."""


@dataclass(frozen=True, slots=True)
class Corroborated:
    """An incident that counts graver than its reports.

    Attributes:
        sighting: the report that made it so, at the severity that its incident has by that.
        first: the first report that counts.
        senders: how many tell of it in words of their own.
    """

    sighting: Sighting
    first: Sighting
    senders: int

    @property
    def incident_id(self) -> UUID:
        """The incident."""
        return self.sighting.incident_id

    @property
    def severity(self) -> Severity:
        """What it counts as."""
        return self.sighting.severity

    @property
    def grounds(self) -> str:
        """Why it counts graver, in Indonesian."""
        return (
            f"satu kejadian dilaporkan {self.senders} pengirim yang berbeda, masing-masing dengan kata-kata sendiri, "
            "sehingga dinilai satu tingkat lebih berat"
        )


def map_of_words(text: str) -> bytes:
    """Which words its beginning has, a bit for each in 32 bytes; empty for a text without any word."""
    bits = 0
    for word in _WORD.findall(text.lower())[:_WORDS]:
        bits |= 1 << crc32(word.encode("utf-8", "replace")) % _BITS
    return bits.to_bytes(_BYTES, "big") if bits else b""


def is_copy(words: int, wordings: Iterable[int]) -> bool:
    """Whether a text may be a copy of one of these, edited, lengthened or shortened; what has no word at all is.

    Args:
        words: its map of words, as a number.
        wordings: those of the others.
    """
    length = words.bit_count()
    for other in wordings:
        if (words & other).bit_count() >= _ALIKE * min(length, other.bit_count()):
            return True
    return not words


def corroborated(sightings: Sequence[Sighting], senders: int) -> list[Corroborated]:
    """The incidents that at least so many senders tell of independently; none when `senders` is 0.

    Args:
        sightings: the reports of one case, in the order of their receipt.
        senders: how many are needed.
    """
    if not senders:
        return []
    incidents = list(map(_incident, sightings))
    often = {incident for incident, count in Counter(incidents).items() if count >= senders}
    if not often:
        return []
    reports: dict[int, list[Sighting]] = defaultdict(list)
    for incident, sighting in zip(incidents, sightings, strict=True):
        if incident in often:
            reports[incident].append(sighting)
    return [one for told in reports.values() if (one := _corroborated(told, senders))]


def _corroborated(reports: Sequence[Sighting], needed: int) -> Corroborated | None:
    """The incident of these reports, raised from the gravest severity that so many senders tell by themselves."""
    own = _in_own_words(reports)
    if len(own) < needed:
        return None
    told = sorted((one.severity for one in own), key=lambda severity: severity.rank)[-needed]
    if told not in _RAISED:
        return None
    last = [one for one in own if one.severity.rank >= told.rank][needed - 1]
    return Corroborated(replace(last, severity=_RAISED[told]), own[0], len(own))


def _in_own_words(reports: Sequence[Sighting]) -> list[Sighting]:
    """The first report of each known sender that is no copy of another; not those of an alert that is closed."""
    wordings: list[int] = []
    heard: set[str] = set()
    own = []
    for report in reports:
        words = int.from_bytes(report.words, "big")
        if is_copy(words, wordings):
            continue
        if len(wordings) == _WORDINGS:
            break
        wordings.append(words)
        if report.sender and report.sender not in heard:
            heard.add(report.sender)
            if not report.spent:
                own.append(report)
    return own
