"""The plain page that tells a citizen how far a report has come, on any phone, and nothing of its content."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader

from services.ingest.problem import Refusal
from shared.contracts import ReceiptStage
from shared.http import PAGE_HEADERS, Scope

STAGE_WORDS = {
    ReceiptStage.RECEIVED: "Laporan Anda sudah kami terima.",
    ReceiptStage.NORMALISED: "Laporan Anda sudah dirapikan dan menunggu pemeriksaan.",
    ReceiptStage.ASSESSED: "Laporan Anda sudah diperiksa dan sedang dicatat.",
    ReceiptStage.ARCHIVED: "Laporan Anda sudah tercatat.",
    ReceiptStage.QUARANTINED: "Laporan Anda tersimpan, tetapi perlu diperiksa petugas sebelum dapat diproses.",
}
PAGE = b"text/html; charset=utf-8"
HEADERS = [
    *PAGE_HEADERS,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
]

_STEPS = {
    ReceiptStage.RECEIVED: "diterima",
    ReceiptStage.NORMALISED: "dirapikan",
    ReceiptStage.ASSESSED: "diperiksa",
    ReceiptStage.ARCHIVED: "tercatat",
}
_REFUSALS = {
    "Not a receipt": (
        "Kode tidak dikenali",
        "Kode resi berbentuk SJ-XXXX-XXXX-XXXX-XXXX. Periksa kembali setiap huruf dan angkanya; "
        "satu saja yang keliru sudah terdeteksi.",
    ),
    "Unknown receipt": (
        "Laporan tidak ditemukan",
        "Kode ini benar bentuknya, tetapi tidak ada laporan dengan kode ini pada kami. Periksa kembali kodenya, "
        "atau hubungi petugas yang menerima laporan Anda.",
    ),
    "Too many unknown receipts from this address": (
        "Terlalu banyak percobaan",
        "Dari jaringan ini terlalu banyak kode yang tidak ada dicoba. Cobalah lagi beberapa menit lagi.",
    ),
    "Cannot look now": ("Belum dapat dilihat", "Sistem sedang sibuk. Laporan Anda aman; cobalah lagi sebentar lagi."),
}
_template = Environment(loader=PackageLoader("services.ingest"), autoescape=True).get_template("receipt.html.j2")


def wants_page(scope: Scope) -> bool:
    """Whether who asks is a browser, by its Accept header; programs get JSON."""
    return any(name == b"accept" and b"text/html" in value.lower() for name, value in scope["headers"])


def receipt_page(receipt: str, stage: ReceiptStage) -> bytes:
    """The page of a known receipt."""
    steps: Sequence[tuple[str, bool]] = ()
    if stage in _STEPS:
        reached = list(_STEPS).index(stage)
        steps = [(words, number <= reached) for number, words in enumerate(_STEPS.values())]
    return _template.render(heading=f"Resi {receipt}", lines=[STAGE_WORDS[stage]], steps=steps).encode()


def refusal_page(refusal: Refusal) -> bytes:
    """The page of a receipt that cannot be told of."""
    heading, words = _REFUSALS[refusal.title]
    return _template.render(heading=heading, lines=[words], steps=()).encode()
