"""Words as people type them, brought to the form in which the lexicon knows them.

A word of a chat may carry affixes of six languages, lack its vowels, repeat letters for emphasis or write reduplication
as "2". `Vocabulary.keys` answers which lexicon keys a word can stand for: its form, `~root` for every root it inflects,
`²root` when it is reduplicated, and a shape such as `<money>`. Nothing here knows what a word means.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping

TOKEN = re.compile(
    r"[Rr][Pp]\.?\s?\d[\d.,]*"
    r"|(?!https?:|www\.)[^\W\d_][^\W_]*(?:['’`\-][^\W_]+)*"
    r"|[.!?;\n…]+|[,:()\"“”]"
    r"|\d{1,2}[/-]\d{1,2}(?:[/-]\d{2,4})?"
    r"|\d+(?:[.,:]\d+)*[^\W_]*"
    r"|https?:\S*|www\.\S*|@\w+"
    r"|\[[A-Za-z ]{2,20}\]"
)
"""Matches every piece that means something: amounts, words, marks, dates, numbers, links and
handles (both ignored), placeholders."""

CLAUSE_MARKS = frozenset(',:()"“”')
MARKS = CLAUSE_MARKS | frozenset(".!?;\n…")
"""The characters with which a piece that is punctuation begins; all but `CLAUSE_MARKS` end a sentence."""
_MONEY = re.compile(
    r"(?:rp\.?\s?\d[\d.,]*|\d+(?:[.,]\d+)*(?:rb|ribu|k|jt|juta|ewu|ebu|rebu|rbu|rban|ribuan|jutaan|rban|rbuan|rbb)(?:an|nya)?)"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_TIME = re.compile(r"[0-2]?\d[.:][0-5]\d(?:wib|wita|wit)?")
_DATE = re.compile(r"\d{1,2}[/-]\d{1,2}(?:[/-]\d{2,4})?")
_REDUPLICATED = re.compile(r"([^\W\d]{2,})2([^\W\d]*)")
_EMPHASIS = re.compile(r"([^\W\d])\1{2,}")
_LEET = str.maketrans("013457", "oieast")
_VOWELS = frozenset("aeiou")

_SUFFIXES = frozenset((
    "nya", "lah", "kah", "pun", "ku", "mu", "kan", "an", "i", "in", "kn", "ken", "keun", "ake", "aken", "akan",
    "no", "en", "e", "ne", "kannya", "annya", "innya", "inya", "kanlah", "anlah", "ilah", "ono", "ana", "ane",
    "ang", "nyo", "inlah", "annyo", "o", "yo", "nyalah", "ke", "kna", "ki",
))  # fmt: skip
# Prefix -> first letters that the root may have after it ("" = any). Narrow on purpose: "marah" is no form of "arah".
_PREFIXES = {
    "": "", "di": "", "ber": "", "ter": "", "ke": "", "pe": "", "se": "", "per": "", "be": "", "ba": "",
    "ta": "", "me": "lmnrwy", "ma": "lmnrwyt", "mem": "bfpv", "men": "cdjstz", "meng": "aeioughk", "meny": "",
    "menge": "", "ny": "", "ng": "aeioughklrwy", "nge": "", "n": "cdjst", "m": "bp", "man": "cdjstz",
    "mam": "bfp", "mang": "aeioughk", "many": "", "pa": "", "pem": "bfpv", "pen": "cdjt", "peng": "aeioughk",
    "peny": "", "memper": "", "diper": "", "pember": "", "ka": "", "tak": "", "bar": "", "tar": "", "dika": "",
    "ku": "", "pam": "bfp", "pan": "cdjt", "pang": "aeioughk", "na": "", "pany": "", "baku": "", "nga": "",
    "dipa": "", "taba": "", "keter": "", "dike": "", "teper": "", "berke": "", "mas": "", "eka": "", "to": "",
}  # fmt: skip
# After these prefixes the first consonant of the root has melted away; what may have stood there:
_MELTED = {
    "mem": "p", "men": "t", "meng": "k", "meny": "sc", "pem": "p", "pen": "t", "peng": "k", "peny": "s",
    "ny": "sc", "ng": "k", "n": "t", "m": "p", "mam": "p", "man": "t", "mang": "k", "many": "s", "pam": "p",
    "pan": "t", "pang": "k", "pany": "s",
}  # fmt: skip
_SHORTEST_ROOT = 3
_LONGEST_SUFFIX = max(map(len, _SUFFIXES))
_LONGEST_PREFIX = max(map(len, _PREFIXES))


def fold(word: str) -> str:
    """The word in lower case, compatibility forms resolved, without accents or apostrophes."""
    word = unicodedata.normalize("NFKC", word).casefold()
    if not word.isascii():
        word = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return word.replace("'", "").replace("’", "").replace("`", "")


def squeeze(word: str) -> str:
    """Letters repeated three times or more brought back to one: "tolooong" becomes "tolong"."""
    return _EMPHASIS.sub(lambda run: run[1], word) if _EMPHASIS.search(word) else word


def single_letters(word: str) -> str:
    """The word with every run of one letter written once."""
    return "".join(c for c, before in zip(word, " " + word, strict=False) if c != before)


def skeleton(word: str) -> str:
    """The consonants of a word; doubled ones once."""
    return single_letters("".join(c for c in word if c not in _VOWELS))


def number_keys(word: str) -> tuple[str, ...]:
    """Shape keys of a folded piece that starts with a digit or "rp"; empty when it is no number."""
    if word.isdigit():
        if len(word) == 2 and word[0] == "0":
            return (word, "<0n>")
        if len(word) <= 2:
            return (word, "<n>", "<num>")
        return ("<num>", "<money>") if len(word) > 4 and word.endswith("000") else ("<num>",)
    if _MONEY.fullmatch(word):
        return ("<money>",)
    if _TIME.fullmatch(word) and not _THOUSANDS.fullmatch(word):
        return ("<time>", "<num>")
    if _DATE.fullmatch(word):
        return ("<date>",)
    if _THOUSANDS.fullmatch(word):
        return ("<money>", "<num>") if len(word) > 5 else ("<num>", "<money>")
    return ()


class Vocabulary:
    """What forms and roots the lexicon knows, and how any word relates to them.

    Args:
        forms: exact words that occur in lexicon entries, folded.
        roots: words whose inflections count.
        spellings: words that count as they are typed, before slang is resolved (key `=word`).
        slang: spelling or regional word -> the form used in the lexicon.
        whole_words: words that look like an inflection of a root and are none ("pemilihan", "marah").
    """

    def __init__(
        self,
        forms: Iterable[str],
        roots: Iterable[str],
        slang: Mapping[str, str],
        whole_words: Iterable[str] = (),
        spellings: Iterable[str] = (),
    ) -> None:
        self._spellings = frozenset(spellings)
        # A regional word for a root inflects as the root does: Minang "mamiliah" is a form of "pilih".
        self._roots = {root: root for root in roots}
        self._roots.update({spelling: form for spelling, form in slang.items() if form in self._roots})
        self._whole = frozenset(whole_words)
        self._slang = dict(slang)
        self._forms = frozenset(forms) | frozenset(self._roots) | self._whole | frozenset(self._slang.values())
        self._longest_misspelt = 1 + max(map(len, self._forms), default=0)
        self._by_skeleton: dict[str, list[str]] = {}
        self._by_deletion: dict[str, str] = {}
        for form in sorted(self._forms, key=lambda form: (len(form), form)):
            if form.isalpha() and form.isascii():
                self._by_skeleton.setdefault(skeleton(form), []).append(form)
                if len(form) >= 7:
                    for i in range(1, len(form)):
                        self._by_deletion.setdefault(form[:i] + form[i + 1 :], form)

    def keys(self, piece: str) -> tuple[str, ...]:
        """Lexicon keys of one piece matched by `TOKEN`, the most exact first; empty when it can stand for none."""
        if piece.isdigit() and piece.isascii():
            return number_keys(piece)
        word = fold(piece)
        if not word or word[0] == "@" or word.startswith(("http", "www.")):
            return ()
        if word[0] == "[":
            return ("<" + word[1:-1] + ">",)
        if word[0].isdigit() or (word.startswith("rp") and len(word) > 2 and not word.isalpha()):
            shape = number_keys(word.rstrip(".,-"))
            if shape:
                return shape
        if "-" in word:
            return self._hyphenated(word)
        match = _REDUPLICATED.fullmatch(word)
        if match:
            return self._reduplicated(match[1] + match[2])
        return self._plain(word)

    def canonical(self, word: str) -> str:
        """The form under which the lexicon knows a folded word: slang resolved, emphasis removed."""
        word = squeeze(word)
        return self._slang.get(word, word)

    def _hyphenated(self, word: str) -> tuple[str, ...]:
        first, _, second = word.partition("-")
        if not second.isalpha() or not first.isalpha():
            return self._plain(word.replace("-", ""))
        if second in {"nya", "lah", "kan", "in", "an", "e", "ne"}:
            return self._plain(first + second)
        shared = next((i for i in range(len(first) - 2) if second.startswith(first[i:])), None)
        if shared is not None:
            return self._reduplicated(first + second[len(first) - shared :])
        if len(second) > 2 and first.endswith(second):
            return self._reduplicated(first)
        return self._plain(word.replace("-", ""))

    def _reduplicated(self, word: str) -> tuple[str, ...]:
        keys = self._plain(word)
        return (*("²" + key[1:] for key in keys if key[0] == "~"), "²" + self.canonical(word), *keys)

    def _plain(self, word: str) -> tuple[str, ...]:
        form = self.canonical(word)
        keys = self._known(form)
        if word in self._spellings:
            keys += ("=" + word,)
        if keys or len(form) < 3:
            return keys
        for other in self._respellings(form):
            keys = self._known(self._slang.get(other, other))
            if keys:
                return keys
        return ()

    def _known(self, form: str) -> tuple[str, ...]:
        root = self.root(form)
        if root:
            return (form, "~" + root)
        return (form,) if form in self._forms else ()

    def _respellings(self, word: str) -> Iterable[str]:
        if not word.isalpha():
            if word[0].isalpha() and sum(c.isalpha() for c in word) > 2:
                yield word.translate(_LEET)
            return
        if not word.isascii():
            return
        if word[-1] == word[-2]:
            yield word[:-1]
        single = single_letters(word)
        if single != word:
            yield single
        vowels = sum(c in _VOWELS for c in word)
        if len(word) >= 4 and vowels * 3 <= len(word):
            for form in self._by_skeleton.get(skeleton(word), ()):
                if len(form) > len(word) and _is_subsequence(word, form):
                    yield form
            yield from self._voweless(word)
        if 6 <= len(word) <= self._longest_misspelt:
            longer = self._by_deletion.get(word)
            if longer:
                yield longer
            for i in range(1, len(word)):
                shorter = word[:i] + word[i + 1 :]
                if len(shorter) >= 7 and shorter in self._forms:
                    yield shorter
                swapped = self._by_deletion.get(shorter)
                if swapped and len(swapped) == len(word) >= 8:
                    yield swapped

    def _voweless(self, word: str) -> Iterable[str]:
        for prefix in ("mm", "mn", "mng", "d", "mmb", "pmb", "br", "tr", "m", "ng"):
            if not word.startswith(prefix):
                continue
            for suffix in ("kn", "n", "ny", "i", "in", "kan", ""):
                if suffix and not word.endswith(suffix):
                    continue
                core = word[len(prefix) : len(word) - len(suffix)]
                for form in self._by_skeleton.get(skeleton(core), ()):
                    if form in self._roots and len(core) >= 2 and _is_subsequence(core, form):
                        yield form

    def root(self, form: str) -> str:
        """The longest known root of which `form` is an inflection; empty when there is none."""
        if form in self._whole:
            return ""
        if form in self._roots:
            return self._roots[form]
        best = ""
        length = len(form)
        for cut in range(min(_LONGEST_SUFFIX, length - _SHORTEST_ROOT) + 1):
            if cut and form[length - cut :] not in _SUFFIXES:
                continue
            stem = form[: length - cut]
            for size in range(min(_LONGEST_PREFIX, len(stem) - _SHORTEST_ROOT + 1) + 1):
                initials = _PREFIXES.get(stem[:size])
                if initials is None:
                    continue
                core = stem[size:]
                if len(core) > len(best) and core in self._roots and (not initials or core[0] in initials):
                    best = core
                for consonant in _MELTED.get(stem[:size], ""):
                    if len(core) >= len(best) and consonant + core in self._roots:
                        best = consonant + core
        return self._roots.get(best, "")


def _is_subsequence(short: str, long: str) -> bool:
    letters = iter(long)
    return all(c in letters for c in short)
