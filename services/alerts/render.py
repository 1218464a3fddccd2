"""Writes the notification: Indonesian, a first line for a lock screen, then everything an officer needs to act.

The words stand in `templates/`: one template for each kind of channel (`sms`, `chat`, `plain`, `mail`), what each kind
of alert has to say in `about/`, and the sentences that all share in `words`. Here they get their values; `letter` fits
them to their channel.

What comes from a report was cleaned when it was taken in; here it is escaped wherever the channel shows HTML. Nothing
alleged is stated as a fact.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateSyntaxError, select_autoescape

from services.alerts.case import Alert, Case, Cause, CitedNorm, Exhibit, Reason
from services.alerts.rules import AlertingRules
from services.alerts.text import clean
from services.alerts.zones import zone_info, zone_of
from shared.calendar import Calendar
from shared.config.errors import ConfigError
from shared.contracts import Regime, RiskClass, Severity, Status

SEVERITY_WORDS = {
    Severity.CRITICAL: "KRITIS",
    Severity.HIGH: "TINGGI",
    Severity.MEDIUM: "SEDANG",
    Severity.LOW: "RENDAH",
    Severity.NONE: "TANPA TINGKAT",
}
CLASS_WORDS = {
    RiskClass.MONEY_POLITICS: "politik uang",
    RiskClass.NEUTRALITY: "pelanggaran netralitas",
    RiskClass.OTHER_RISK: "pelanggaran lain",
}
_STATUS = {
    Status.ALLEGED: "Diduga",
    Status.PLANNED: "Diduga direncanakan",
    Status.ADJUDICATED: "Menurut laporan sudah diputus",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des")

_ZONES = {name: timezone(timedelta(hours=hours)) for name, hours in (("WIB", 7), ("WITA", 8), ("WIT", 9))}

_SUBJECTS = {Cause.CLASSIFY_FAILED: "operator", Cause.PATTERN: "pattern", Cause.SILENCE: "silence"}

_TITLE_CHARACTERS = 120
_EXHIBITS_SHOWN = 5
_NORMS_SHOWN = 6
_MISSING_SHOWN = 8
_RECEIPTS_SHOWN = 6
_SUMMARY_SHOWN = 40
_REASON_CHARACTERS = 200


class Counted(Protocol):
    """Whatever says how much stands behind an alert."""

    @property
    def reports(self) -> int: ...
    @property
    def incidents(self) -> int: ...
    @property
    def senders(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Text:
    """One notification; the title is a single line of at most 120 characters. Empty forms were not asked for."""

    title: str
    plain: str
    html: str = ""
    short: str = ""
    sms: str = ""
    """The words of an SMS, without its link; empty: the title."""


def local_time(at: datetime, zone: str) -> str:
    """`25 Nov 2024 14.05 WITA`."""
    there = at.astimezone(_ZONES[zone])
    return f"{there.day} {_MONTHS[there.month - 1]} {there.year} {there.hour:02}.{there.minute:02} {zone}"


class Renderer:
    """Turns a case into a notification.

    Args:
        calendar: gives the calendar that is valid now, for the deadlines of law.
    """

    def __init__(self, calendar: Callable[[], Calendar]) -> None:
        self._calendar = calendar

    def render(
        self, case: Case, reason: Reason, rules: AlertingRules, now: datetime, *, html: bool = True, short: bool = True
    ) -> Text:
        """The notification for a case with an open alert, as plain text and in those other forms that are needed."""
        alert = case.alert
        if alert is None:
            raise ValueError("a case without an alert has nothing to tell")
        values = self._values(case, alert, reason, rules, now)
        return Text(
            values["title"],
            plain=_written("plain.txt.j2", values),
            html=_written("mail.html.j2", values) if html else "",
            short=_written("chat.txt.j2", values) if short else "",
            sms=" ".join(_written("sms.txt.j2", values).split()),
        )

    def _values(self, case: Case, alert: Alert, reason: Reason, rules: AlertingRules, now: datetime) -> dict[str, Any]:
        exhibits = sorted(case.exhibits, key=lambda exhibit: (exhibit.severity.rank, exhibit.at), reverse=True)
        shown = exhibits[:_EXHIBITS_SHOWN]
        norms = _norms(exhibits)
        regime = exhibits[0].regime if exhibits else Regime.PILKADA
        zone = zone_of(case.region_code)
        return {
            "subject": _subject_of(alert, reason),
            "title": title_of(case, alert, reason),
            "zone": zone,
            "why": _why(alert, reason, rules, zone),
            "reason": reason.value,
            "alert": alert,
            "exhibits": shown,
            "fresh": {one.report_id for one in shown if reason is not Reason.FIRST and not one.told},
            "hidden": max(0, alert.reports - len(shown)),
            "counts": counts_of(alert),
            "acts": list(dict.fromkeys(act.name for exhibit in exhibits for act in exhibit.acts if act.name)),
            "norms": norms[:_NORMS_SHOWN],
            "clock": clock_lines(self._calendar(), regime, case.region_code, alert.first_known_at, now),
            "missing": _missing(exhibits),
            "steps": self._steps(case, exhibits, norms),
            "receipts": [exhibit.receipt for exhibit in exhibits[:_RECEIPTS_SHOWN]],
            "command": f"salingjaga alerts show {alert.alert_id}",
        }

    def _steps(self, case: Case, exhibits: Sequence[Exhibit], norms: Sequence[CitedNorm]) -> list[str]:
        values = {
            "planned": any(exhibit.status is Status.PLANNED for exhibit in exhibits),
            "region_known": bool(case.region_code),
            "risk_class": case.risk_class.value,
            "acts": {act.code for exhibit in exhibits for act in exhibit.acts},
            "channels": " ".join(norm.channel.lower() for norm in norms),
        }
        return _lines(_words().steps(**values))


def check_templates() -> int:
    """How many templates there are, all of which compile. Raises `ConfigError` that names the broken line."""
    names = environment().list_templates(extensions=["j2"])
    for name in names:
        try:
            environment().get_template(name)
        except TemplateSyntaxError as error:
            place = f"services/alerts/templates/{error.name or name}, line {error.lineno}"
            raise ConfigError(f"{place}: {error.message}; mend the template") from None
    return len(names)


@cache
def environment() -> Environment:
    """The templates, each compiled once when it is first used, with the filters they need."""
    made = Environment(
        loader=PackageLoader("services.alerts"),
        autoescape=select_autoescape(("html.j2",), default=False),
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "severity_word": SEVERITY_WORDS.__getitem__,
        "status_word": lambda status: _STATUS.get(status, "Diduga"),
        "local": local_time,
        "first_upper": lambda words: words[:1].upper() + words[1:],
        "district": lambda name: name if name.startswith(("Kecamatan ", "Distrik ")) else f"Kecamatan {name}",
    }
    return made


def title_of(case: Case, alert: Alert, reason: Reason) -> str:
    """The lock screen's line: severity, class, region, and what is new about it; at most 120 characters."""
    values = {
        "severity": SEVERITY_WORDS[alert.severity],
        "risk_class": CLASS_WORDS.get(case.risk_class, ""),
        "region": " ".join(case.region_name.split()),
        "subject": _SUBJECTS.get(alert.cause, "alert"),
        "reason": reason.value,
        "alert": alert,
    }
    words, *rest = _lines(_words().title(**values))
    news = f" {rest[0]}" if rest else ""
    return words[: _TITLE_CHARACTERS - len(news)] + news


def summary_of(cases: Sequence[tuple[Case, Alert]]) -> Text:
    """The words of a summary: `7 peringatan belum ditindaklanjuti (2 KRITIS, 5 TINGGI)`, and a line on each.

    What was closed meanwhile is counted apart.
    """
    counts = Counter(SEVERITY_WORDS[alert.severity] for _, alert in cases if alert.is_open)
    closed = sum(not alert.is_open for _, alert in cases)
    pairs = [(number, word) for word, number in counts.items()]
    title = str(_words().summary_title(len(cases) - closed, closed, pairs)).strip()
    lines = [
        {
            "words": str(_words().summary_line(
                title_of(case, alert, Reason.FIRST if alert.is_open else Reason.RESOLVED),
                alert,
                local_time(alert.last_known_at, zone_of(case.region_code)),
            )).strip(),
            "command": f"salingjaga alerts show {alert.alert_id}",
        }
        for case, alert in cases[:_SUMMARY_SHOWN]
    ]  # fmt: skip
    values = {"title": title, "lines": lines, "hidden": max(0, len(cases) - _SUMMARY_SHOWN)}
    return Text(title, _written("summary.txt.j2", values), _written("summary.html.j2", values))


def bare_text(case: Case, alert: Alert, reason: Reason) -> Text:
    """What is sent when the templates fail: what and where it is, and where to read on."""
    words = CLASS_WORDS.get(case.risk_class, "gangguan sistem")
    title = f"[{SEVERITY_WORDS[alert.severity]}] Dugaan {words}: {case.region_name} ({reason.value})"
    plain = f"Rincian dan tindak lanjut: salingjaga alerts show {alert.alert_id}\n"
    return Text(title[:_TITLE_CHARACTERS], plain, html=f"<p>{plain}</p>")


def bare_summary(cases: Sequence[tuple[Case, Alert]]) -> Text:
    """What is sent in the stead of a summary when the templates fail."""
    plain = "".join(f"salingjaga alerts show {alert.alert_id}\n" for _, alert in cases[:_SUMMARY_SHOWN])
    return Text(f"{len(cases)} peringatan", plain, html=f"<pre>{plain}</pre>")


def _subject_of(alert: Alert, reason: Reason) -> str:
    return "closed" if reason is Reason.RESOLVED else _SUBJECTS.get(alert.cause, "alert")


def _why(alert: Alert, reason: Reason, rules: AlertingRules, zone: str) -> str:
    closed = _closing(alert) if reason is Reason.RESOLVED else None
    values = {"alert": alert, "reason": reason.value, "rules": rules, "closed": closed, "zone": zone}
    return str(_words().why(**values)).strip()


def _closing(alert: Alert) -> dict[str, Any] | None:
    entry = next((one for one in reversed(alert.history) if one.event == "resolved"), None)
    if entry is None:
        return None
    who = "sistem" if entry.actor == "system" else entry.actor
    return {"who": who, "at": entry.at, "why": clean(entry.reason, _REASON_CHARACTERS).rstrip(".")}


def counts_of(alert: Counted) -> str:
    """`12 pesan, 3 pengirim, 1 teks`: how much stands behind it; copies of one text count as one."""
    return str(_words().counts(alert)).strip()


def _written(template: str, values: Mapping[str, Any]) -> str:
    return environment().get_template(template).render(values)


@cache
def _words() -> Any:
    """The sentences that all channels share, as functions: a call costs less than a template of its own."""
    return environment().get_template("words.txt.j2").module


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _norms(exhibits: Sequence[Exhibit]) -> list[CitedNorm]:
    return list({norm.id: norm for exhibit in exhibits for act in exhibit.acts for norm in act.norms}.values())


def _missing(exhibits: Sequence[Exhibit]) -> list[str]:
    elements = dict.fromkeys(element for exhibit in exhibits for act in exhibit.acts for element in act.missing)
    return list(elements)[:_MISSING_SHOWN]


def clock_lines(calendar: Calendar, regime: Regime, region_code: str, known_at: datetime, now: datetime) -> list[str]:
    """The deadlines of law in words, in the local time of the region; the first line says what is left."""
    zone = zone_of(region_code)
    place = zone_info(zone).key
    deadline = calendar.legal_clock(regime, known_at, place)
    finding = calendar.finding_clock(regime, known_at, place)
    values = {
        "deadline": deadline,
        "left": remaining(deadline.due_at, now),
        "finding": finding,
        "finding_left": remaining(finding.due_at, now) if finding else "",
        "known_at": known_at,
        "zone": zone,
        "handling": calendar.handling_clock(regime, now, place),
    }
    return _lines(_words().clock(**values))


def remaining(deadline: datetime, now: datetime) -> str:
    """How long is left: `sisa 4 hari 3 jam`, or that it has passed."""
    left = deadline - now
    if left <= timedelta(0):
        return "sudah lewat"
    days, hours = left.days, left.seconds // 3600
    return f"sisa {days} hari {hours} jam" if days else f"sisa {hours} jam {left.seconds % 3600 // 60} menit"


def utc_now() -> datetime:
    """The time, for callers that are not tests."""
    return datetime.now(UTC)
