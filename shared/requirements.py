"""What a report still lacks to be a formal complaint, and until when one may be made.

A message is never itself a complaint (laporan): it is a lead (informasi awal), which the supervisor traces and, after a
plenary decision, registers as a finding (temuan). What is asked of a complaint: UU 1/2015 art. 134(3),(4) for Pilkada,
UU 7/2017 art. 454(4),(6) for Pemilu, and Bawaslu's formal and material requirements (syarat formal, syarat materiel).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.calendar import Calendar, Deadline
from shared.contracts import Kind, Regime

STANDING = "informasi awal"
"""What every message is in law, whatever it holds."""


class Need(StrEnum):
    """A requirement; the value is its name in stored documents."""

    REPORTER = "reporter"
    REPORTED_PARTY = "reported_party"
    IN_TIME = "in_time"
    SIGNATURE = "signature"
    TIME = "time"
    PLACE = "place"
    DESCRIPTION = "description"
    EVIDENCE = "evidence"


FORMAL = (Need.REPORTER, Need.REPORTED_PARTY, Need.IN_TIME, Need.SIGNATURE)
MATERIAL = (Need.TIME, Need.PLACE, Need.DESCRIPTION, Need.EVIDENCE)


class Answer(StrEnum):
    """How far a report meets a requirement. `TO_CHECK`: something is there, and only an officer can tell."""

    MET = "met"
    TO_CHECK = "to_check"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one stored report shows.

    Attributes:
        regime: the body of law it falls under.
        received_at, occurred_at: when it came, and when the event was, if the report says so.
        reporter_known: whether a reporter stands behind it (who, nobody sees here).
        region_code, district_code: the place, empty where the text does not determine it.
        text: the masked text.
        kind: what sort of text it is.
        elements_seen, elements_missing: elements of the alleged offences that the text shows, and does not; by the
            names of the rule pack.
        attachments: how many references to pictures, recordings or documents came with it.
    """

    regime: Regime
    received_at: datetime
    occurred_at: datetime | None
    reporter_known: bool
    region_code: str
    district_code: str
    text: str
    kind: Kind
    elements_seen: Collection[str] = ()
    elements_missing: Collection[str] = ()
    attachments: int = 0


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement, how far it is met, and why, in Indonesian."""

    need: Need
    name: str
    formal: bool
    answer: Answer
    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What a report is in law, what it lacks, and until when a complaint may be made.

    Attributes:
        requirements: formal ones first, all eight.
        known_at: from when the term is counted: the day it came to the supervisor's knowledge.
        clock: the last moment for a complaint by who learnt of it then.
        earliest: the same for who saw it happen; `None` when the report does not say when that was.
    """

    requirements: tuple[Requirement, ...]
    known_at: datetime
    clock: Deadline
    earliest: Deadline | None
    form: str = STANDING

    def with_answer(self, answer: Answer) -> tuple[Requirement, ...]:
        """The requirements that are met, missing or to be checked."""
        return tuple(one for one in self.requirements if one.answer is answer)


# Elements, by their names in the rule pack, that a requirement of their own asks for.
_ACTOR, _TIME, _PLACE, _PROOF = "pelaku", "waktu", "tempat", "saksi/bukti"

_NAMES = {
    Need.REPORTER: "Nama dan alamat pelapor",
    Need.REPORTED_PARTY: "Pihak terlapor",
    Need.IN_TIME: "Tidak melampaui batas waktu",
    Need.SIGNATURE: "Tanda tangan sesuai kartu identitas",
    Need.TIME: "Waktu kejadian",
    Need.PLACE: "Tempat kejadian",
    Need.DESCRIPTION: "Uraian kejadian",
    Need.EVIDENCE: "Bukti",
}


def standing_of(shown: Shown, calendar: Calendar, *, known_at: datetime | None = None, time_zone: str = "") -> Standing:
    """What a report meets, what it lacks, and its legal clock.

    Args:
        shown: what the report shows.
        calendar: the terms of law.
        known_at: when the event became known; default when this report came. `ValueError` without time zone.
        time_zone: IANA zone of the place, in which days begin and end; default the calendar's.

    Nothing is called late here: the term runs from when the reporter learnt of it, which a message does not prove.
    """
    known = known_at or shown.received_at
    earliest = calendar.legal_clock(shown.regime, shown.occurred_at, time_zone) if shown.occurred_at else None
    answers = {
        Need.REPORTER: _reporter(shown),
        Need.REPORTED_PARTY: _reported_party(shown),
        Need.IN_TIME: _in_time(shown, earliest),
        Need.SIGNATURE: (Answer.MISSING, "pesan tidak ditandatangani; pelapor datang dengan kartu identitas"),
        Need.TIME: _time(shown),
        Need.PLACE: _place(shown),
        Need.DESCRIPTION: _description(shown),
        Need.EVIDENCE: _evidence(shown),
    }
    return Standing(
        requirements=tuple(
            Requirement(need, _NAMES[need], need in FORMAL, *answers[need]) for need in (*FORMAL, *MATERIAL)
        ),
        known_at=known,
        clock=calendar.legal_clock(shown.regime, known, time_zone),
        earliest=earliest,
    )


def _reporter(shown: Shown) -> tuple[Answer, str]:
    if shown.reporter_known:
        return Answer.TO_CHECK, "pengirim dikenal dan disegel; nama dan alamat lengkapnya belum diperiksa"
    return Answer.MISSING, "pengirim tidak menyebut dirinya"


def _reported_party(shown: Shown) -> tuple[Answer, str]:
    if shown.kind is not Kind.VIOLATION_REPORT:
        return Answer.MISSING, "tidak terbaca dugaan pelanggaran oleh siapa pun"
    if _ACTOR in shown.elements_seen:
        return Answer.TO_CHECK, "pelaku tampak dalam uraian; nama dan jabatannya belum diperiksa"
    return Answer.MISSING, "pelaku tidak tampak dalam uraian"


def _in_time(shown: Shown, earliest: Deadline | None) -> tuple[Answer, str]:
    if shown.occurred_at is None or earliest is None:
        return Answer.TO_CHECK, "waktu kejadian tidak disebut; tanyakan kapan pelapor mengetahuinya"
    if shown.occurred_at > shown.received_at:
        return Answer.TO_CHECK, "waktu kejadian yang disebut lebih kemudian daripada saat laporan diterima"
    if shown.received_at <= earliest.due_at:
        return Answer.MET, "informasi diterima dalam tenggat, dihitung dari hari kejadian"
    return Answer.TO_CHECK, "lewat tenggat bila dihitung dari hari kejadian; tanyakan kapan pelapor mengetahuinya"


def _time(shown: Shown) -> tuple[Answer, str]:
    if shown.occurred_at:
        return Answer.MET, "disebut pengirim"
    if _TIME in shown.elements_seen:
        return Answer.TO_CHECK, "disebut dalam uraian; tanggalnya belum ditetapkan"
    return Answer.MISSING, "tidak disebut"


def _place(shown: Shown) -> tuple[Answer, str]:
    if not shown.region_code:
        if _PLACE in shown.elements_seen:
            return Answer.TO_CHECK, "disebut dalam uraian; wilayahnya belum ditetapkan"
        return Answer.MISSING, "wilayah tidak terbaca"
    if shown.district_code:
        return Answer.MET, "terbaca sampai kecamatan"
    return Answer.TO_CHECK, "tempat persisnya belum terbaca; kecamatan tidak disebut"


def _description(shown: Shown) -> tuple[Answer, str]:
    if not shown.text.strip():
        return Answer.MISSING, "tidak ada uraian"
    if shown.kind is not Kind.VIOLATION_REPORT:
        return Answer.TO_CHECK, "uraian tidak terbaca sebagai laporan pelanggaran"
    if missing := set(shown.elements_missing) - {_ACTOR, _TIME, _PLACE, _PROOF}:
        return Answer.TO_CHECK, "unsur yang belum tampak: " + ", ".join(sorted(missing))
    return Answer.MET, "unsur dugaan pelanggaran tampak"


def _evidence(shown: Shown) -> tuple[Answer, str]:
    if shown.attachments:
        return Answer.TO_CHECK, f"{shown.attachments} lampiran dirujuk; belum dibuka dan belum diperiksa"
    if _PROOF in shown.elements_seen:
        return Answer.TO_CHECK, "saksi atau bukti disebut dalam uraian; belum diserahkan"
    return Answer.MISSING, "tidak ada foto, video, dokumen, atau saksi yang dilampirkan"
