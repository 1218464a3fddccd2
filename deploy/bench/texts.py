"""Reports to measure with: real wordings, no two alike, of a chosen length."""

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

WORDINGS = Path(__file__).resolve().parents[2] / "services" / "classify" / "corpus" / "train" / "dev.jsonl"

_PLACES = (
    "di Kec. Paringin, Balangan", "di Kabupaten Tanah Laut", "di Balikpapan Selatan", "di Kubu Raya, Kalbar",
    "di Kecamatan Lasem, Kabupaten Rembang", "di Kota Surakarta", "di Banggai Kepulauan", "di Kab. Bima",
    "di Kecamatan Medan Johor, Kota Medan", "di Lombok Tengah", "di Kabupaten Garut", "di Kota Kupang",
    "di Kec. Tanggul Jember", "di Minahasa Utara", "di Kabupaten Pidie", "di Kota Tidore Kepulauan",
    "di kampung kami", "di sini", "di lapangan dekat pasar", "di balai desa",
)  # fmt: skip
_DETAILS = (
    "Kejadian sekitar pukul {hour}.{minute} dan dilihat {few} orang warga.",
    "Saya mencatat {many} orang hadir, kebanyakan ibu-ibu.",
    "Waktu itu hari ke-{few} setelah penetapan, cuaca hujan.",
    "Ada foto dan video berdurasi {few} menit {minute} detik.",
    "Lokasinya kira-kira {many} meter dari TPS {few}.",
    "Warga RT {few} RW {hour} menunggu kejelasan soal ini.",
    "Acara selesai pukul {hour}.{minute}, setelah itu semua pulang.",
    "Kami sudah menulis surat nomor {many}/{few} ke panwascam.",
)


def varied_texts(count: int, *, characters: int, seed: int = 1) -> Iterator[str]:
    """Texts of about `characters` (a single wording may be longer); the same seed gives the same texts."""
    chance = random.Random(seed)
    wordings = [text for text in map(_text, WORDINGS.read_text(encoding="utf-8").splitlines()) if len(text) > 20]
    for number in range(count):
        text = f"{chance.choice(wordings)} {chance.choice(_PLACES)}, catatan {seed}-{number}."
        while len(text) < characters - 20:
            text += " " + chance.choice(_DETAILS).format(
                hour=chance.randint(6, 22),
                minute=chance.randint(10, 59),
                few=chance.randint(2, 30),
                many=chance.randint(31, 999),
            )
        yield text


def joined_texts(texts: Iterable[str], characters: int) -> list[str]:
    """Neighbouring texts joined until they have about `characters`; what is left over at the end is dropped."""
    joined: list[str] = []
    text = ""
    for more in texts:
        text = f"{text} {more}".strip()
        if len(text) >= characters - 20:
            joined.append(text[: characters + 20])
            text = ""
    return joined


def json_reports(count: int, *, characters: int, seed: int = 1) -> Iterator[bytes]:
    """Bodies for the `json` source: an id, a text of about `characters`, a time and a reporter."""
    for number, text in enumerate(varied_texts(count, characters=characters, seed=seed)):
        yield _body(seed, number, text)


def sized_json_reports(count: int, *, size_bytes: int, seed: int = 1) -> Iterator[bytes]:
    """Bodies for the `json` source of exactly `size_bytes`, which must leave room for a text."""
    room = size_bytes - len(_body(seed, count, ""))
    for number, text in enumerate(varied_texts(count, characters=room, seed=seed)):
        text = text.encode("ascii", "ignore").decode()[:room].replace('"', "'")
        body = _body(seed, number, text)
        yield _body(seed, number, text + "." * (size_bytes - len(body)))


def _text(line: str) -> str:
    return str(json.loads(line)["text"])


def _body(seed: int, number: int, text: str) -> bytes:
    report = {
        "id": f"bench-{seed}-{number}",
        "text": text,
        "occurred_at": "2024-11-20T16:05:00+08:00",
        "reporter": {"name": f"Pelapor {number}", "phone": f"0812-{number:08d}"},
    }
    return json.dumps(report, ensure_ascii=False).encode()
