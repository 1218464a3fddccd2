"""Text as a reader sees it, and the form by which a forwarded copy is recognised."""

import re
import string
import unicodedata
from itertools import groupby

_LINE_BREAK = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_SPACES = re.compile(r"[^\S\n]+")
_LINE_EDGES = re.compile(r" ?\n ?")
_BLANK_LINES = re.compile(r"\n{3,}")
_SURROGATE = re.compile("[\ud800-\udfff]")

_PLAIN = frozenset(string.printable + "“”‘’«»–—…•·°§©®\u00a0€×éèêëáàâäåóòôöúùûüíìîïñç")
"""Characters that need no second look: most texts have no others, which is what makes cleaning fast."""
_BLANK_GLYPHS = frozenset("\u2800\u3164\uffa0\u115f\u1160")
_OTHER_UNSEEN = frozenset("\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f")
_MADE_OF_MARKS = frozenset("\u0f73\u0f75\u0f81")
_MARKS_KEPT = 4

_EMOJI = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f"
    "\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_JOINER = "\u200d"
_STYLE = "\ufe0f"
_LOOSE_JOINER = re.compile(
    f"{_JOINER}(?:(?![{_EMOJI}])|(?<![{_EMOJI}]{_JOINER})(?<![{_EMOJI}]{_STYLE}{_JOINER}))|{_STYLE}(?<![{_EMOJI}]{_STYLE})"
)

_FORWARDING = re.compile(
    r"""[\W_]*
    (?: (?:di)?teruskan(?:\ dari\ [^\n:]{1,60}|\ berkali-?kali)? | pesan\ (?:terusan|berantai|yang\ diteruskan)
      | (?:forwarded|fwd?)(?:\ (?:message|many\ times|as\ received))?
      | (?:info\ |copas\ |kiriman\ )*dari\ (?:grup|group|wag)\ (?:sebelah|tetangga) | copas | repost | re-?post
      | (?:tolong|mohon|bantu|ayo|yuk|please|pls|plis|harap|silah?kan|\ |di|ikut){0,6}
        (?:sebar(?:kan|luaskan)?|viral(?:kan|in)?|share|bagikan|terus(?:kan|in))
        (?:\W{1,3}(?:ya|yah|dong|gan|guys|bro|sis|semua|semuanya|teman-?teman|kawan-?kawan|pesan|info|berita|video|ini|ke
            |grup|group|lain|lainnya|biar|agar|supaya|sampai|sampe|viral|seluas-?luasnya|sebanyak-?banyaknya
            |tolong|mohon|dan|sebarkan|viralkan|share|bagikan|bapak|ibu|makasih|terima|kasih|trims)){0,12}
    ) [\W_]*""",
    re.IGNORECASE | re.VERBOSE,
)
_FORWARD_LABEL = re.compile(
    r"[\W_]*(?:diteruskan|forwarded|forwarded message|pesan terusan|fwd?|copas)\s*[:\]]\s*", re.IGNORECASE
)
_CHAT_HEADER = re.compile(
    r"\[?\d{1,2}[/.]\d{1,2}[/.]\d{2,4},?\s\d{1,2}[.:]\d{2}(?:[.:]\d{2})?(?:\s[ap]m)?\]?(?:\s-)?\s[^\n:]{1,60}:\s",
    re.IGNORECASE,
)
_QUOTE = re.compile(r"(?:>\s?)+")
_SENTENCE = re.compile(r" (?<=[.!?] )")  # of a cleaned line: its only blanks are single spaces
_THOUSANDS = re.compile(r"(\d)(?:[.,'](?=\d{3}(?!\d))| (?=000(?!\d)))")
_WORD = re.compile(r"\d+|[^\W\d_]+")


def clean_text(text: str) -> str:
    """The text in NFKC, without characters that show nothing, with plain spaces and at most one blank line in a row.

    Line breaks and emoji stay (joined emoji stay joined); surrogate halves that belong together become their character,
    lone ones go. No more than four combining marks stay on one another. Cleaning twice changes nothing more; the time
    is linear in the length. Never raises.
    """
    if not text.isprintable():
        text = _LINE_BREAK.sub("\n", text)
        text = _CONTROL.sub("", text.replace("\t", " "))
    if not text.isascii():
        text = _normalise(text)
    if "  " in text or not text.isprintable():  # most texts are one line, whose only blanks are single spaces
        text = _SPACES.sub(" ", text)
        text = _LINE_EDGES.sub("\n", text)
        text = _BLANK_LINES.sub("\n\n", text)
    return text.strip()


def _normalise(text: str) -> str:
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    text = unicodedata.normalize("NFKC", _visible(text))
    # what stood between two characters may be gone now, and they may compose
    visible = _visible(text)
    return text if visible == text else unicodedata.normalize("NFKC", visible)


def _visible(text: str) -> str:
    strange = set(text) - _PLAIN
    if not strange:
        return text
    if unseen := {ord(character): _seen_as(character) for character in strange if _seen_as(character) != character}:
        text = text.translate(unseen)
    if _JOINER in strange or _STYLE in strange:
        text = _LOOSE_JOINER.sub("", text)
    # long piles of marks must go before NFKC, which sorts them in quadratic time
    return _without_piles(text) if any(_is_mark(character) for character in strange) else text


def _seen_as(character: str) -> str:
    """Empty for what shows nothing: control, format (zero-width, bidi, tags), variation selectors, noncharacters."""
    if character in _BLANK_GLYPHS:
        return " "
    code = ord(character)
    unseen = (
        (unicodedata.category(character) in ("Cc", "Cf") and character != _JOINER)
        or 0xFE00 <= code <= 0xFE0E
        or 0xE0000 <= code <= 0xE0FFF
        or 0xFDD0 <= code <= 0xFDEF
        or code & 0xFFFE == 0xFFFE
        or character in _OTHER_UNSEEN
    )
    return "" if unseen and character != "\n" else character


def _is_mark(character: str) -> bool:
    return unicodedata.combining(character) != 0 or character in _MADE_OF_MARKS


def _without_piles(text: str) -> str:
    runs = ((mark, "".join(run)) for mark, run in groupby(text, key=_is_mark))
    return "".join(run[:_MARKS_KEPT] if mark else run for mark, run in runs)


def fingerprint_text(text: str) -> str:
    """Words and numbers in lower case, one space between: equal for copies that were forwarded, quoted or retyped.

    Headers of forwarding ("Diteruskan", "Forwarded", a chat's date and name), calls to pass it on ("tolong viralkan")
    and quotation marks at the start of lines are left out; so are punctuation, emoji and the separators of thousands
    ("Rp 100.000" equals "rp100000"). Empty when the text has no word.
    """
    kept: list[str] = []
    for line in clean_text(text).split("\n"):
        line = _QUOTE.sub("", line, count=1) if line.startswith(">") else line
        line = _strip_start(_FORWARD_LABEL, _strip_start(_CHAT_HEADER, line))
        kept += [sentence for sentence in _SENTENCE.split(line) if not _FORWARDING.fullmatch(sentence)]
    return " ".join(_WORD.findall(_THOUSANDS.sub(r"\1", " ".join(kept)).casefold()))


def _strip_start(pattern: re.Pattern[str], line: str) -> str:
    found = pattern.match(line)
    return line[found.end() :] if found else line
