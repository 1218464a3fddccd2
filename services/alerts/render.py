"""Writes the notification: Indonesian, a first line for a lock screen, then everything an officer needs to act.

What comes from a report was cleaned when it was taken in; here it is escaped wherever the channel shows HTML. Nothing
alleged is stated as a fact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from services.alerts.case import Alert, Case, Cause, CitedNorm, Exhibit, Reason
from services.alerts.rules import AlertingRules
from services.alerts.text import clean
from services.alerts.zones import zone_info, zone_of
from shared.calendar import Calendar
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
_NEWS = {
    Reason.EVIDENCE: "bukti baru",
    Reason.SEVERITY: "tingkat naik",
    Reason.REMINDER: "belum ditangani",
    Reason.ESCALATION: "eskalasi",
    Reason.STALE: "belum ada tindak lanjut",
    Reason.UNREACHED: "petugas tidak terjangkau",
    Reason.RETRY: "sebelumnya tidak tersampaikan",
    Reason.DEADLINE: "tenggat hukum mendekat",
    Reason.RESOLVED: "ditutup",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des")

_DAYS = {"calendar": "hari kalender", "working": "hari kerja"}
_ZONES = {"WIB": 7, "WITA": 8, "WIT": 9}

_TEMPLATES = {Cause.CLASSIFY_FAILED: "operator", Cause.PATTERN: "pattern", Cause.SILENCE: "silence"}

_TITLE_CHARACTERS = 120
_EXHIBITS_SHOWN = 5
_NORMS_SHOWN = 6
_MISSING_SHOWN = 8
_RECEIPTS_SHOWN = 6
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
    """One notification in both forms; the title is a single line of at most 120 characters."""

    title: str
    plain: str
    html: str
    short: str = ""


def local_time(at: datetime, zone: str) -> str:
    """`25 Nov 2024 14.05 WITA`."""
    there = at.astimezone(timezone(timedelta(hours=_ZONES[zone])))
    return f"{there.day} {_MONTHS[there.month - 1]} {there.year} {there:%H.%M} {zone}"


class Renderer:
    """Turns a case into a notification.

    Args:
        calendar: gives the calendar that is valid now, for the deadlines of law.
    """

    def __init__(self, calendar: Callable[[], Calendar]) -> None:
        self._calendar = calendar
        self._environment = environment()

    def render(self, case: Case, reason: Reason, rules: AlertingRules, now: datetime) -> Text:
        """The notification for a case with an open alert."""
        alert = case.alert
        if alert is None:
            raise ValueError("a case without an alert has nothing to tell")
        values = self._values(case, alert, reason, rules, now)
        template = "closed" if reason is Reason.RESOLVED else _TEMPLATES.get(alert.cause, "alert")
        short = "closed" if reason is Reason.RESOLVED else "short"
        return Text(
            values["title"],
            plain=self._environment.get_template(f"{template}.txt.j2").render(values),
            html=self._environment.get_template(f"{template}.html.j2").render(values),
            short=self._environment.get_template(f"{short}.txt.j2").render(values),
        )

    def _values(self, case: Case, alert: Alert, reason: Reason, rules: AlertingRules, now: datetime) -> dict[str, Any]:
        exhibits = sorted(case.exhibits, key=lambda exhibit: (exhibit.severity.rank, exhibit.at), reverse=True)
        shown = exhibits[:_EXHIBITS_SHOWN]
        norms = _norms(exhibits)
        regime = exhibits[0].regime if exhibits else Regime.PILKADA
        zone = zone_of(case.region_code)
        return {
            "title": title_of(case, alert, reason),
            "zone": zone,
            "why": _why(alert, reason, rules, zone),
            "alert": alert,
            "exhibits": [_Shown(exhibit, is_new=reason is not Reason.FIRST and not exhibit.told) for exhibit in shown],
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
        lines = self._environment.get_template("steps.txt.j2").render(
            planned=any(exhibit.status is Status.PLANNED for exhibit in exhibits),
            region_known=bool(case.region_code),
            risk_class=case.risk_class.value,
            acts={act.code for exhibit in exhibits for act in exhibit.acts},
            channels=" ".join(norm.channel.lower() for norm in norms),
        )
        return [line.strip() for line in lines.splitlines() if line.strip()]


def environment() -> Environment:
    """The templates, with the filters they need."""
    made = Environment(
        loader=PackageLoader("services.alerts"),
        autoescape=select_autoescape(("html.j2",), default=False),
        undefined=StrictUndefined,
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


class _Shown:
    """An exhibit as a template sees it."""

    def __init__(self, exhibit: Exhibit, *, is_new: bool) -> None:
        self._exhibit = exhibit
        self.is_new = is_new

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exhibit, name)


def title_of(case: Case, alert: Alert, reason: Reason) -> str:
    """The lock screen's line: severity, class, region, and what is new about it."""
    news = f" ({_NEWS[reason]})" if reason in _NEWS else ""
    if alert.cause is Cause.CLASSIFY_FAILED:
        return f"[{SEVERITY_WORDS[alert.severity]}] Klasifikasi gagal: {alert.reports} laporan belum diperiksa{news}"
    if alert.cause is Cause.SILENCE:
        return f"[{SEVERITY_WORDS[alert.severity]}] Tidak ada laporan masuk: {case.region_name}{news}"
    if alert.cause is Cause.PATTERN:
        words = f"[{SEVERITY_WORDS[alert.severity]}] Pola {CLASS_WORDS[case.risk_class]}: {case.region_name}"
        return f"{words}, {len(alert.details)} wilayah{news}"
    words = f"[{SEVERITY_WORDS[alert.severity]}] Dugaan {CLASS_WORDS[case.risk_class]}: {case.region_name}"
    return words[: _TITLE_CHARACTERS - len(news)] + news


def bare_text(case: Case, alert: Alert, reason: Reason) -> Text:
    """What is sent when the templates fail: the title and where to read on."""
    title = title_of(case, alert, reason)
    plain = f"Rincian dan tindak lanjut: salingjaga alerts show {alert.alert_id}\n"
    return Text(title, plain, html=f"<p>{plain}</p>")


def _why(alert: Alert, reason: Reason, rules: AlertingRules, zone: str) -> str:
    if reason is Reason.FIRST and alert.grounds:
        return f"peringatan pertama; {alert.grounds}."
    if reason is Reason.FIRST:
        causes = {
            Cause.SINGLE: f"peringatan pertama; satu laporan saja sudah bertingkat {SEVERITY_WORDS[alert.severity]}.",
            Cause.BURST: f"peringatan pertama; {alert.incidents} kejadian sejenis dilaporkan "
            f"dalam {rules.flag.burst.within_hours:g} jam.",
            Cause.CLASSIFY_FAILED: f"{alert.reports} laporan gagal diklasifikasi "
            f"dalam {rules.classify_failed.within_minutes:g} menit.",
        }
        return causes[alert.cause]
    if reason is Reason.EVIDENCE and alert.cause is Cause.PATTERN:
        return f"polanya meluas; {alert.grounds}."
    if reason is Reason.EVIDENCE:
        return "ada bukti baru sejak pemberitahuan terakhir."
    if reason is Reason.SEVERITY:
        return f"tingkatnya naik menjadi {SEVERITY_WORDS[alert.severity]}."
    if reason is Reason.ESCALATION:
        return "eskalasi; belum ada yang menyatakan menangani peringatan ini."
    if reason is Reason.STALE:
        return "peringatan ini sudah dinyatakan ditangani, tetapi belum ada tindak lanjut yang tercatat."
    if reason is Reason.UNREACHED:
        return "petugas yang seharusnya diberi tahu tidak terjangkau; pesan ini diteruskan kepada Anda."
    if reason is Reason.RETRY:
        return "sebelumnya tidak ada petugas yang dapat diberi tahu tentang peringatan ini."
    if reason is Reason.DEADLINE:
        return "tenggat hukum mendekat, dan peringatan ini belum ditutup."
    if reason is Reason.RESOLVED:
        return _closed(alert, zone)
    return "pengingat; belum ada yang menyatakan menangani peringatan ini."


def _closed(alert: Alert, zone: str) -> str:
    entry = next((one for one in reversed(alert.history) if one.event == "resolved"), None)
    if entry is None:
        return "peringatan ini sudah ditutup."
    who = "sistem" if entry.actor == "system" else entry.actor
    why = clean(entry.reason, _REASON_CHARACTERS).rstrip(".")
    return f"peringatan ini ditutup oleh {who} pada {local_time(entry.at, zone)}" + (f": {why}." if why else ".")


def counts_of(alert: Counted) -> str:
    """`12 pesan, 3 pengirim, 1 teks`: how much stands behind it; copies of one text count as one."""
    senders = f"{alert.senders} pengirim" if alert.senders else "jumlah pengirim tidak diketahui"
    return f"{alert.reports} pesan, {senders}, {alert.incidents} teks"


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
    lines = [
        f"Batas menyampaikan laporan: {local_time(deadline.due_at, zone)}, {remaining(deadline.due_at, now)}.",
        f"{deadline.days} {_DAYS[deadline.count]} sejak diketahui ({local_time(known_at, zone)}) "
        f"menurut {deadline.citation}{_unread(deadline.verified)}.",
        f"Cara menghitung: {deadline.convention}.",
    ]
    handling = calendar.handling_clock(regime, now, place)
    if handling:
        term = handling.term
        how = "" if term.count_verified else ", cara hitung belum diverifikasi"
        lines.append(
            f"Bila diregistrasi hari ini, penanganan sampai {local_time(handling.first_until, zone)} ({term.days} "
            f"{_DAYS[term.count]}{how}); bila perlu keterangan tambahan paling lama "
            f"{local_time(handling.longest_until, zone)} (seluruhnya "
            f"{term.longest_days} {_DAYS[term.longest_count]}), menurut {term.citation}"
            f"{_unread(term.verified)}."
        )
    return lines


def _unread(verified: bool) -> str:
    return "" if verified else " (belum diverifikasi)"


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
