import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.article import Article, NotText, read_article

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "articles"

LEAD = (
    "Panitia pengawas Kecamatan Tirta Jaya memeriksa laporan warga tentang pembagian kupon beras di halaman balai "
    "desa, {day}."
)
SECOND = (
    "“Kami sudah meminta keterangan tiga orang saksi dan mencatat tempat serta jam kejadian,” kata Ketua Panwascam "
    "Lestari Widodo."
)
VOTING_DAY = (
    "Pemungutan suara digelar pada Rabu, 27 November 2024 sesuai Undang-Undang Nomor 10 Tahun 2016 tanggal 1 Juli 2016."
)
LAST = "Warga diminta menyimpan bukti dan melapor paling lambat tujuh hari sejak kejadian itu diketahui."

PAGES: dict[str, tuple[str, Article]] = {}


def _page(name: str, page: str, *, title: str, published: date | None, dateline: str, day: str, more: str = "") -> None:
    body = "\n\n".join(part for part in (LEAD.format(day=day), SECOND, more, LAST) if part)
    PAGES[name] = (page, Article(title, body, published, dateline))


_page(
    "portal with menus, sharing and comments",
    f"""Menu
Beranda
Politik
Beranda » Daerah » Politik
Panwascam Tirta Jaya Periksa Laporan Kupon Beras
Rabu, 13 November 2024 | 10.15 WITA
Penulis: Rina | Editor: Bayu
Bagikan
Facebook
Twitter
WhatsApp
TIRTA JAYA, suarahulu.com – {LEAD.format(day="Selasa (12/11/2024)")}
Baca juga: ASN Bagi Amplop, Warga Marah
{SECOND}
{LAST} (rn/by)
Tag: #pilkada #kupon
Tinggalkan Balasan
Alamat email Anda tidak akan dipublikasikan. Ruas yang wajib ditandai *
""",
    title="Panwascam Tirta Jaya Periksa Laporan Kupon Beras",
    published=date(2024, 11, 13),
    dateline="TIRTA JAYA",
    day="Selasa (12/11/2024)",
)
_page(
    "related headlines under their own heading, on the next line and at the end",
    f"""Kupon Beras di Tirta Jaya Jadi Perhatian Panwascam
{LEAD.format(day="pada hari Selasa, tanggal 12 November 2024")}

Baca Juga:
Kades Ditangkap Karena Serangan Fajar di Kota Sebelah

{SECOND}

Berita Terkait
Camat Dilaporkan Ikut Kampanye
Lurah Ajak Warga Coblos Nomor Satu
{LAST}
(*)
Terpopuler
1
Bupati Mutasi Kepala Dinas
2
Guru Honorer Diancam Dipecat
""",
    title="Kupon Beras di Tirta Jaya Jadi Perhatian Panwascam",
    published=date(2024, 11, 12),
    dateline="",
    day="pada hari Selasa, tanggal 12 November 2024",
)
_page(
    "headline twice, cross, file name, advertising",
    f"""Suara Hulu - Kabar Warga
Space Iklan
Advertisement
Panwascam Tirta Jaya Dalami Kupon Beras
×
Panwascam Tirta Jaya Dalami Kupon Beras
Sebarkan artikel ini
IMG-20241112-WA0034
Tirta Jaya, Suara Hulu - {LEAD.format(day="Selasa (12/11/2024)")}
Iklan
{SECOND}
SCROLL TO CONTINUE WITH CONTENT
{LAST}
Copyright 2024 Suara Hulu. All rights reserved.
Suara Hulu adalah portal berita online di bawah PT Hulu Media
""",
    title="Panwascam Tirta Jaya Dalami Kupon Beras",
    published=date(2024, 11, 12),
    dateline="Tirta Jaya",
    day="Selasa (12/11/2024)",
)
_page(
    "office page: skip link, dated dateline, author at the end",
    f"""Lompat ke isi utama
Berita
Kupon Beras, Panwascam Tirta Jaya Minta Keterangan Saksi
Foto: Suasana pemeriksaan di kantor panwascam
Tirta Jaya, 12 November 2024 – {LEAD.format(day="sore hari")}
{SECOND}
{LAST}
Penulis: Humas
Tag
Berita
""",
    title="Kupon Beras, Panwascam Tirta Jaya Minta Keterangan Saksi",
    published=date(2024, 11, 12),
    dateline="Tirta Jaya",
    day="sore hari",
)
_page(
    "cookies, follow us, readers counted, news agency's dateline",
    f"""Situs ini menggunakan cookie untuk meningkatkan pengalaman Anda. Setuju
Saksi Kupon Beras Diperiksa Panwascam
Dibaca: 1.204 kali
Waktu baca 2 menit
Tirta Jaya (ANTARA) - {LEAD.format(day="Selasa")}
Ikuti kami di Google News
{SECOND}
Gabung ke saluran WhatsApp kami untuk berita terbaru
{LAST}
Pewarta: Dedi
Editor: Sari
COPYRIGHT © ANTARA 2024
12 November 2024 14:20 WIB
""",
    title="Saksi Kupon Beras Diperiksa Panwascam",
    published=date(2024, 11, 12),
    dateline="Tirta Jaya",
    day="Selasa",
)
_page(
    "voting day and a law's date are not the article's date",
    f"""Menuju Hari Pencoblosan, Panwascam Terima Laporan Kupon
{LEAD.format(day="Jumat (8/11/2024)")}
{SECOND}
{VOTING_DAY}
{LAST}
Isi komentar sepenuhnya tanggung jawab pengguna.
Mantap pak, usut tuntas kades yang bagi uang itu.
""",
    title="Menuju Hari Pencoblosan, Panwascam Terima Laporan Kupon",
    published=date(2024, 11, 8),
    dateline="",
    day="Jumat (8/11/2024)",
    more=VOTING_DAY,
)
_page(
    "html with scripts, navigation and entities",
    f"""<!DOCTYPE html><html><head><title>Kupon Beras &amp; Saksi di Tirta Jaya | Suara Hulu</title>
<meta property="article:published_time" content="2024-11-13T02:10:00+00:00"><style>p {{color:red}}</style></head>
<body><nav><ul><li>ASN Bagi Amplop</li></ul></nav><script>var x = "amplop";</script><!-- kades -->
<article><h1>Kupon Beras &amp; Saksi di Tirta Jaya</h1>
<p>TIRTA JAYA, SUARAHULU.COM &ndash; {LEAD.format(day="kemarin")}</p>
<p><strong>Baca juga:</strong> <a href="/x">Lurah Terima Uang</a></p>
<p>{SECOND.replace("“", "&ldquo;")}</p><p>{LAST}</p>
</article><aside><p>Camat Ikut Kampanye</p></aside><footer>&copy; 2024</footer></body></html>""",
    title="Kupon Beras & Saksi di Tirta Jaya",
    published=date(2024, 11, 13),
    dateline="TIRTA JAYA",
    day="kemarin",
)
_page(
    "html whose navigation is never closed",
    f"""<html><body><h1>Panwascam Periksa Saksi Kupon Beras</h1><nav><p>{LEAD.format(day="Selasa (12/11/2024)")}</p>
<p>{SECOND}</p><p>{LAST}</p></body></html>""",
    title="Panwascam Periksa Saksi Kupon Beras",
    published=date(2024, 11, 12),
    dateline="",
    day="Selasa (12/11/2024)",
)
_page(
    "outlet before the place, inline link at the end of a paragraph, tags with a bracket",
    f"""Laporan Kupon Beras Masuk Meja Panwascam
Laporan Wartawan Suara Hulu, Rina
SUARAHULU.COM, TIRTA JAYA - {LEAD.format(day="Selasa (12/11/2024)")}
{SECOND} Baca juga: Sekda Dipanggil Soal Baliho
{LAST}
Tag(s): kupon, pilkada
Editor's Choice
Bansos Bergambar Calon Beredar
""",
    title="Laporan Kupon Beras Masuk Meja Panwascam",
    published=date(2024, 11, 12),
    dateline="TIRTA JAYA",
    day="Selasa (12/11/2024)",
)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_gives_its_article_and_nothing_else(name: str) -> None:
    page, article = PAGES[name]
    assert read_article(page) == article


def test_bytes_and_text_give_the_same_article() -> None:
    for page, article in PAGES.values():
        assert read_article(page.encode("utf-8")) == article
        assert read_article(page.encode("utf-8-sig")) == article
        assert read_article(page.encode("utf-16")) == article


def test_windows_bytes_are_read_as_windows() -> None:
    article = read_article("“Kami periksa,” kata Lestari – kemarin".encode("cp1252"))
    assert article.body == "“Kami periksa,” kata Lestari – kemarin"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"%PDF-1.7 obj",
        b"teks\x00biner",
        bytes(range(1, 32)) * 20,
        b"\xff\xfe\x00\xd8",
        b"\x81\x8d\x8f",
    ],
)
def test_binary_is_refused_in_plain_words(raw: bytes) -> None:
    with pytest.raises(NotText, match="bukan teks"):
        read_article(raw)


@pytest.mark.parametrize(
    ("spelling", "day"),
    [
        ("Rabu (31/7/2024)", date(2024, 7, 31)),
        ("Rabu, (6/11/2024)", date(2024, 11, 6)),
        ("Jum'at (1/11/24)", date(2024, 11, 1)),
        ("Kamis, tanggal 19 September 2024", date(2024, 9, 19)),
        ("06 November 2024", date(2024, 11, 6)),
        ("20/11/2024", date(2024, 11, 20)),
        ("20-11-2024", date(2024, 11, 20)),
        ("2024-11-20", date(2024, 11, 20)),
        ("3 Okt 2024", date(2024, 10, 3)),
        ("12 Agt. 2024", date(2024, 8, 12)),
        ("Rabu (31/2/2024)", None),
        ("hari Rabu lalu", None),
    ],
)
def test_the_day_is_read_in_every_spelling_of_the_press(spelling: str, day: date | None) -> None:
    assert read_article(f"Panwascam Tirta Jaya Periksa Saksi\n{LEAD.format(day=spelling)}\n{LAST}").published == day


@pytest.mark.parametrize(
    "opening",
    [
        "Pasca-Pilkada, panitia pengawas kecamatan memeriksa laporan warga tentang kupon beras di balai desa kemarin.",
        "ASN - TNI - Polri diminta netral oleh panitia pengawas kecamatan dalam rapat di balai desa pada sore kemarin.",
        "Rahmat Hadi, Ketua Panwascam - yang hadir dalam rapat itu - meminta warga melapor bila melihat kecurangan.",
    ],
)
def test_a_sentence_with_a_dash_is_no_dateline(opening: str) -> None:
    article = read_article(f"Rapat Panitia Pengawas di Balai Desa\n{opening}\n{LAST}")
    assert (article.dateline, article.body) == ("", f"{opening}\n\n{LAST}")


@pytest.mark.parametrize(
    "text",
    [
        "Pak kades bagi uang tadi malam di TPS 3",
        "Bagikan",
        "ada amplop",
        "Tadi malam ada bagi-bagi sembako.\nSaksinya dua orang.",
    ],
)
def test_a_text_that_is_no_page_keeps_all_its_words(text: str) -> None:
    article = read_article(text)
    assert f"{article.title} {article.body}".split() == text.split()


def test_nothing_gives_an_empty_article() -> None:
    assert read_article("") == Article("", "", None, "")
    assert read_article(b" \n ") == Article("", "", None, "")


@given(st.text() | st.text(alphabet="<>/!-pab \n.|\"'=&;").map(lambda text: f"<p>{text}"))
def test_any_text_gives_an_article_or_a_plain_refusal(text: str) -> None:
    try:
        article = read_article(text)
    except NotText:
        return
    assert "\n\n\n" not in article.body


@pytest.mark.parametrize(
    "unit",
    [
        "a\n",
        "!",
        "|",
        ".(",
        "(",
        "<div>",
        "<p>a",
        "<",
        "<!--",
        "<a b=",
        "Rabu (1/1/2024 ",
        "judul yang sama di sini\n",
        "&amp;",
        "Baca juga ",
    ],
)
def test_reading_time_grows_with_the_length_not_with_its_square(unit: str) -> None:
    short, long = ("<p>" + unit * (count // len(unit)) for count in (10_000, 80_000))
    assert _seconds(long) < 30 * _seconds(short) + 0.05


def _seconds(text: str) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        read_article(text)
        best = min(best, time.process_time() - start)
    return best


FURNITURE = (
    "Iklan",
    "Baca Juga",
    "Baca juga",
    "Leave a Reply",
    "Bagikan",
    "Sebarkan",
    "Share",
    "Lompat",
    "Baca Koran",
    "IMG ",
    "Isi komentar",
)


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not part of the repository")
@pytest.mark.parametrize(
    ("name", "place", "published"),
    [
        ("balangan", "Balangan", None),
        ("balikpapan", "Balikpapan", date(2024, 7, 31)),
        ("banggai_kepulauan", "Banggai Kepulauan", date(2024, 9, 19)),
        ("kubu_raya", "Kubu Raya", date(2024, 11, 6)),
        ("tanah_laut", "Tanah Laut", date(2024, 11, 20)),
    ],
)
def test_the_sample_articles_come_out_clean(name: str, place: str, published: date | None) -> None:
    article = read_article((SAMPLES / f"{name}.txt").read_bytes())
    assert place in article.title
    assert article.published == published
    assert article.title not in article.body
    assert not [word for word in FURNITURE if word in article.body]
    assert len(article.body) > 1500
