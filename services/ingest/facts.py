"""The facts a report names, each in one form however it is written: where, when, how much, what, who, for whom."""

import re
from collections.abc import Iterator, Sequence
from enum import IntEnum
from functools import lru_cache

from services.ingest.words import COMMON, SAME, SILENT, by_member, stem, word_set

MOST_FACTS = 14
MOST_FACTS_OF_A_KIND = 3


class Fact(IntEnum):
    """A kind of fact; values are stored, so they never change."""

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


def read_facts(words: Sequence[str], *, district: str = "") -> tuple[tuple[Fact, str], ...]:
    """Kind and value of what the words name, ordered by kind, a few of each.

    Args:
        words: lower case, with sums as digits and titles in one word.
        district: code of the district that is known by other means.
    """
    facts = list(_facts(words))
    if not any(kind is Fact.GOODS for kind, _ in facts):
        facts += ((Fact.GOODS, goods) for goods in _given(words))
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
_ACTORS: dict[str, str] = by_member("actors")
_OFFICES: dict[str, str] = by_member("offices")
_MONTHS: dict[str, int] = by_member("months")
_WEEKDAYS: dict[str, str] = by_member("weekdays")
_PARTS: dict[str, str] = by_member("parts")
_COUNTED: dict[str, str] = by_member("counted")
_NEVER_DOUBLED = word_set("never_doubled")
_CANDIDATE_CUES = word_set("candidate_cues")
_BEFORE_A_PART = word_set("before_a_part")
_HALF_A_NAME = word_set("half_a_name")
_NO_NAME = SILENT | word_set("no_name")
_NO_GOODS = (COMMON - _GOODS.keys()) | word_set("no_goods")
_VERB = re.compile(r"di.{4}|me[mnlrwy].{3}|ber.{4}|.{4,}kan$")
_GIVES = re.compile(
    r"(?:mem|me[nm]?y?|di|nge?|m)?(?:bagi|beri|kasih?|asih?|dapat|dapet|dpt|umbang|sumbang|kirim)(?:kan|kn|in)?"
)
_TELLING = frozenset(
    [*_PLACES, *_NUMBERED, *_GOODS, *_ACTORS, *_OFFICES, *_WEEKDAYS, *_PARTS, "minggu", "semalam", "semalem"]
)


def _facts(words: Sequence[str]) -> Iterator[tuple[Fact, str]]:
    last = len(words) - 1
    for index, word in enumerate(words):
        number = word.isdecimal()
        if not number and word not in _TELLING:
            continue
        before = words[index - 1] if index else ""
        after = words[index + 1] if index < last else ""
        if number:
            yield from _number_facts(words, index, before, after)
        elif word in _PLACES:
            kind = _PLACES[word]
            if name := _name(words, index + 1, street=kind is Fact.STREET):
                yield kind, name
        elif word in _NUMBERED:
            if after.isdecimal():
                yield _NUMBERED[word], after.lstrip("0")
                if word == "rt" and index + 2 <= last and words[index + 2].isdecimal():
                    yield Fact.RW, words[index + 2].lstrip("0")
        elif word in _GOODS:
            yield Fact.GOODS, _GOODS[word]
        elif word in _ACTORS:
            yield Fact.ACTOR, _ACTORS[word]
        elif word in _WEEKDAYS:
            yield Fact.WEEKDAY, _WEEKDAYS[word]
        elif word == "minggu" and (before in ("hari", "malam", "mlm") or after.isdecimal() or after in _PARTS):
            yield Fact.WEEKDAY, "ahad"
        elif word in ("semalam", "semalem"):
            yield Fact.PART_OF_DAY, "malam"
        elif word in _PARTS and (before in _BEFORE_A_PART or before.isdecimal()):
            yield Fact.PART_OF_DAY, _PARTS[word]
        if word in _OFFICES:
            yield Fact.OFFICE, _OFFICES[word]


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
            listed = SAME.get(following, following) in _NO_GOODS
            if goods and not listed and not goods.isdecimal() and not _gives(following):
                yield goods


@lru_cache(maxsize=100_000)
def _gives(word: str) -> bool:
    return _GIVES.fullmatch(word) is not None


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
