"""The packet as a page for A4 paper, in Indonesian. It stands alone: no script, nothing loaded, everything escaped."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader

_MONTHS = (
    "Januari", "Februari", "Maret", "April", "Mei", "Juni",
    "Juli", "Agustus", "September", "Oktober", "November", "Desember",
)  # fmt: skip
_ZONES = {"Asia/Jakarta": "WIB", "Asia/Makassar": "WITA", "Asia/Jayapura": "WIT"}
_WORDS: dict[str, Mapping[str, str]] = {
    "answer": {"met": "terpenuhi", "to_check": "perlu diperiksa", "missing": "belum ada"},
    "severity": {"none": "-", "low": "rendah", "medium": "sedang", "high": "tinggi", "critical": "genting"},
    "verdict": {"confirmed": "benar", "rejected": "keliru", "unclear": "belum jelas"},
    "kind": {"case": "lembar perkara", "report": "informasi", "alert_event": "peringatan", "verdict": "penilaian"},
    "stage": {
        "pra_pencalonan": "pra-pencalonan",
        "pencalonan": "pencalonan",
        "kampanye": "kampanye",
        "masa_tenang": "masa tenang",
        "pungut_hitung": "pemungutan dan penghitungan suara",
        "rekapitulasi": "rekapitulasi",
        "psu": "pemungutan suara ulang",
        "luar_tahapan": "di luar tahapan",
    },
    "event": {
        "opened": "peringatan dibuka",
        "evidence_added": "informasi ditambahkan",
        "severity_raised": "kegentingan naik",
        "notification_sent": "petugas diberi tahu",
        "no_notification_sent": "tidak ada petugas yang diberi tahu",
        "acknowledged": "diambil petugas",
        "escalated": "dinaikkan",
        "deadline_near": "tenggat hukum mendekat",
        "silenced": "dibisukan",
        "resolved": "diselesaikan",
        "verdict_given": "penilaian diberikan",
    },
}


def page_of(packet: Mapping[str, Any]) -> str:
    """The page of a packet as `packet_of` makes it."""
    case = packet["case"]
    environment = Environment(loader=PackageLoader("deploy.handoff"), autoescape=True)
    environment.filters["local"] = _local(case["time_zone"])
    environment.filters.update({name: _translation(words) for name, words in _WORDS.items()})
    clocks = [("Bila diketahui saat pertama kali diterima", case["legal_clock"]["if_known_when_first_reported"])]
    if case["legal_clock"]["if_known_when_it_happened"]:
        clocks.append(("Bila diketahui pada hari kejadian", case["legal_clock"]["if_known_when_it_happened"]))
    place = ", ".join(filter(None, (case["place"]["district_name"], case["place"]["region_name"])))
    return environment.get_template("packet.html.j2").render(packet, clocks=clocks, place=place)


def _translation(words: Mapping[str, str]) -> Callable[[str], str]:
    return lambda word: words.get(word, word)


def _local(time_zone: str) -> Callable[[str | None], str]:
    zone, name = ZoneInfo(time_zone), _ZONES.get(time_zone, time_zone)

    def local(moment: str | None) -> str:
        if not moment:
            return ""
        at = datetime.fromisoformat(moment).astimezone(zone)
        return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H.%M} {name}"

    return local
