"""The facts a report names, each in one form however it is written: where, when, how much, what, who, for whom."""

import re
from collections.abc import Collection, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache

from services.ingest.words import COMMON, SAME, SILENT, by_member, stem, word_set

MOST_FACTS = 16
MOST_FACTS_OF_A_KIND = 3


class Fact(IntEnum):
    """A kind of fact; values are stored, so they never change."""

    TURN = 0
    """The report denies, or tells of an end or of another's turn: without it, it would tell of something else."""
    MONEY = 1
    COUNT = 2
    DAY = 3
    MONTH = 4
    WEEKDAY = 5
    PART_OF_DAY = 6
    HOUR = 7
    CANDIDATE = 8
    RT = 9
    RW = 10
    TPS = 11
    VILLAGE = 12
    HAMLET = 13
    DISTRICT = 14
    STREET = 15
    VENUE = 16
    GOODS = 17
    ACTOR = 18
    OFFICE = 19
    GROUP = 20
    NUMBER = 21
    """A number that is none of the others: "SD Negeri 2", "simpang tiga"."""
    PART_OF_PLACE = 22
    ORDINAL = 23
    PERSON = 24
    PARTY = 25
    NAME = 26
    """A word with a capital letter within a sentence, behind no word that says what it names."""
    ROLE = 27
    """What somebody heads or belongs to: "ketua adat", "kadis kesehatan"."""


def read_facts(words: Sequence[str], *, text: str = "", district: str = "") -> tuple[tuple[Fact, str], ...]:
    """Kind and value of what the words name, ordered by kind, a few of each.

    Args:
        words: lower case, with sums as digits and titles in one word.
        text: where it is written as people do, for its capital letters; no headline.
        district: code of the district that is known by other means.
    """
    facts = _facts(words)
    facts += _names(text, len(words), {value for kind, value in facts if Fact.RT <= kind <= Fact.VENUE})
    if not any(kind is Fact.GOODS for kind, _ in facts):
        facts += ((Fact.GOODS, goods) for goods in _given(words))
    if any(kind is Fact.MONEY for kind, _ in facts) and not any(kind is Fact.GOODS for kind, _ in facts):
        facts.append((Fact.GOODS, "uang"))
    if district:
        facts.append((Fact.DISTRICT, district))
    kept: dict[Fact, dict[str, None]] = {}
    for kind, value in facts:
        values = kept.setdefault(kind, {})
        if len(values) < MOST_FACTS_OF_A_KIND:
            values[value] = None
    flat = [(kind, value) for kind in sorted(kept) for value in kept[kind]]
    return tuple(flat[:MOST_FACTS])


_PLACES = {word: Fact[kind.upper()] for word, kind in by_member("places").items()}
_NUMBERED = {"rt": Fact.RT, "rw": Fact.RW, "tps": Fact.TPS}
_GOODS: dict[str, str] = by_member("goods")
_GOODS_BY_STEM = {stem(member): group for member, group in _GOODS.items()}
_TURNS: dict[str, str] = by_member("turns")
_MONTHS: dict[str, int] = by_member("months")
_WEEKDAYS: dict[str, str] = by_member("weekdays")
_PARTS: dict[str, str] = by_member("parts")
_COUNTED: dict[str, str] = by_member("counted")
_NEVER_DOUBLED = word_set("never_doubled")
_CANDIDATE_CUES = word_set("candidate_cues")
_BEFORE_A_PART = word_set("before_a_part")
_BEFORE_A_PERSON = word_set("before_a_person")
_CASES = word_set("cases")
_DENIED_WITH_NO = word_set("denied_with_no")
_NEGATIONS = word_set("negations")
_PARTS_OF_PLACES = word_set("parts_of_places")
_ROLES = word_set("roles")
_HALF_A_NAME = word_set("half_a_name")
_NO_NAME = SILENT | word_set("no_name")
_NO_GOODS = (COMMON - _GOODS.keys()) | word_set("no_goods")
_CAPITAL = re.compile(r" ([A-Z][a-z]{2,})(?![\w/])")
_SENTENCE_ENDS = frozenset([*".!?:;\"'()[]-*>\n", ""])
_NO_ROLE = SILENT | SAME.keys() | word_set("no_name") - {"pasar", "sekolah"}
_VERB = re.compile(r"di.{4}|me[mnlrwy].{3}|ber.{4}|.{4,}kan$")
_GIVES = re.compile(
    r"(?:mem|me[nm]?y?|di|nge?|m)?"
    r"(?:bagi|beri|kasih?|asih?|dapat|dapet|dpt|umbang|sumbang|kirim|trima|terima|nerima|erima)(?:kan|kn|in)?"
)
_BY_NEIGHBOURS = frozenset({*_PLACES, *_NUMBERED, *_TURNS, *_DENIED_WITH_NO, *_PARTS, *_ROLES, "rumah", "minggu"})
"""Words that say something together with their neighbours."""
_SAY_ALONE = {
    "goods": Fact.GOODS, "actors": Fact.ACTOR, "groups": Fact.GROUP, "ordinals": Fact.ORDINAL,
    "weekdays": Fact.WEEKDAY, "offices": Fact.OFFICE,
}  # fmt: skip


def _alone() -> dict[str, list[tuple[Fact, str]]]:
    """What a word says by itself."""
    found = {word: [(Fact.PART_OF_DAY, "malam")] for word in ("semalam", "semalem")}
    for name, kind in _SAY_ALONE.items():
        for word, value in by_member(name).items():
            if word not in _PLACES:
                found.setdefault(word, []).append((kind, str(value)))
    return found


_ALONE = _alone()
_NO_PROPER_NAME = frozenset(
    [*_ALONE, *_BY_NEIGHBOURS, *_MONTHS, *_COUNTED, *COMMON, *SAME, *_CANDIDATE_CUES, "jalan", "pak", "bu"]
)


def _facts(words: Sequence[str]) -> list[tuple[Fact, str]]:
    found: list[tuple[Fact, str]] = []
    last = len(words) - 1
    for index, word in enumerate(words):
        if word in _ALONE:
            found += _ALONE[word]
        if word in _BY_NEIGHBOURS:
            before = words[index - 1] if index else ""
            after = words[index + 1] if index < last else ""
            found += _facts_by_neighbours(words, index, before, after)
        elif word.isdecimal():
            before = words[index - 1] if index else ""
            after = words[index + 1] if index < last else ""
            found += _number_facts(words, index, before, after)
    return found


def _facts_by_neighbours(words: Sequence[str], index: int, before: str, after: str) -> Iterator[tuple[Fact, str]]:
    word, second = words[index], words[index + 2] if index + 2 < len(words) else ""
    if word in _PLACES:
        kind = _PLACES[word]
        if name := _name(words, index + 1, street=kind is Fact.STREET):
            yield kind, name
            if second in _PARTS_OF_PLACES:
                yield Fact.PART_OF_PLACE, second
    elif word in _NUMBERED:
        if after.isdecimal():
            yield _NUMBERED[word], after.lstrip("0")
            if word == "rt" and second.isdecimal():
                yield Fact.RW, second.lstrip("0")
    elif word in _TURNS:
        if before not in _NEGATIONS and (_TURNS[word] != "stopped" or not _CASES.isdisjoint(words)):
            yield Fact.TURN, _TURNS[word]
    elif word in _DENIED_WITH_NO:
        if before in _NEGATIONS and words[max(0, index - 2)] != "ini":  # "ini tidak benar!": this is not right
            yield Fact.TURN, "denied"
    elif word == "rumah":
        if after in _BEFORE_A_PERSON and (name := _name(words, index + 2, street=False)):
            yield Fact.PERSON, name
    elif word == "minggu" and (before in ("hari", "malam", "mlm") or after.isdecimal() or after in _PARTS):
        yield Fact.WEEKDAY, "ahad"
    elif word in _PARTS and (before in _BEFORE_A_PART or before.isdecimal()):
        yield Fact.PART_OF_DAY, _PARTS[word]
    if word in _ROLES and after not in _NO_ROLE and not _VERB.match(after) and (root := stem(after)):
        yield Fact.ROLE, f"{word} {root}"


def _number_facts(words: Sequence[str], index: int, before: str, after: str) -> Iterator[tuple[Fact, str]]:
    number = words[index]
    value = int(number[:15])
    if value >= 1_000 and (value % 500 == 0 or before == "rp") and not (2000 <= value <= 2039 and before != "rp"):
        yield Fact.MONEY, str(value)
    elif before in ("jam", "pukul", "pkl", "jm"):
        if value <= 24:
            yield Fact.HOUR, str(value % 12)
    elif after in _MONTHS and 1 <= value <= 31:
        yield Fact.DAY, str(value)
        yield Fact.MONTH, str(_MONTHS[after])
    elif before in ("tgl", "tanggal", "tggl") and 1 <= value <= 31:
        yield Fact.DAY, str(value)
        if after.isdecimal() and 1 <= int(after[:4]) <= 12:
            yield Fact.MONTH, after.lstrip("0")
    elif _is_date(words, index):
        yield Fact.DAY, str(value)
        yield Fact.MONTH, after.lstrip("0")
    elif 1 <= value <= 9 and (before in _CANDIDATE_CUES or after == "jari"):
        yield Fact.CANDIDATE, str(value)
    elif before in _NUMBERED or before.isdecimal():
        return
    elif len(number) == 2 and number[0] == "0" and value:
        yield Fact.CANDIDATE, str(value)
    elif after in _COUNTED and (value > 2 or after in _NEVER_DOUBLED):
        yield Fact.COUNT, f"{value} {_COUNTED[after]}"
    elif value > 2 and not 2000 <= value <= 2039:  # "bagi2" is no two
        yield Fact.NUMBER, str(value)


def _is_date(words: Sequence[str], index: int) -> bool:
    """Whether a day, a month and possibly a year begin here: "4 11 2024", or "4 11" behind a weekday."""
    if index + 1 >= len(words) or not words[index + 1].isdecimal():
        return False
    if not (1 <= int(words[index][:4]) <= 31 and 1 <= int(words[index + 1][:4]) <= 12):
        return False
    year = words[index + 2] if index + 2 < len(words) else ""
    return (year.isdecimal() and year in ("2023", "2024", "2025", "23", "24", "25")) or (
        index > 0 and words[index - 1] in (*_WEEKDAYS, "minggu")
    )


def _given(words: Sequence[str]) -> Iterator[str]:
    """What is given, by its place behind the verb, for goods that nobody has listed: "bagi rantang"."""
    for index, word in enumerate(words[:-1]):
        if len(word) > 2 and _gives(word):
            following = words[index + 2] if words[index + 1] == word and index + 2 < len(words) else words[index + 1]
            goods = stem(following)
            goods = _GOODS_BY_STEM.get(goods, goods)
            listed = SAME.get(following, following) in _NO_GOODS
            if goods and not listed and not goods.isdecimal() and not _gives(following):
                yield goods


@lru_cache(maxsize=100_000)
def _gives(word: str) -> bool:
    return _GIVES.fullmatch(word) is not None


def _names(text: str, words: int, places: Collection[str]) -> list[tuple[Fact, str]]:
    """Names other than those of the places that are known; none of a text in which every other word has a capital."""
    found: dict[int, str] = {}  # by the place in the text where each ends
    capitals = 0
    for match in _CAPITAL.finditer(text):
        capitals += 1
        start, name = match.start(), match[1].casefold()
        before = text[start - 1] if start else ""
        if found.get(start) in _HALF_A_NAME:
            found[match.end()] = found.pop(start) + name
        # Behind a full stop a capital says nothing.
        elif before not in _SENTENCE_ENDS and name not in _NO_PROPER_NAME:
            found[match.end()] = name
    if 2 * capitals >= words:
        return []
    roots = filter(None, map(stem, found.values()))
    return [
        (Fact.NAME, root)
        for root in roots
        if not any(place.startswith(root) or place.endswith(root) for place in places)
    ]


def _name(words: Sequence[str], index: int, *, street: bool) -> str:
    name = words[index] if index < len(words) else ""
    if name in _HALF_A_NAME and index + 1 < len(words):
        name += words[index + 1]
    elif (
        name in _NO_NAME
        or name in SAME
        or (len(name) < 3 and not name.isdecimal())
        or (not street and _VERB.match(name))  # "kepala desa mengembalikan uang"
    ):
        return ""
    return stem(name) or name
