"""What an officer reads, and what never leaves: secrets of channels, tricks of senders."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from jinja2 import DictLoader, Environment

from services.alerts import decide, render
from services.alerts.case import Reason
from services.alerts.channels import channel_label, without_secrets
from services.alerts.intake import concerns, news_of
from services.alerts.letter import Content, Kind, Words, fit
from services.alerts.render import Renderer, Text, local_time
from services.alerts.rules import AlertingRules, Sending
from services.alerts.sending import retry_delay
from services.alerts.text import QUOTE_CHARACTERS, clean, quote
from services.alerts.zones import zone_of
from shared.calendar import Calendar
from shared.config.errors import ConfigError
from shared.contracts import Regime, Severity, Status
from tests.assessments import GIVING, VOTING_DAY, an_assessment

CALENDAR = Calendar.load(Path(__file__).resolve().parents[2] / "deploy" / "config" / "calendar.yaml")
RULES = AlertingRules()


def rendered(reason: Reason = Reason.FIRST, *, now: datetime = VOTING_DAY, **assessment: Any) -> Text:
    """The notification for one report."""
    report = an_assessment(**{"at": VOTING_DAY, **assessment})
    case = concerns(report, RULES)
    assert case is not None
    opened = decide.absorb(case, [news_of(report)], RULES, VOTING_DAY).case
    return Renderer(lambda: CALENDAR).render(opened, reason, RULES, now)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("baris\r\nSubject: palsu", "baris Subject: palsu"),
        ("nol\x00 \x1b[31mmerah\x07", "nol [31mmerah"),
        ("kanan\u202ekiri\u2066", "kanan kiri"),
        ("tak\u200bterlihat", "tak terlihat"),
        ("https://jahat.id HTTP://x.id", "hxxps://jahat.id hxxp://x.id"),
        ("a" * 50, "a" * 19 + "…"),
    ],
)
def test_tricks_in_a_report_are_taken_out_before_anyone_sees_them(hostile: str, shown: str) -> None:
    assert clean(hostile, 20 if hostile.startswith("aaa") else 200) == shown


def test_a_quote_is_the_sentence_around_the_evidence() -> None:
    text = "Kemarin hujan. Camat membagikan amplop di balai desa! Lalu pulang."
    start = text.index("amplop")
    assert quote(text, start, start + 6) == "Camat membagikan amplop di balai desa!"


def test_a_quote_of_a_very_long_sentence_is_cut_at_words_around_the_evidence() -> None:
    text = "kata " * 4000 + "amplop " + "lagi " * 4000
    start = text.index("amplop")
    shown = quote(text, start, start + 6)
    assert "kata amplop lagi" in shown
    assert shown.startswith("…kata")
    assert shown.endswith("lagi…")
    assert len(shown) <= QUOTE_CHARACTERS + 2


@pytest.mark.parametrize(
    ("code", "zone"), [("63.11", "WITA"), ("51", "WITA"), ("81.71", "WIT"), ("61", "WIB"), ("", "WIB")]
)
def test_times_are_told_in_the_zone_of_the_region(code: str, zone: str) -> None:
    assert zone_of(code) == zone


def test_a_time_is_written_as_indonesians_write_it() -> None:
    assert local_time(datetime(2024, 8, 17, 16, 5, tzinfo=UTC), "WITA") == "18 Agu 2024 00.05 WITA"


def test_the_legal_clock_names_the_last_moment_what_is_left_and_the_article() -> None:
    text = rendered(now=VOTING_DAY + timedelta(days=2)).plain
    assert "Batas menyampaikan laporan: 4 Des 2024 23.59 WITA, sisa 5 hari 12 jam." in text
    assert "7 hari kalender sejak diketahui (27 Nov 2024 11.00 WITA) menurut UU 1/2015 Pasal 134 ayat (4)" in text
    assert "sudah lewat" in rendered(now=VOTING_DAY + timedelta(days=30)).plain


def test_in_a_pemilu_the_term_of_a_finding_stands_first_and_unread_counting_is_marked() -> None:
    text = rendered(regime=Regime.PEMILU)
    first = "Batas menetapkan temuan: 4 Des 2024 23.59 WITA, sisa 7 hari 12 jam (7 hari kalender sejak ditemukan, cara"
    assert first in text.plain
    assert first in text.short
    assert "Batas menyampaikan laporan: 6 Des 2024 23.59 WITA" in text.plain
    assert "(7 hari kalender, cara hitung belum diverifikasi)" in text.plain
    assert "seluruhnya 14 hari kerja" in text.plain
    assert "temuan:" not in rendered().plain


def test_a_planned_act_is_marked_and_to_be_prevented_at_once() -> None:
    text = rendered(status=Status.PLANNED).plain
    assert "Diduga direncanakan: Pembagian uang tunai/amplop" in text
    assert "1. Segera" in text


def test_a_report_without_place_asks_for_the_place_first() -> None:
    text = rendered(region=None)
    assert text.title == "[KRITIS] Dugaan politik uang: wilayah belum diketahui"
    assert "1. Tentukan dahulu tempat kejadian" in text.plain


def test_senders_that_are_not_known_are_not_counted_as_none() -> None:
    assert "jumlah pengirim tidak diketahui" in rendered().plain
    assert "0 pengirim" not in rendered().plain


@pytest.mark.parametrize(
    ("reason", "ending", "words"),
    [
        (Reason.FIRST, "Kabupaten Balangan", "peringatan pertama"),
        (Reason.EVIDENCE, "(bukti baru)", "bukti baru"),
        (Reason.SEVERITY, "(tingkat naik)", "naik menjadi KRITIS"),
        (Reason.REMINDER, "(belum ditangani)", "pengingat"),
    ],
)
def test_every_notification_says_why_it_came(reason: Reason, ending: str, words: str) -> None:
    text = rendered(reason)
    assert text.title.endswith(ending)
    assert words in text.plain
    assert words in text.html


def test_every_reason_has_its_own_words_in_every_form() -> None:
    texts = [rendered(reason) for reason in Reason]
    for form in ("title", "plain", "html", "short", "sms"):
        assert len({getattr(text, form) for text in texts}) == len(Reason)


def test_an_sms_says_what_its_template_says_within_160_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = render.environment()
    changed = usual.overlay(loader=DictLoader({"sms.txt.j2": "{{ title }}. {{ counts }}. {{ clock[0] }}"}))
    both = Mock(get_template=lambda name: (changed if name == "sms.txt.j2" else usual).get_template(name))
    monkeypatch.setattr(render, "environment", lambda: both)
    text = rendered()
    assert text.sms.startswith(f"{text.title}. 1 pesan, jumlah pengirim tidak diketahui, 1 teks. Batas menyampaikan")
    letter = Words(text.title, text.short, text.plain, text.html, "", text.sms)
    sms = fit(letter, Kind.SMS, Content.SHORT, "https://x.id/a/b")
    assert sms.body.startswith("(KRITIS) Dugaan politik uang: Kabupaten Balangan. 1 pesan,")
    assert len(sms.body) <= 160
    assert sms.body.endswith("... https://x.id/a/b")


def test_a_broken_template_is_named_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert render.check_templates() >= 10
    broken = Environment(loader=DictLoader({"chat.txt.j2": "baik\n{{ why | entah }}\n"}))
    monkeypatch.setattr(render, "environment", lambda: broken)
    with pytest.raises(ConfigError, match=r"templates/chat.txt.j2, line 2: No filter named 'entah'"):
        render.check_templates()


def test_a_region_name_of_any_length_leaves_the_title_one_short_line() -> None:
    region = an_assessment().report.region
    assert region is not None
    title = rendered(Reason.REMINDER, region=region.model_copy(update={"name": "Kabupaten\n" + "x" * 500})).title
    assert len(title) <= 120
    assert "\n" not in title
    assert title.endswith("(belum ditangani)")


def test_what_was_noticed_when_the_report_was_placed_stands_under_its_acts() -> None:
    note = "koordinat menunjuk Kabupaten Tabalong, teks menyebut <b>Kabupaten Balangan</b>"
    one = an_assessment(at=VOTING_DAY)
    one = one.model_copy(update={"report": one.report.model_copy(update={"notes": (note,)})})
    case = concerns(one, RULES)
    assert case is not None
    opened = decide.absorb(case, [news_of(one)], RULES, VOTING_DAY).case
    text = Renderer(lambda: CALENDAR).render(opened, Reason.FIRST, RULES, VOTING_DAY)
    assert f"\n  Catatan: {note}\n" in text.plain
    assert "Catatan: koordinat menunjuk Kabupaten Tabalong, teks menyebut &lt;b&gt;" in text.html
    assert "Catatan" not in rendered().plain


def test_a_finding_without_matching_span_shows_its_own_words() -> None:
    report = an_assessment(at=VOTING_DAY, severity=Severity.HIGH)
    (finding,) = report.judgement.findings
    moved = finding.model_copy(update={"evidence": (finding.evidence[0].model_copy(update={"start": 0, "end": 3}),)})
    judgement = report.judgement.model_copy(update={"findings": (moved,)})
    (act,) = news_of(report.model_copy(update={"judgement": judgement})).exhibit.acts
    assert act.quotes == ("amplop",)


def test_a_sentence_that_shows_two_acts_is_quoted_once() -> None:
    report = an_assessment(at=VOTING_DAY)
    (finding,) = report.judgement.findings
    other = finding.model_copy(update={"code": "mp_goods", "severity": Severity.LOW})
    judgement = report.judgement.model_copy(update={"findings": (finding, other)})
    first, second = news_of(report.model_copy(update={"judgement": judgement})).exhibit.acts
    assert len(first.quotes) == 1
    assert (second.code, second.severity, second.quotes) == ("mp_goods", Severity.LOW, ())


@pytest.mark.parametrize(
    ("channel", "step"),
    [
        ("Sentra Gakkumdu", "Sentra Gakkumdu"),
        ("BKN / PPK instansi", "BKN dan pejabat pembina"),
        ("Bawaslu meneruskan ke bupati/DPMD", "bupati/wali kota"),
        ("Komandan satuan / Puspom", "TNI atau Polri"),
        ("DKPP", "kepada DKPP"),
        ("KPU/Bawaslu bersama Satpol PP", "sampaikan kepada KPU"),
    ],
)
def test_the_next_steps_follow_the_channel_of_the_norm(channel: str, step: str) -> None:
    norm = GIVING.model_copy(update={"channel": channel})
    assert step in rendered(norms=(norm,)).plain
    assert step not in rendered(norms=(norm.model_copy(update={"channel": ""}),)).plain


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("json://kunci:rahasia@contoh.id:9000/jalan?token=rahasia", "json://contoh.id:9000"),
        ("mailtos://u:rahasia@smtp.contoh.id?to=b@x.id", "mailtos://smtp.contoh.id"),
        ("tgram://123456789:rahasia/99", "tgram://"),
        ("slack://rahasia/rahasia/rahasia", "slack://"),
        ("json://[::1/", ""),
        ("tanpa skema", ""),
    ],
)
def test_the_label_of_a_channel_holds_no_secret(url: str, label: str) -> None:
    assert channel_label(url) == label


def test_what_a_channel_says_of_a_failure_is_cleaned_of_its_secrets() -> None:
    url = "json://kunci:kata%20sandi@contoh.id:9000/jalan/token123?key=nilai456&to=b@x.id"
    said = f"POST {url} by kunci with 'kata sandi', TOKEN123, nilai456 to b@x.id and c@y.id failed at contoh.id"
    cleaned = without_secrets(said, url)
    for secret in ("kunci", "sandi", "token123", "TOKEN123", "nilai456", "b@x.id", "c@y.id"):
        assert secret not in cleaned
    assert cleaned.endswith("failed at contoh.id")
    assert "12345:abc" not in without_secrets("bot 12345:abcdef refused", "tgram://12345:abcdef/99887766")


def test_pauses_between_attempts_double_up_to_their_bound_with_jitter() -> None:
    sending = Sending(first_retry_seconds=5, longest_retry_seconds=60)
    middle = [retry_delay(attempt, sending, 0.5).total_seconds() for attempt in (1, 2, 3, 4, 5, 100)]
    assert middle == [5, 10, 20, 40, 60, 60]
    assert retry_delay(1, sending, 0).total_seconds() == pytest.approx(3.75)
    assert retry_delay(1, sending, 1).total_seconds() == pytest.approx(6.25)
