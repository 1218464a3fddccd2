"""Personal data out of a text, before anything else sees it.

Numbers are read as runs of digit groups: "0812-3456 7890" is a run of three. What a group begins is decided by its
shape (a mobile number, a NIK with a possible birth date), else by the nearest word before it ("norek", "HP", "Rp").
Sums of money, dates, hours, polling stations and articles of law stay readable, because a report is nothing without
them. So do number plates: the plate of an official car is evidence of the car, not a person's secret.

`lokal.samaran` was measured as a base and is the yardstick of the tests: of their labelled spellings it finds 77 %, at
an eighth of the speed, and takes hours, polling stations and a sum of money for secrets. Nothing it finds there is
missed here.
"""

import re
import unicodedata
from typing import NamedTuple

PHONE = "[telepon]"
NIK = "[NIK]"
KK = "[KK]"
NPWP = "[NPWP]"
NIP = "[NIP]"
EMAIL = "[email]"
ACCOUNT = "[rekening]"
HANDLE = "[akun]"
PASSPORT = "[paspor]"
NUMBER = "[nomor]"

PLACEHOLDERS = (PHONE, NIK, KK, NPWP, NIP, EMAIL, ACCOUNT, HANDLE, PASSPORT, NUMBER)
_PLACEHOLDER = re.compile("|".join(map(re.escape, PLACEHOLDERS)))

_DIGIT = re.compile(r"\d")
_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")

_DOMAIN = r"(?:com|co|id|net|org|me|ly|gl|info|link|site|app|io|tv|be|xyz|online|news)/"
_URL = re.compile(
    rf"""(?:https?://|www\.)[^\s<>",]+
      | (?<![\w.@-])(?:[a-z0-9-]{{1,63}}\.){{1,4}}{_DOMAIN}[^\s<>",]*""",
    re.IGNORECASE | re.VERBOSE,
)
_END_OF_DOMAIN = re.compile(rf"\.{_DOMAIN}")
_URL_PHONE = re.compile(r"(?<!\d)\+?(?:0|62)8[1-9]\d{7,10}(?!\d)")
_URL_FIELD = re.compile(r"\b(nik|no_?ktp|ktp|kk|no_?kk|no_?rek|rek(?:ening)?)=\d{8,20}(?!\d)", re.IGNORECASE)

_PROVIDER = r"(?:gmail|googlemail|yahoo|ymail|rocketmail|hotmail|outlook|live|icloud|proton(?:mail)?)"
_AT = r"(?:@|%40|\s?[\[({]\s?at\s?[\])}]\s?)"
_SPELLED_DOT = r"(?:\s?[\[({]\s?(?:dot|titik)\s?[\])}]\s?|\s(?:dot|titik)\s|\.dot\.)"
_DOT = rf"(?:\.|{_SPELLED_DOT})"
_EMAIL_PATTERN = rf"""[\w.+-]+
    (?: {_AT} [\w-]{{1,63}} (?:\.[\w-]{{1,63}}){{0,3}} {_DOT} [a-z]{{2,24}} (?:{_SPELLED_DOT} [a-z]{{2,3}}\b)?
      | (?:{_AT}|\s?@\s?|\s[ae]t\s|\.at\.) {_PROVIDER}\b (?:(?:{_DOT}|\s\.\s) (?:com|co{_DOT}id)\b)?
      | \s[ae]t\s [\w-]{{1,63}} (?:{_DOT}[\w-]{{1,63}}){{0,2}} {_SPELLED_DOT} [a-z]{{2,24}} )"""
_EMAIL_FROM_HERE = re.compile(_EMAIL_PATTERN, re.IGNORECASE | re.VERBOSE)
_EMAIL = re.compile(rf"(?<![\w.+-]){_EMAIL_PATTERN}", re.IGNORECASE | re.VERBOSE)
"""Tries each word once, from its beginning: what matches from within a word matches from its beginning, too."""
_PRICE = (
    r"(?:rp|idr)?\.?\d[\d.,]*\s?(?:rb|rbu|ribu|k|jt|juta|an|x|kg|g|l|liter|lembar|orang|org|pcs|kotak|karung)?(?!\w)"
)
_HANDLE = re.compile(rf"@(?!{_PRICE})\w(?:[\w.]{{0,28}}\w)", re.IGNORECASE)
_NAMED_HANDLE = re.compile(
    r"""\b(ig|insta(?:gram)?|twitter|tiktok|tele(?:gram)?|threads|line)(\s?[:=]\s?)
    (?: (?=[a-z]*[\d_.]) [a-z0-9_](?:[\w.]{1,28}\w) | [a-z]{3,30}(?=[^\S\n]*(?:[\n,;)]|\Z)) )""",
    re.IGNORECASE | re.VERBOSE,
)
_SERVICE_BEFORE = re.compile(r"(?:ig|insta(?:gram)?|twitter|tiktok|tele(?:gram)?|threads|line)\s?\Z")
_LONGEST_SERVICE = len("instagram ")
_DIGIT_WORDS = {
    word: str(digit)
    for digit, word in enumerate(["nol", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan"])
}
_DIGIT_WORDS |= {"kosong": "0", "lapan": "8", "sembilan": "9"}
_DIGIT_WORD = "(?:" + "|".join(_DIGIT_WORDS) + ")"
_SPELLED = re.compile(rf"\b{_DIGIT_WORD}(?:[\s,.-]{{1,3}}{_DIGIT_WORD}){{8,}}\b", re.IGNORECASE)
_TOKEN = rf"(?:\d++|{_DIGIT_WORD}(?![^\W\d_]))"
_SIX_TWO_OR_ZERO = re.compile(r"(?:0|nol|kosong|(?:6|enam)[\s,.-]{0,3}(?:2|dua))[\s,.-]{0,3}\Z")
"""What stands before the 8 of a mobile number in which digits are written as words."""
_LONGEST_BEFORE_AN_EIGHT = len("enam") + 3 + len("dua") + 3
_HALF_SPELLED = re.compile(rf"(?<!\w)\+?{_TOKEN}(?:[\s,.-]{{0,3}}{_TOKEN})++", re.IGNORECASE)
_GAP_IN_A_NUMBER = 4
"""Characters within which `_HALF_SPELLED` has its next token."""
_HALF_SPELLED_TOKEN = re.compile(_TOKEN, re.IGNORECASE)
_MOBILE_DIGITS = re.compile(r"(?:0|(?:00)?62)8[1-9]\d{7,10}\Z")
_MOBILE_MOST = 15
_DISGUISED = re.compile(
    r"""(?<![\w.])\+?(?:62|[0Oo])[ .-]?8(?:[ .-]?[\dOoIl]){8,11}(?!\w)
      | (?<![\w/:])\+?(?:62|0)8\d{1,2}([/:~|])\d{3,4}\1(?!(?:19|20)\d\d\b)\d{3,5}(?![\w/:])
      | \[(?:\+?62|0)8\d{1,2}\][ -]?\d{3,4}[ -]?\d{3,5}(?!\w)""",
    re.VERBOSE,
)
"""Letters that look like digits, signs that stand between the parts of dates and hours, square brackets."""
_PLAIN_SPELLING = frozenset("0123456789 .-+")
_BEFORE_AN_EIGHT = frozenset("02Oo")
_EIGHT_OF_MANY = re.compile(r"8(?=[ .-]?[\dOoIl])(?=[\dOoIl .\-/:~|\]]{7})")
_SPACED_HANDLE = re.compile(
    r"\b(ig|insta(?:gram)?|twitter|tiktok|tele(?:gram)?|threads)(\s)(?=[a-z\d.]{1,28}_)[\w.]{2,29}\w", re.IGNORECASE
)
_PASSPORT = re.compile(r"\b((?:no(?:mor)?\.? ?)?paspor(?:t)?\W{1,3})[A-Z]{1,2} ?\d{6,7}\b", re.IGNORECASE)

_SEPARATOR = r"[ .\-‐‑‒–—−_/()·•*\ufe0f\u20e3]"
_RUN = re.compile(rf"\d+(?:(?:{_SEPARATOR}{{1,4}}|,)\d+)*")
_SIGNS_BEFORE = 3
"""Signs such as `+` and `(` right before a run that may belong to its number."""
_SIX_DIGITS = re.compile(rf"[0-9](?<![0-9][0-9])(?:(?:{_SEPARATOR}{{0,4}}|,)[0-9]){{5}}")
"""Begins where the next `_RUN` of `_SHORTEST_SECRET` digits does; it looks back behind its first digit, since it is
searched for faster where it begins with one."""
_LISTING = "/,"
_KEYCAP = re.compile(r"[\ufe0f\u20e3]+")
_DIGITS = re.compile(r"\d+")
_SHORTEST_SECRET = 6
"""Digits; what is said to be a telephone number has at least these."""
_SHORTEST_UNSAID = 8
"""Digits that every other secret has at least."""
_PREFIX = re.compile(r"(?:(?:00)?62)?0?(?=8[1-9])")
_AREA_CODE = re.compile(r"0(?:2[124]|[36]1|[2-79]\d\d)\Z")
_LANDLINE = re.compile(r"0[2-79]\d{7,9}\Z")
_DAY = re.compile(r"20[0-3]\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\Z")
_PROVINCES = range(11, 97)

_CUE_REACH = 48
_CUE_WORDS = {
    word: kind
    for kind, words in {
        "nik": "nik ktp kependudukan",
        "kk": "kk keluarga",
        "npwp": "npwp",
        "nip": "nip",
        "account": "rek rekening bank bca bri bni btn bsi bjb mandiri danamon permata cimb niaga panin seabank account "
        "va kredit debit atm",
        "phone": "wa whatsapp app hp tel telp telepon telpon tlp tlpn ponsel phone fax faks kontak hub hubungi sms "
        "call cp person",
        "other": "sim bpjs kks token idpel pelanggan peserta",
        "money": "rp idr uang saldo senilai sebesar anggaran pagu nominal harga tunai total jumlah",
        "plain": "tps rt rw urut dapil suara pemilih hasil skor jam pukul pkl tanggal tgl pasal ayat uu sk surat",
    }.items()
    for word in words.split()
}
_CUES = {
    f"{before}{word}{after}": kind
    for before in ("nomor", "no", "")
    for after in ("nya", "ku", "")
    for word, kind in _CUE_WORDS.items()
}
"""What the nearest of these words before a number says that the number is."""
_WORD = re.compile(r"[a-z]+")
_GAP_BROKEN = re.compile(r"\d|\n|[.!?]\s+\w+\s+\w")
_UNIT_AFTER = re.compile(
    r"\s?(?:rupiah|perak|ribu|rb|juta|jt|mili?[ay]r|triliun|suara|pemilih|orang|org|jiwa|lembar|dpt|tps|kk|persen|%)(?!\w)",
    re.IGNORECASE,
)
_BANK_AFTER = re.compile(r"\s?\(?(?:bank\s\w+|bca|bri|bni|btn|bsi|bjb|mandiri|danamon|permata|cimb)\b", re.IGNORECASE)
_PHONE_AFTER = re.compile(r"\W{1,3}(?:(?:no|nomor) )?(?:hp|wa|telp|telepon)\b", re.IGNORECASE)


def mask(text: str) -> str:
    """The text with personal data replaced by `PLACEHOLDERS`; digits of other scripts become 0-9.

    Expects the output of `clean_text`. Deterministic; linear in the length of the text; masking twice changes nothing
    more. Never raises.
    """
    lowered = _lower(text)
    if _DIGIT.search(text) is None and "@" not in text:
        bare = ":" not in text and "_" not in text and "lapan" not in lowered and not _spells_at(lowered)
        return text if bare else _mask_prose(text, lowered)
    if not text.isascii():
        text = _FOREIGN_DIGIT.sub(lambda digit: str(unicodedata.digit(digit[0])), text)
        lowered = _lower(text)
    if "://" not in lowered and "www." not in lowered and not _END_OF_DOMAIN.search(lowered):
        return _mask_prose(text, lowered)
    pieces: list[str] = []
    end = 0
    for url in _URL.finditer(text):
        before = text[end : url.start()]
        pieces += (_mask_prose(before, _lower(before)), _mask_url(url[0]))
        end = url.end()
    pieces.append(_mask_prose(text[end:], _lower(text[end:])))
    return "".join(pieces)


def _lower(text: str) -> str:
    """The text in lower case, with what `re.IGNORECASE` takes for an "i" or "s" written so; positions may shift."""
    lowered = text.lower()
    return lowered if text.isascii() else lowered.replace("ı", "i").replace("i\u0307", "i").replace("ſ", "s")


def _spells_at(lowered: str) -> bool:
    """Whether an "at" stands where it may be the sign of an e-mail address."""
    return (
        " at " in lowered or " et " in lowered or "at)" in lowered or "at]" in lowered or "at}" in lowered
        or ".at." in lowered
    )  # fmt: skip


def _mask_url(url: str) -> str:
    """A link stays usable: only a telephone number, an e-mail address or a named field in it is covered."""
    url = _mask_emails(url)
    url = _URL_FIELD.sub(lambda field: f"{field[1]}={NUMBER}", url)
    return _URL_PHONE.sub(PHONE, url)


def _mask_prose(text: str, lowered: str) -> str:
    """The text, which holds no link, with personal data covered; `lowered` is the same as `_lower` makes it.

    Every expression is tried only where a sign stands that it cannot do without: that is what makes masking fast.
    """
    if "@" in text or "%40" in text or _spells_at(lowered):
        text = _mask_emails(text)
        text = _HANDLE.sub(HANDLE, text)
    if _names_a_service(lowered):
        text = _NAMED_HANDLE.sub(rf"\1\2{HANDLE}", text)
    if "_" in text:
        text = _SPACED_HANDLE.sub(rf"\1\2{HANDLE}", text)
    if "lapan" in lowered:
        text = _SPELLED.sub(PHONE, text)
    if _may_be_disguised(text):
        text = _DISGUISED.sub(_mask_disguised, text)
    if ("lapan" in lowered or _may_begin_half_spelled(lowered)) and _may_be_half_spelled(lowered):
        text = _HALF_SPELLED.sub(_mask_half_spelled, text)
    if "paspor" in lowered:
        text = _PASSPORT.sub(rf"\1{PASSPORT}", text)
    return _mask_numbers(text)


def _mask_emails(text: str) -> str:
    pieces: list[str] = []
    place = 0
    found = _EMAIL.search(text)
    while found:
        pieces += (text[place : found.start()], EMAIL)
        place = found.end()
        found = _EMAIL_FROM_HERE.match(text, place) or _EMAIL.search(text, place)
    return "".join((*pieces, text[place:])) if pieces else text


def _stands_before(sign: str, told: re.Pattern[str], reach: int, text: str) -> bool:
    """Whether, within `reach` characters, before any `sign` stands what `told` matches at its end."""
    place = text.find(sign)
    while place >= 0:
        if told.search(text, max(0, place - reach), place):
            return True
        place = text.find(sign, place + 1)
    return False


def _names_a_service(lowered: str) -> bool:
    """Whether the name of a service of `_NAMED_HANDLE` stands before any colon or equals sign."""
    return any(_stands_before(sign, _SERVICE_BEFORE, _LONGEST_SERVICE, lowered) for sign in ":=")


def _may_be_disguised(text: str) -> bool:
    """Whether the signs before and after any 8 allow `_DISGUISED` to match there."""
    for eight in _EIGHT_OF_MANY.finditer(text):
        before = text[max(0, eight.start() - 2) : eight.start()].rstrip(" .-")[-1:]
        if before in _BEFORE_AN_EIGHT:
            return True
    return False


def _may_begin_half_spelled(lowered: str) -> bool:
    """Whether before any 8, written as a digit, stands what a mobile number begins with."""
    return _stands_before("8", _SIX_TWO_OR_ZERO, _LONGEST_BEFORE_AN_EIGHT, lowered)


def _may_be_half_spelled(lowered: str) -> bool:
    """Whether a digit stands near a digit written as a word."""
    for word in _DIGIT_WORDS:
        place = lowered.find(word)
        while place >= 0:
            end = place + len(word)
            if _DIGIT.search(lowered, end, end + _GAP_IN_A_NUMBER) or _DIGIT.search(
                lowered, max(0, place - _GAP_IN_A_NUMBER), place
            ):
                return True
            place = lowered.find(word, end)
    return False


def _mask_disguised(number: re.Match[str]) -> str:
    return number[0] if set(number[0]) <= _PLAIN_SPELLING else PHONE


def _mask_half_spelled(run: re.Match[str]) -> str:
    """Mobile numbers of which at least one digit is written as a word: "nol delapan 12 3456 7890"."""
    tokens = list(_HALF_SPELLED_TOKEN.finditer(run[0]))
    digits = [_DIGIT_WORDS.get(token[0].lower(), token[0]) for token in tokens]
    words = [not token[0].isdigit() for token in tokens]
    if all(words) or not any(words):
        return run[0]
    pieces: list[str] = []
    done = first = 0
    while first < len(tokens):
        end = _half_spelled_end(digits, words, first)
        if end:
            start = tokens[first].start()
            pieces += (run[0][done : start - (run[0][start - 1 : start] == "+")], PHONE)
            done = tokens[end - 1].end()
        first = end or first + 1
    return "".join((*pieces, run[0][done:]))


def _half_spelled_end(digits: list[str], words: list[bool], first: int) -> int:
    """The token after the mobile number that begins at `first`; 0 when none does, or none with a word in it."""
    number = ""
    found = 0
    for index in range(first, len(digits)):
        if found and words[index] != words[index - 1]:
            break
        number += digits[index]
        if len(number) > _MOBILE_MOST:
            break
        if _MOBILE_DIGITS.match(number):
            found = index + 1
    return found if any(words[first:found]) else 0


class _Group(NamedTuple):
    start: int
    end: int
    digits: str
    separator: str
    """What stands between this group and the one before it."""

    @property
    def lists(self) -> str:
        """The sign that sets this group apart from the one before, as in a list or the number of a decree."""
        return "/" if "/" in self.separator else "," if "," in self.separator else ""


class _Cue(NamedTuple):
    kind: str
    """A kind of `_CUES`; empty when no word before says what the number is."""
    gap: str
    """What stands between that word and the number; free of digits."""

    @property
    def touches(self) -> bool:
        """Nothing but punctuation stands between word and number."""
        return not any(character.isalpha() for character in self.gap)

    @property
    def forbids_guessing(self) -> bool:
        """The word before says sum, hour or polling station: a shape that could be one stays readable."""
        return self.kind in ("money", "plain") and self.touches


_NO_CUE = _Cue("", "")


def _cue_before(text: str, start: int, floor: int) -> _Cue:
    """The nearest telling word before `start`, on its line, in its sentence, behind the last secret."""
    context = text[max(floor, start - _CUE_REACH) : start]
    if "[" in context:
        context = _PLACEHOLDER.split(context)[-1]
    lowered = context.lower()
    for number, word in enumerate(reversed(_WORD.findall(lowered)), start=1):
        kind = _CUES.get(word)
        if kind:
            gap = context[list(_WORD.finditer(lowered))[-number].end() :]
            return _NO_CUE if _GAP_BROKEN.search(gap) else _Cue(kind, gap)
    return _NO_CUE


def _mask_numbers(text: str) -> str:
    pieces: list[str] = []
    done = place = 0
    while found := _SIX_DIGITS.search(text, place):
        run = _RUN.match(text, found.start())
        if run is None:
            break
        place = run.end()
        digits = sum(map(str.isdigit, run[0]))
        cue = _cue_before(text, run.start(), done)
        if digits < _SHORTEST_UNSAID and cue.kind != "phone":
            continue
        for start, end, placeholder in _Run(text, run, done, cue).secrets():
            pieces += (text[done:start], placeholder)
            done = end
    if not pieces:
        return text
    pieces.append(text[done:])
    return "".join(pieces)


class _Run:
    """Digit groups that stand close together, read from left to right.

    Args:
        text: the whole text, for the words around.
        run: a match of `_RUN`.
        floor: end of the last secret found before; words before it say nothing about this run.
        cue: of the first group; before every later one stand digits, and a word beyond digits says nothing.
    """

    def __init__(self, text: str, run: re.Match[str], floor: int, cue: _Cue) -> None:
        self.text = text
        self.floor = floor
        self.cue = cue
        self.groups: list[_Group] = []
        before = text[max(floor, run.start() - _SIGNS_BEFORE) : run.start()]
        end = run.start() - len(before) + len(before.rstrip("+("))
        for digits in _DIGITS.finditer(text, run.start(), run.end()):
            self.groups.append(_Group(digits.start(), digits.end(), digits[0], text[end : digits.start()]))
            end = digits.end()

    def secrets(self) -> list[tuple[int, int, str]]:
        """Start, end and placeholder of each secret, in order."""
        found: list[tuple[int, int, str]] = []
        index = 0
        while index < len(self.groups):
            end, placeholder = self._read(index)
            if placeholder:
                start = self._start(index, end)
                keycap = _KEYCAP.match(self.text, self.groups[end - 1].end)
                self.floor = keycap.end() if keycap else self.groups[end - 1].end
                found.append((start, self.floor, placeholder))
            index = end
        return found

    def _read(self, index: int) -> tuple[int, str]:
        """The group after what begins at `index`, and its placeholder; no placeholder when it stays readable."""
        if (end := self._date(index)) is not None:
            return end, ""
        cue = self.cue if index == 0 else _NO_CUE
        if (end := self._npwp(index, cue)) is not None:
            return end, NPWP
        if (end := self._sum_of_money(index, cue)) is not None:
            return end, ""
        if (end := self._mobile(index, cue)) is not None:
            return end, PHONE
        if (end := self._named_number(index, cue)) is not None:
            return end, ACCOUNT if cue.kind == "account" else NUMBER
        if (end := self._nip(index, cue)) is not None:
            return end, NIP
        if (end := self._sixteen_digits(index, cue)) is not None:
            return end, KK if cue.kind == "kk" else NIK
        if (end := self._other_phone(index, cue)) is not None:
            return end, PHONE
        if self._bare_identifier(index, cue):
            return index + 1, ACCOUNT if _BANK_AFTER.match(self.text, self.groups[index].end) else NUMBER
        return index + 1, ""

    def _start(self, index: int, end: int) -> int:
        """Where the secret begins, with the signs that belong to it: `+`, an opening bracket, a letter O for a zero."""
        start = self.groups[index].start
        signs = self.groups[index].separator
        inside = self.text[start : self.groups[end - 1].end]
        unopened = inside.count(")") - inside.count("(")
        while signs and (signs[-1] == "+" or (signs[-1] == "(" and unopened > 0)):
            unopened -= signs[-1] == "("
            signs = signs[:-1]
            start -= 1
        if self.groups[index].digits[0] == "8" and start > self.floor and self.text[start - 1] in "Oo":
            start -= 1
        return start

    def _date(self, index: int) -> int | None:
        """20/11/2024, 20-11-2024, 2024-11-20."""
        parts = self.groups[index : index + 3]
        if len(parts) < 3 or parts[1].separator != parts[2].separator or parts[1].separator not in ("/", "-", ".", " "):
            return None
        lengths = tuple(len(part.digits) for part in parts)
        first, middle, last = (int(part.digits[:4]) for part in parts)
        if lengths[0] <= 2 and lengths[1] <= 2 and lengths[2] == 4:
            day, month, year = first, middle, last
        elif lengths[0] == 4 and lengths[1] <= 2 and lengths[2] <= 2:
            year, month, day = first, middle, last
        else:
            return None
        return index + 3 if 1 <= day <= 31 and 1 <= month <= 12 and 1900 <= year <= 2099 else None

    def _npwp(self, index: int, cue: _Cue) -> int | None:
        """15 digits written 2-3-3-1-3-3, or 15 or 16 digits after the word NPWP."""
        if [len(group.digits) for group in self.groups[index : index + 6]] == [2, 3, 3, 1, 3, 3]:
            return index + 6
        if cue.kind == "npwp":
            return self._exactly(index, 16) or self._exactly(index, 15)
        return None

    def _sum_of_money(self, index: int, cue: _Cue) -> int | None:
        """Thousands in threes ("1.500.000"). Not so when it is a number of a person by the word before it."""
        if len(self.groups[index].digits) > 3 or self.groups[index].digits[0] == "0":
            return None
        end = index + 1
        while end < len(self.groups) and len(self.groups[end].digits) == 3 and self.groups[end].separator in (".", ","):
            end += 1
        if end == index + 1 or (
            end < len(self.groups)
            and self.groups[end].separator in ("-", ".", ",")
            and len(self.groups[end].digits) > 3
        ):
            return None
        digits = "".join(group.digits for group in self.groups[index:end])
        if cue.kind == "money" or digits.endswith("000") or self._unit_follows(end):
            return end
        if digits.startswith("628") and len(digits) >= 11:
            return None
        return None if cue.kind in ("phone", "account") and cue.touches and len(digits) >= 9 else end

    def _mobile(self, index: int, cue: _Cue) -> int | None:
        """0812..., +62 812..., 62-812..., 0062..., (0)812...; 812... where the digits leave no other reading."""
        ahead = "".join(group.digits for group in self.groups[index : index + 20])[:20]
        prefix = _PREFIX.match(ahead)
        if prefix is None:
            return None
        first = self.groups[index].digits
        offset = prefix.end()
        if offset == 0:
            return self._mobile_without_zero(index, cue)
        if len(first) == 1 and not self._next_has(index, 3):
            return self._digit_by_digit(index, cue)
        if first in ("08", "628"):
            return self._mobile_in_pairs(index, cue)
        if len(first) < offset and not self._next_has(index, 2):
            return None
        if first == "62" and cue.kind == "money" and cue.touches:
            return None
        for listing in ("", ","):
            end, digits = self._extend(index, limit=offset + 12, enough=offset + 10, allowed=listing)
            if offset + 8 <= digits <= offset + 12:
                return end
        end, digits = self._extend(index, limit=offset + 12, enough=offset + 10, allowed=_LISTING)
        if offset + 8 <= digits <= offset + 12 and (
            cue.kind == "phone" or _PHONE_AFTER.match(self.text, self.groups[end - 1].end)
        ):
            return end
        return None

    def _mobile_without_zero(self, index: int, cue: _Cue) -> int | None:
        if (
            cue.forbids_guessing
            or cue.kind in ("nik", "kk", "npwp", "nip")
            or (cue.kind == "account" and not self._letter_o_before(index))
        ):
            return None
        end, digits = self._extend(index, limit=12, enough=10)
        if self._unit_follows(end) or not 9 <= digits <= 12:
            return None
        lengths = [len(group.digits) for group in self.groups[index:end]]
        if self._letter_o_before(index):
            return end
        if len(lengths) == 1:
            return end if digits >= 10 and not self.groups[index].digits.endswith("000") else None
        uniform = len({group.separator for group in self.groups[index + 1 : end]}) == 1
        written_like_one = lengths[0] == 3 and len(lengths) == 3 and digits >= 10
        return end if uniform and written_like_one and self.groups[index + 1].separator != "." else None

    def _letter_o_before(self, index: int) -> bool:
        start = self.groups[index].start
        return (
            start > self.floor
            and self.text[start - 1] in "Oo"
            and not self.text[max(0, start - 2) : start - 1].isalpha()
        )

    def _digit_by_digit(self, index: int, cue: _Cue) -> int | None:
        """0 8 1 2 3 ...: at least ten single digits with the same sign between them."""
        end = index + 1
        while (
            end < min(len(self.groups), index + 15)
            and len(self.groups[end].digits) == 1
            and self.groups[end].separator == self.groups[index + 1].separator
        ):
            end += 1
        return end if end - index >= 10 and not cue.forbids_guessing else None

    def _mobile_in_pairs(self, index: int, cue: _Cue) -> int | None:
        """08 12 34 56 78 90: told from hours and lists by one sign throughout and no word like "TPS" before."""
        digits = len(self.groups[index].digits)
        end = index + 1
        while (
            end < len(self.groups)
            and len(self.groups[end].digits) >= 2
            and self.groups[end].separator == self.groups[index + 1].separator
            and digits + len(self.groups[end].digits) <= 13
        ):
            digits += len(self.groups[end].digits)
            end += 1
        return (
            end
            if digits >= 10 and not cue.forbids_guessing and self.groups[index + 1].separator not in _LISTING
            else None
        )

    def _named_number(self, index: int, cue: _Cue) -> int | None:
        """An account, card, token, licence: at least eight digits after the word that names it."""
        if cue.kind not in ("account", "other"):
            return None
        end, digits = self._extend(index, limit=20, enough=20, complete=9)
        if digits < 8 or self._unit_follows(end):
            return None
        round_sum = end == index + 1 and self.groups[index].digits.endswith("00000")
        return None if round_sum and not cue.touches else end

    def _nip(self, index: int, cue: _Cue) -> int | None:
        """18 digits that begin with a possible date of birth, or follow the word NIP."""
        end = self._exactly(index, 18)
        if end is None:
            return None
        digits = "".join(group.digits for group in self.groups[index:end])
        born = 1940 <= int(digits[:4]) <= 2010 and 1 <= int(digits[4:6]) <= 12 and 1 <= int(digits[6:8]) <= 31
        return end if born or cue.kind == "nip" else None

    def _sixteen_digits(self, index: int, cue: _Cue) -> int | None:
        """NIK and KK numbers; in several groups only with the word before, or a possible province and birth date."""
        end = self._exactly(index, 16)
        if end is None:
            return None
        if end == index + 1 or cue.kind in ("nik", "kk"):
            return end
        digits = "".join(group.digits for group in self.groups[index:end])
        possible = (
            int(digits[:2]) in _PROVINCES
            and 1 <= int(digits[6:8]) % 40 <= 31
            and 1 <= int(digits[8:10]) <= 12
            and end - index <= 7
        )
        return end if possible and not cue.forbids_guessing else None

    def _other_phone(self, index: int, cue: _Cue) -> int | None:
        """Foreign numbers (+60 ...), landlines with area code, anything of six digits or more right after "telp"."""
        group = self.groups[index]
        named = cue.kind == "phone" and len(cue.gap) <= 24
        if group.separator.endswith("+"):
            end, digits = self._extend(index, limit=15, enough=11)
            return end if digits >= 9 else None
        if cue.forbids_guessing:
            return None
        if _LANDLINE.match(group.digits) and not _BANK_AFTER.match(self.text, group.end):
            return index + 1
        if _AREA_CODE.match(group.digits) and (subscriber_end := self._landline(index, named=named)) is not None:
            return subscriber_end
        if named and len(group.digits) >= 3 and not _DAY.match(group.digits):
            end, digits = self._extend(index, limit=13, enough=10)
            round_sum = end == index + 1 and group.digits.endswith("000")
            return end if digits >= 6 and not round_sum and not self._unit_follows(end) else None
        return None

    def _landline(self, index: int, *, named: bool) -> int | None:
        if index + 1 == len(self.groups):
            return None
        bracketed = ")" in self.groups[index + 1].separator
        marked = bracketed or named or self.groups[index + 1].separator == "-"
        end, digits = index + 1, 0
        while end < len(self.groups) and end - index <= 3:
            group = self.groups[end]
            if digits + len(group.digits) > 8 or group.lists or len(group.digits) < (2 if bracketed else 3):
                break
            digits += len(group.digits)
            end += 1
        if end == index + 1 or digits < (5 if bracketed or named else 6):
            return None
        if not named and self.groups[index + 1].digits[0] in "01":
            return None
        long_enough = len(self.groups[index + 1].digits) >= 4 or len(self.groups[index].digits) == 4
        return end if marked or long_enough else None

    def _bare_identifier(self, index: int, cue: _Cue) -> bool:
        """Ten or more digits in a row that no unit, sum or file name explains: somebody's number, whichever it is."""
        group = self.groups[index]
        if (
            len(group.digits) < 10
            or group.digits.endswith("000")
            or cue.kind == "money"
            or self._unit_follows(index + 1)
        ):
            return False
        before = self.text[group.start - 1] if group.start else " "
        after = self.text[group.end : group.end + 1]
        return not (before.isalpha() or before == "_" or after.isalpha() or after == "_")

    def _extend(self, index: int, *, limit: int, enough: int, complete: int = 0, allowed: str = "") -> tuple[int, int]:
        """How far one number reaches from `index`: the group after it and its count of digits.

        Args:
            index: its first group.
            limit: digits it may have.
            enough: digits from which a short group after a space is taken for another number.
            complete: digits from which another number may begin behind it; two fewer than `enough` where 0.
            allowed: signs of `_LISTING` that may stand within it all the same.
        """
        digits = len(self.groups[index].digits)
        end = index + 1
        while end < len(self.groups):
            group = self.groups[end]
            length = len(group.digits)
            is_complete = digits >= (complete or enough - 2)
            if digits + length > limit or (group.lists and group.lists not in allowed):
                break
            if is_complete and (self._begins_another(end) or (length <= 3 and self._unit_follows(end + 1))):
                break
            odd = length < 3 and length != len(self.groups[end - 1].digits)
            if digits >= enough and " " in group.separator and odd:
                break
            digits += length
            end += 1
        return end, digits

    def _begins_another(self, index: int) -> bool:
        digits = self.groups[index].digits
        return (len(digits) >= 4 and digits.startswith(("08", "628"))) or self._date(index) is not None

    def _exactly(self, index: int, count: int) -> int | None:
        """The group after `count` digits from `index`, when a group ends just there."""
        digits, end = 0, index
        while end < len(self.groups) and digits < count and not (end > index and self.groups[end].lists):
            digits += len(self.groups[end].digits)
            end += 1
        return end if digits == count else None

    def _next_has(self, index: int, count: int) -> bool:
        return index + 1 < len(self.groups) and len(self.groups[index + 1].digits) >= count

    def _unit_follows(self, end: int) -> bool:
        return _UNIT_AFTER.match(self.text, self.groups[end - 1].end) is not None
