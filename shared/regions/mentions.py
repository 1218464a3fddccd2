"""Finds the names of regions in a text, each with the codes it may stand for and the part it plays.

One pass over the words: a look-up of the first word of every name, then the longest name that fits. The time is
linear in the length of the text.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from rapidfuzz.distance import OSA

from shared.regions.cues import (
    AND,
    AUTHORITIES,
    ENDS_A_NAME,
    FIGURES,
    FILLERS,
    HASHTAG_PREFIXES,
    HEALTH_CENTRES,
    LEVEL_WORDS,
    LEVELS,
    NEWSPAPERS,
    NOT_A_PLACE_AFTER,
    OFFICES,
    ORIGINS,
    PLACES,
    TEASERS,
    TITLES,
    VENUES,
    Level,
    Role,
)
from shared.regions.gazetteer import DISTRICT, PROVINCE, REGENCY, SHORTEST_SPELLABLE, Gazetteer, consonants, is_city

MOST_GUESSES = 6
"""Words tried as a misspelt name, per text."""

MOST_MENTIONS = 96
"""Names beyond these are not weighed: a text that names more is a list, and the first ones are its head."""

_TOKEN = re.compile(r"\w+|[–—\n.,:;()/#@!?&]|(?<=\s)-(?=\s)")
_DROPPED = "'’‘`´"
_DASH_WITHIN = re.compile(r"-(?!(?<=\s-)\s)")
_DASH_BEFORE_A_SPACE = re.compile(r"-['`_\s]")
_ASCII_MARKS = ".,:;()/#@!?&\n"
_ASCII_DROPPED = _DROPPED.encode("ascii", "ignore")
_ASCII_PLAIN = bytes(
    [code if chr(code).isalnum() or chr(code) in f"{_ASCII_MARKS}-" else ord(" ") for code in range(128)]
).ljust(256)
"""For `bytes.translate`: a space for all that is neither word nor mark; of 256 bytes the upper half is never met."""
_ASCII_PLAIN_WITHOUT_DASHES = _ASCII_PLAIN.replace(b"-", b" ")
_ADDRESS_ON_THE_NET = re.compile(
    r"https?://\S{1,2000}|(?<![\w.])(?:[\w-]{1,60}\.){1,4}(?:com|co|id|net|org|info|news|tv|me|go)\b(?:/\S{0,2000})?",
    re.IGNORECASE,
)
_NET_MARK = re.compile(r"\.(?:com?|id|net|org|info|news|tv)")
_MARKS = frozenset("–—-\n.,:;()/#@!?&")
_VILLAGE_CUES = frozenset(word for word, level in LEVELS.items() if level is Level.VILLAGE)
_TEASER_STARTS = frozenset(first for first, _ in TEASERS)
_CUES_OF_A_GUESS = (frozenset(LEVELS) - _VILLAGE_CUES) | AUTHORITIES | PLACES
_CUES = OFFICES | PLACES | ORIGINS | FILLERS | frozenset(LEVELS) | frozenset(second for _, second in TITLES)
_NEVER_A_VILLAGE = frozenset(LEVELS) | OFFICES | ENDS_A_NAME | PLACES | ORIGINS | FILLERS
_STOPS = frozenset(".\n!?;")
_ABBREVIATIONS = frozenset(
    {
        "kab", "kec", "kel", "ds", "prov", "prop", "kep", "kp", "dsn", "adm", "jl", "jln", "gg", "h", "hj",
        "drs", "dr", "ir", "prof", "no", "st", "gn",
    }
)  # fmt: skip
_NATIONAL_NEWSROOM = "31"
"""A dateline from Jakarta stands over news from everywhere."""
_AFTER_A_DATELINE = frozenset(",:–—-")
_LONG_WORD = 10
_MISSPELT = 0.6
_DATELINE_REACH = 6
_MOST_BEFORE_DATELINE = 4
_VENUE_REACH = 7
_LONGEST_VILLAGE = 4


class Words:
    """A text cut into words and marks, in lower case.

    Args:
        marked: the text with spaces around every mark; line breaks are marks.
        has_case: whether capitals tell names from other words in it.
    """

    __slots__ = ("_dropped", "_marked", "_spelt", "has_case", "lower")

    def __init__(self, marked: str, *, has_case: bool) -> None:
        self.has_case = has_case
        self._marked = marked
        self._spelt: list[str] | None = None
        self.lower = _split(marked.lower())
        self._dropped = _full_stops_of_abbreviations(self.lower)
        if self._dropped:
            self.lower = _without(self._dropped, self.lower)

    @property
    def spelt(self) -> list[str]:
        """The same words in their original spelling."""
        if self._spelt is None:
            self._spelt = _without(self._dropped, _split(self._marked))
        return self._spelt

    def is_capital(self, index: int) -> bool:
        return self.has_case and self.spelt[index][0].isupper()


@dataclass(slots=True)
class Mention:
    """A name at words `start` to `end`, with the codes it may stand for."""

    start: int
    end: int
    codes: tuple[str, ...]
    role: Role
    level: Level | None = None
    other_codes: tuple[str, ...] = ()
    """Codes the same name has at other levels, for when a neighbour asks for one of them."""
    bonus: float = 0.0
    certain: bool = True
    """Whether the name can hardly be anything but a region: it blocks an answer from weaker names when ambiguous."""
    name: str = ""
    follows_comma: bool = False
    """Whether a comma stands before the name, or before its level, as before what a place lies in."""

    @property
    def weight(self) -> float:
        """Weight of the role, with what the position adds."""
        return self.role / 10 + self.bonus


@dataclass(slots=True)
class _Context:
    """The cues directly before a name."""

    level: Level | None = None
    role: Role | None = None
    cues: list[str] = field(default_factory=list)
    begin: int = 0


def cut(text: str) -> Words:
    """Words and marks of a text; addresses on the net become a single `@`."""
    if "://" in text or _NET_MARK.search(text.lower()):
        text = _ADDRESS_ON_THE_NET.sub(" @ ", text)
    has_case = not text.islower() and not text.isupper()
    if not text.isascii():
        return Words(" ".join(_TOKEN.findall(_without_dropped(text))), has_case=has_case)
    # What `_TOKEN` finds, in a fraction of the time: every mark between spaces, everything else a space.
    plain = _ASCII_PLAIN
    if "-" in text:
        if _DASH_BEFORE_A_SPACE.search(text):
            text = _DASH_WITHIN.sub(" ", _without_dropped(text))
        else:
            plain = _ASCII_PLAIN_WITHOUT_DASHES
    text = text.encode().translate(plain, _ASCII_DROPPED).decode()
    for mark in _ASCII_MARKS:
        if mark in text:
            text = text.replace(mark, f" {mark} ")
    return Words(text, has_case=has_case)


def _without_dropped(text: str) -> str:
    """The text without apostrophes, which join what they stand between, and with spaces for underscores."""
    for mark in _DROPPED:
        if mark in text:
            text = text.replace(mark, "")
    return text.replace("_", " ")


def _split(marked: str) -> list[str]:
    """The words and marks of a text with spaces around every mark."""
    return [word for word in marked.split(" ") if word] if "\n" in marked else marked.split()


def _full_stops_of_abbreviations(lower: list[str]) -> list[int]:
    """Where full stops stand that end an abbreviation and no sentence."""
    stop, found = -1, []
    for _ in range(lower.count(".")):
        stop = lower.index(".", stop + 1)
        if stop and lower[stop - 1] in _ABBREVIATIONS:
            found.append(stop)
    return found


def _without(places: list[int], words: list[str]) -> list[str]:
    """The words but for those at `places`, which are in order."""
    kept: list[str] = []
    begin = 0
    for place in places:
        kept += words[begin:place]
        begin = place + 1
    return kept + words[begin:]


class MentionFinder:
    """Finds regions named in a text. Never raises on any text."""

    def __init__(self, gazetteer: Gazetteer) -> None:
        self._gazetteer = gazetteer
        self._starts = frozenset(gazetteer.lengths) | _VILLAGE_CUES | _TEASER_STARTS | {"#"}
        pairs = [name.split(" ", 2)[:2] for name in gazetteer.names if " " in name]
        self._words = frozenset(
            word for word in gazetteer.ordinary | gazetteer.never_alone if not word.startswith("kota ")
        )
        """Names that are other words, too: small ones without a cue before them are."""
        self._first_pairs = frozenset(f"{first} {second}" for first, second in pairs)

    def find(self, words: Words) -> list[Mention]:
        """All names in order of the text, at most `MOST_MENTIONS`."""
        found: list[Mention] = []
        lower, starts, names = words.lower, self._starts, self._gazetteer.names
        free_from = 0
        for index in [i for i, word in enumerate(lower) if word in starts]:
            if index < free_from:
                continue
            word = lower[index]
            mention = None
            if word in _TEASER_STARTS and tuple(lower[index : index + 2]) in TEASERS:
                free_from = _end_of_teaser(lower, index)
                continue
            if word == "#":
                mention = self._hashtag(words, index + 1)
            elif word in names or " ".join(lower[index : index + 2]) in self._first_pairs:
                mention = self._named(words, index, found)
            if LEVELS.get(word) is Level.VILLAGE and (mention is None or mention.end == index + 1):
                mention = self._village(words, index) or mention
            if mention is not None:
                found.append(mention)
                free_from = mention.end
                if len(found) == MOST_MENTIONS:
                    break
        return found

    def guess(self, words: Words) -> list[Mention]:
        """Names that are misspelt ("banjarmsin") or cut in two ("Balik papan"), for a text in which none was found.

        A letter may be missing anywhere; behind a cue the vowels may be wrong too, for at most `MOST_GUESSES` words.
        """
        found: list[Mention] = []
        lower, gazetteer = words.lower, self._gazetteer
        guesses = 0
        for index in self._worth_a_guess(lower):
            word = lower[index]
            before = lower[index - 1] if index else "\n"
            if word in _MARKS or word in _NEVER_A_VILLAGE or before in _VILLAGE_CUES:
                continue
            following = lower[index + 1] if index + 1 < len(lower) else "\n"
            pair = f"{word} {following}"
            name = gazetteer.a_letter_short.get(pair) or gazetteer.a_letter_short.get(word)
            joined = word + following
            if name is None and len(joined) > SHORTEST_SPELLABLE and joined in gazetteer.names:
                name = joined if len(gazetteer.names[joined][0]) <= REGENCY else None
            if name is None and before in _CUES_OF_A_GUESS and word not in gazetteer.names:
                guesses += 1
                name = self._nearest(word, pair, LEVELS.get(before))
            if name is not None:
                context = _context(words, index)
                codes = _read(gazetteer.names[name], context.level)
                role = Role.VENUE if _near_venue(lower, context.begin) else context.role or Role.MENTION
                found.append(Mention(index, index + 1, codes, role, context.level, bonus=-_MISSPELT))
            if guesses == MOST_GUESSES or len(found) == MOST_GUESSES:
                break
        return found

    def _worth_a_guess(self, lower: list[str]) -> list[int]:
        starts, cues = self._gazetteer.halves, _CUES_OF_A_GUESS
        short = self._gazetteer.a_letter_short
        before = ["\n", *lower]
        return [i for i, word in enumerate(lower) if before[i] in cues or word in starts or word in short]

    def _nearest(self, word: str, pair: str, level: Level | None) -> str | None:
        gazetteer = self._gazetteer
        for written in (pair, word):
            if written in gazetteer.not_misspelt or written in gazetteer.villages:
                continue
            if level is Level.DISTRICT:
                # Seven thousand names are like too many words: here only a letter may be missing.
                names = gazetteer.districts_by_consonants.get(consonants(written), ())
                names = tuple(name for name in names if len(name) > len(written) >= SHORTEST_SPELLABLE)
                most = 1
            else:
                names = (
                    gazetteer.by_consonants.get(consonants(written), ()) if len(written) > SHORTEST_SPELLABLE else ()
                )
                most = 2 if len(written) >= _LONG_WORD else 1
            near = [name for name in names if OSA.distance(written, name) <= most]
            if len(near) == 1:
                return near[0]
        return None

    def _named(self, words: Words, start: int, found: list[Mention]) -> Mention | None:
        lower, names = words.lower, self._gazetteer.names
        for length in self._gazetteer.lengths[lower[start]]:
            if length > len(lower) - start:
                continue
            name = lower[start] if length == 1 else " ".join(lower[start : start + length])
            codes = names.get(name)
            if codes is None:
                continue
            end = start + length
            after = lower[end] if end < len(lower) else "\n"
            if name in self._words and after != "kota" and not (words.is_capital(start) or _is_cued(lower, start)):
                continue
            context = _context(words, start)
            level = context.level
            if level is Level.CITY and _names_both_kinds(lower, start):
                level = None
            if after == "kota" and level is None and len(codes) > 1 and not self._starts_a_name(lower, end + 1):
                level, end = Level.CITY, end + 1
            if name.startswith("kota ") and level is not Level.DISTRICT and any(map(is_city, names.get(name[5:], ()))):
                # "Kota Padang" is the city, though a far district bears the name as well.
                return None
            read = _read(codes, level)
            if level is Level.DISTRICT and len(read) > 1 and context.cues and context.cues[0] in HEALTH_CENTRES:
                read = _near_its_regency(codes, read)
            if self._is_place(words, name, read, level, start, end, context, found):
                role = self._role(words, read, start, end, context)
                if role is Role.DATELINE and read == (_NATIONAL_NEWSROOM,):
                    return None
                if role is Role.MENTION and found and found[-1].end == start - 1 and lower[start - 1] in AND:
                    role = found[-1].role
                return Mention(
                    start, end, read, role, level,
                    other_codes=codes if len(codes) > len(read) else (),
                    certain=level is not None or len(read[0]) <= REGENCY,
                    name=name,
                    follows_comma=context.begin > 0
                    and lower[context.begin - 1] == ","
                    and LEVEL_WORDS.issuperset(context.cues),
                )  # fmt: skip
        return None

    def _village(self, words: Words, cue: int) -> Mention | None:
        """The village named right behind a cue such as `desa` or `PKD`."""
        lower, villages = words.lower, self._gazetteer.villages
        start = cue + 1
        for length in range(min(_LONGEST_VILLAGE, len(lower) - start), 0, -1):
            last = start + length - 1
            if lower[start] in _MARKS or lower[last] in _MARKS:
                continue
            name = " ".join(lower[start : last + 1])
            codes = villages.get(name)
            if lower[cue] not in LEVEL_WORDS and len(self._gazetteer.names.get(name, (name,))[0]) <= REGENCY:
                # The `babinsa Karangasem` is of the regency that everybody knows, not of a village somewhere.
                return None
            if codes is None or name in self._gazetteer.never_alone or name in _NEVER_A_VILLAGE:
                continue
            capital = words.is_capital(start)
            if length == 1 and not capital:
                if (
                    words.has_case
                    and name not in self._gazetteer.names
                    and lower[cue] not in ("desa", "kelurahan", "pkd")
                ):
                    continue
                if len(name) < 4 or name in self._gazetteer.ordinary:
                    continue
            if length > 1 and words.has_case and not capital and name not in self._gazetteer.names:
                continue
            read = tuple(codes.split())
            context = _context(words, start)
            role = Role.SUBJECT if context.role is Role.SUBJECT else Role.ADDRESS
            return Mention(start, last + 1, read, role, Level.VILLAGE, certain=False)
        return None

    def _hashtag(self, words: Words, index: int) -> Mention | None:
        if index == len(words.lower) or words.lower[index] in _MARKS:
            return None
        tag = words.lower[index].strip("0123456789")
        names, ordinary = self._gazetteer.names, self._gazetteer.ordinary
        codes = names.get(tag)
        role = Role.MENTION
        if codes is None or tag in ordinary:
            for prefix in HASHTAG_PREFIXES:
                if tag.startswith(prefix) and (named := names.get(tag.removeprefix(prefix))):
                    codes, role = tuple(code for code in named if len(code) <= REGENCY), Role.MENTION
                    level = LEVELS.get(prefix)
                    if codes:
                        return Mention(index, index + 1, _read(codes, level), role, level)
            return None
        if len(codes[0]) > REGENCY and len(tag) < 6:
            return None
        return Mention(index, index + 1, _read(codes, None), role, certain=False)

    def _is_place(
        self, words: Words, name: str, codes: tuple[str, ...], level: Level | None,
        start: int, end: int, context: _Context, found: list[Mention],
    ) -> bool:  # fmt: skip
        before = words.lower[start - 1] if start else "\n"
        after = words.lower[end] if end < len(words.lower) else "\n"
        if before == "@" and start > 1 and words.lower[start - 2] != "," and not context.cues:
            return False
        cued = context.role is not None or level is not None
        if (after in NEWSPAPERS and words.is_capital(end)) or (after in FIGURES and not words.is_capital(end)):
            return False
        if not cued and before in NOT_A_PLACE_AFTER:
            return False
        if start > 1 and words.lower[start - 2] in ("jalan", "jl", "jln") and not cued:
            return False
        capital = words.is_capital(start)
        is_a_word = name in self._gazetteer.ordinary or name in self._gazetteer.never_alone
        office = bool(context.cues) and level is not None and context.cues[0] not in LEVEL_WORDS
        if is_a_word and office and words.has_case and not capital and len(codes[0]) > REGENCY:
            # Who writes capitals writes them in names: the "camat anyar" is a new one.
            return False
        if (before, name) in TITLES:
            return False
        continues = bool(found) and start - found[-1].end <= 1
        opens = before == "\n" and after in _AFTER_A_DATELINE
        stands_alone = before in _STOPS and after in _STOPS
        if name in self._gazetteer.never_alone:
            if len(codes[0]) <= REGENCY and cued and capital:
                return True
            fits = level is not None and _fits(codes, level)
            return fits and (capital or len(codes[0]) <= REGENCY or _boundary(words, end))
        if name in self._gazetteer.ordinary:
            if after == "jaya":
                return False
            if cued and (capital or (_boundary(words, end) and (level is not None or len(codes[0]) <= REGENCY))):
                return True
            if len(codes[0]) <= REGENCY:
                if level is not None and _fits(codes, level):
                    return True
                if capital and (opens or (start and words.spelt[start - 1].islower())):
                    return True
            if opens and capital and after == "," and self._starts_a_name(words.lower, end + 1):
                return True
            return continues and (capital or before == ",")
        if len(codes[0]) <= REGENCY or cued or continues or (capital and (opens or stands_alone)):
            return True
        if name in self._gazetteer.only_with_cue:
            return False
        if words.has_case and not capital:
            return len(name) >= 6
        if " " in name:
            return True
        if capital and (
            _is_name_part(words, start - 1) or (_is_name_part(words, end) and after not in self._gazetteer.lengths)
        ):
            return False
        return len(name) >= 5

    def _starts_a_name(self, lower: list[str], index: int) -> bool:
        return index < len(lower) and lower[index] in self._gazetteer.lengths

    def _role(self, words: Words, codes: tuple[str, ...], start: int, end: int, context: _Context) -> Role:
        if context.role is Role.SUBJECT:
            return Role.SUBJECT
        if context.role in (None, Role.ADDRESS) and _near_venue(words.lower, context.begin):
            return Role.VENUE
        if context.role is None and _is_dateline(words, start, end):
            newsroom = any(code in self._gazetteer.news_towns for code in codes)
            return Role.NEWSROOM if newsroom else Role.DATELINE
        return context.role or Role.MENTION


def _context(words: Words, start: int) -> _Context:
    """Reads the cues before a name, nearest first: `kades di X` is a subject, `di Kab. X` an address."""
    lower = words.lower
    context = _Context(begin=start)
    index = start - 1
    while index >= 0 and len(context.cues) < 4:
        word = lower[index]
        if word in OFFICES:
            context.role = Role.SUBJECT
            if context.level is None and not context.cues:
                context.level = LEVELS.get(word)
        elif word in LEVELS and (context.role is None or context.role is Role.ADDRESS):
            if context.level is None:
                context.level = LEVELS[word]
            context.role = context.role or Role.ADDRESS
        elif word in PLACES and context.role in (None, Role.ADDRESS):
            context.role = context.role or Role.PLACE
        elif index and (lower[index - 1], word) in TITLES:
            context.role = Role.SUBJECT
        elif word in ORIGINS and context.role in (None, Role.ADDRESS):
            context.role = context.role or Role.ORIGIN
        elif word not in FILLERS:
            break
        context.cues.append(word)
        context.begin = index
        if context.role is Role.SUBJECT:
            break
        index -= 1
    return context


def _is_cued(lower: list[str], start: int) -> bool:
    """Whether the word before may be a cue, or a comma that makes a name of what follows another name."""
    return start > 0 and (lower[start - 1] in _CUES or lower[start - 1] == ",")


def _names_both_kinds(lower: list[str], start: int) -> bool:
    """Whether the name is one of "Kabupaten dan Kota Malang", which is neither."""
    return start >= 3 and lower[start - 2] in AND and lower[start - 3] in ("kabupaten", "kab")


@lru_cache(maxsize=4096)
def _read(codes: tuple[str, ...], level: Level | None) -> tuple[str, ...]:
    """The codes that fit the announced level; without one the highest level of the name."""
    if level is Level.PROVINCE:
        fitting = [code for code in codes if len(code) == PROVINCE]
    elif level in (Level.REGENCY, Level.CITY):
        fitting = [code for code in codes if len(code) == REGENCY and is_city(code) == (level is Level.CITY)]
        fitting = fitting or [code for code in codes if len(code) == REGENCY]
    elif level is Level.DISTRICT:
        fitting = [code for code in codes if len(code) == DISTRICT]
    else:
        fitting = []
    return tuple(fitting) or tuple(code for code in codes if len(code) == len(codes[0]))


def _near_its_regency(codes: tuple[str, ...], districts: tuple[str, ...]) -> tuple[str, ...]:
    """Of several districts of a name those in the regency of that name, where there is one; else that regency."""
    regencies = tuple(code for code in codes if len(code) == REGENCY)
    own = tuple(district for district in districts if district[:REGENCY] in regencies)
    return own or regencies or districts


def _fits(codes: tuple[str, ...], level: Level) -> bool:
    length = {Level.PROVINCE: PROVINCE, Level.REGENCY: REGENCY, Level.CITY: REGENCY, Level.DISTRICT: DISTRICT}.get(
        level
    )
    return length is not None and len(codes[0]) == length


def _boundary(words: Words, index: int) -> bool:
    """Whether a name may end before this word."""
    return (
        index >= len(words.lower)
        or words.lower[index] in _MARKS
        or words.lower[index] in ENDS_A_NAME
        or (words.lower[index][0].isdigit())
    )


def _is_name_part(words: Words, index: int) -> bool:
    """Whether the word is capitalised and says nothing by itself, as a part of a person's name does."""
    if not 0 <= index < len(words.lower) or words.lower[index] in _MARKS:
        return False
    word = words.lower[index]
    return (
        words.is_capital(index)
        and word not in OFFICES
        and word not in LEVELS
        and word not in PLACES
        and (word not in ORIGINS and (index == 0 or words.lower[index - 1] not in _STOPS))
        and index > 0
    )


def _near_venue(lower: list[str], start: int) -> bool:
    if VENUES.isdisjoint(lower[max(0, start - _VENUE_REACH) : start]):
        return False
    for index in range(start - 1, max(-1, start - 1 - _VENUE_REACH), -1):
        if lower[index] in _STOPS:
            return False
        if lower[index] in VENUES:
            return True
    return False


def _is_dateline(words: Words, start: int, end: int) -> bool:
    line_start = start
    while line_start and words.lower[line_start - 1] != "\n":
        line_start -= 1
        if start - line_start > _MOST_BEFORE_DATELINE:
            return False
    if start > line_start and words.lower[start - 1] not in ",@-–—()":
        return False
    for index in range(end, min(end + _DATELINE_REACH, len(words.lower))):
        word = words.lower[index]
        if word in ("–", "—", "-"):
            return True
        if word in ("\n", ".") or word in OFFICES:
            return False
        if word[0].isdigit() and words.lower[end] == ",":
            return True
    return False


def _end_of_teaser(lower: list[str], index: int) -> int:
    """End of the line; where it says no more than "Baca juga:", the end of the next line that is not empty."""
    end = index
    while end < len(lower) and lower[end] != "\n":
        end += 1
    if all(word in _MARKS for word in lower[index + 2 : end]):
        while end < len(lower) and lower[end] == "\n":
            end += 1
        while end < len(lower) and lower[end] != "\n":
            end += 1
    return end
