"""Who did what to whom: roles of the officials in a sentence, and the frames of offences that its words fill."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.classify.arrays import Flags, Masks, Numbers, entered, numbers_of, rows_of, showing, shown_at
from services.classify.match import Scan, Spelling
from services.classify.pack import ROLES, FrameRule, RulePack

_HONORIFICS = frozenset(
    (
        "pak",
        "bu",
        "bapak",
        "ibu",
        "bpk",
        "para",
        "semua",
        "seluruh",
        "si",
        "oknum",
        "seorang",
        "sejumlah",
        "beberapa",
        "salah",
        "satu",
        "dua",
        "tiga",
        "kang",
        "mas",
        "mbak",
        "anggota",
        "itu",
        "masing",
        "ketua",
        "pengurus",
        "kedua",
        "pa",
        "bang",
        "tuan",
        "abang",
        "mang",
        "kak",
    )
)
_RECEIVER_WORDS = frozenset(
    (
        "ke",
        "kepada",
        "pada",
        "untuk",
        "bagi",
        "ka",
        "kapada",
        "terhadap",
        "lapor",
        "laporkan",
        "maring",
        "dumateng",
        "buat",
    )
)
_AGENT_WORDS = frozenset(("oleh", "sama", "dari", "dening", "ulih", "ambek"))
_FORMER_WORDS = frozenset(("mantan", "eks", "bekas", "purnawirawan", "pensiunan", "calon", "bakal"))
_WITNESS_WORDS = frozenset(
    (
        "kata",
        "ujar",
        "jelas",
        "ungkap",
        "tutur",
        "disaksikan",
        "menurut",
        "laporan",
        "laporkan",
        "dilaporkan",
        "bersama",
        "ujarnya",
    )
)
_RELATIVE_WORDS = frozenset(("yang", "karena", "lantaran", "terkait", "diduga", "setelah", "atas", "usai"))
_PLAIN, _HONORIFIC, _FORMER, _RECEIVER, _WITNESS, _AGENT = range(6)
_BEFORE = {
    **dict.fromkeys(_AGENT_WORDS, _AGENT),
    **dict.fromkeys(_WITNESS_WORDS, _WITNESS),
    **dict.fromkeys(_RECEIVER_WORDS, _RECEIVER),
    **dict.fromkeys(_FORMER_WORDS, _FORMER),
    **dict.fromkeys(_HONORIFICS, _HONORIFIC),
}
"""What a word before an official tells of his role."""
_ACCUSED_WITHIN = 4
_REACH = 3
_JOINED_REACH = 6
_COORDINATED = 2
"""Words between two officials who act together: "camat dan kades"."""


Hit = tuple[int, int, int]
"""The half-open range of words that show concepts, and the mask of these."""


@dataclass(slots=True)
class Unit:
    """A sentence, or two neighbours, in which a frame may be filled."""

    mask: int
    joined: bool
    hits: Sequence[Hit]
    by_part: dict[int, list[Hit]] = field(default_factory=dict)

    def showing(self, part: int) -> list[Hit]:
        """The hits whose concepts are in the mask `part`."""
        hits = self.by_part.get(part)
        if hits is None:
            hits = self.by_part[part] = [hit for hit in self.hits if hit[2] & part]
        return hits


class _Verb(NamedTuple):
    mask: int
    start: int
    end: int
    passive: bool


@dataclass(slots=True)
class Filled:
    """A frame with the hits that fill it, by slot, and the unit they stand in."""

    frame: "Frame"
    unit: Unit
    slots: dict[str, list[Hit]]


@dataclass(slots=True)
class Reading:
    """The concepts in texts once every official has his role and every ambiguous word its meaning."""

    scan: Scan
    text_masks: Masks
    masks: list[int]
    """The same, one number a text."""
    sentence_masks: Masks
    text_of_sentence: Numbers
    sentence_bounds: list[int]
    """The first sentence of each text and, last, how many there are."""
    hit_bounds: list[int]
    """The first hit of each sentence and, last, how many there are."""
    hit_starts: list[int]
    hit_ends: list[int]

    def hits_of(self, text: int) -> list[Hit]:
        """The hits in a text."""
        return self._hits(self.sentence_bounds[text], self.sentence_bounds[text + 1])

    def unit(self, sentence: int, mask: int, *, joined: bool) -> Unit:
        """A sentence, joined with the next one or not."""
        return Unit(mask, joined, self._hits(sentence, sentence + 1 + joined))

    def _hits(self, first: int, last: int) -> list[Hit]:
        """The hits in some sentences."""
        some = slice(self.hit_bounds[first], self.hit_bounds[last])
        return list(zip(self.hit_starts[some], self.hit_ends[some], self.scan.hit_concepts[some], strict=True))

    def asks(self, text: int) -> bool:
        """Whether any sentence of a text is a question."""
        return bool(self.scan.questions[self.sentence_bounds[text] : self.sentence_bounds[text + 1]].any())


class Frame:
    """A `FrameRule` compiled to bit masks."""

    __slots__ = ("code", "compound", "joins", "logit", "near", "needs", "rule", "slots", "unless")

    def __init__(self, rule: FrameRule, slots: dict[str, tuple[tuple[int, ...], ...]], unless: int) -> None:
        self.rule = rule
        self.slots = slots
        self.code = rule.code
        self.joins = rule.joins
        self.near = rule.near
        self.unless = unless
        self.logit = math.log(rule.risk / (1 - rule.risk))
        self.needs = tuple(_any(part for option in options for part in option) for options in slots.values())
        """For each slot the concepts of which at least one must stand there."""
        self.compound = tuple(
            options for options in slots.values() if any(len(option) > 1 for option in options)
        )  # fmt: skip

    def fits(self, mask: int) -> bool:
        """Whether concepts that hold one of every need could fill the slots that ask for several together."""
        for options in self.compound:
            for option in options:
                for part in option:
                    if not mask & part:
                        break
                else:
                    break
            else:
                return False
        return True


class Reader:
    """Finds roles and filled frames; compiled once from a rule pack.

    Args:
        pack: the rule pack.
        concepts: concept name -> its number.
    """

    def __init__(self, pack: RulePack, concepts: dict[str, int]) -> None:
        self._bits = {name: 1 << number for name, number in concepts.items()}
        self._mask_rows = -(-len(concepts) // 64)
        by_risk = sorted(pack.frames.frames, key=lambda rule: -rule.risk)
        self.frames = tuple(self._compile(pack, rule) for rule in by_risk)
        self._anything_of: dict[str, int] = {}
        # Who may commit the offence, where every frame of a code asks for that.
        self._actors_of: dict[str, int] = {}
        for frame in self.frames:
            self._anything_of[frame.code] = self._anything_of.get(frame.code, 0) | _any(frame.needs)
            needed = dict(zip(frame.slots, frame.needs, strict=True)).get("actor", -1)
            self._actors_of[frame.code] = self._actors_of.get(frame.code, 0) | needed
        self._codes = {code: number for number, code in enumerate(self._anything_of)}
        self._code_of_frame = np.array([self._codes[frame.code] for frame in self.frames], dtype=np.int64)
        # For each slot, rarest first, what every frame needs there; a frame with fewer slots needs anything.
        anything = (1 << len(concepts)) - 1
        slots = max((len(frame.needs) for frame in self.frames), default=0)
        needs = [sorted(frame.needs, key=int.bit_count) + [anything] * slots for frame in self.frames]
        self._needs = [rows_of([rarest[slot] for rarest in needs], self._mask_rows) for slot in range(slots)]
        self._joins = np.array([frame.joins for frame in self.frames], dtype=np.bool_)
        self._unless = rows_of([frame.unless for frame in self.frames], self._mask_rows)
        self._rewrites = tuple(
            (self._bits[r.concept], self._mask(r.when), self._bits[r.then], self._bits[r.otherwise])
            for r in pack.frames.rewrites
        )
        actors = [name for name in concepts if name.startswith("actor.")]
        self._roles = {self._bits[name]: {role: self._bits[f"{role}.{name[6:]}"] for role in ROLES} for name in actors}
        self._actors = self._mask(actors)
        self._reporting = self._mask(("actor.watch", "actor.organizer", "actor.polri", "actor.official"))
        self._ordering = self._mask(("act.order", "act.gather", "act.threaten", "act.contact", "act.appeal"))
        self._blockers = self._mask(
            n for n in actors if n[6:] in {"asn", "honorer", "tni", "polri", "village", "bumn", "organizer", "official"}
        )
        self._contact = self._mask(("act.contact",))
        self._giving = self._mask(("act.give", "act.bribe"))
        self._report = self._bits["act.report"]
        self._verbs = self._ordering | self._giving | self._report
        self._recast = lru_cache(maxsize=4096)(self._recast_as)
        self._spellings: list[Spelling] = []
        self._known = 0
        # What is known of each spelling, by its number.
        self._before = np.zeros(0, dtype=np.uint8)
        self._passive = np.zeros(0, dtype=np.bool_)
        self._relative = np.zeros(0, dtype=np.bool_)

    def _mask(self, names: Iterable[str]) -> int:
        return _any(self._bits[name] for name in names)

    def _rows(self, mask: int) -> Masks:
        return rows_of([mask], self._mask_rows)

    def _compile(self, pack: RulePack, rule: FrameRule) -> Frame:
        slots = {}
        for slot, written in rule.slots.items():
            options = [tuple(self._mask(any_of) for any_of in option) for option in pack.alternatives(written)]
            alone = _any(option[0] for option in options if len(option) == 1)
            slots[slot] = (*(option for option in options if len(option) > 1), *([(alone,)] if alone else []))
        return Frame(rule, slots, self._mask(rule.unless))

    def resolve(self, scan: Scan) -> Reading:
        """Give every actor its role and every ambiguous word its meaning, in the scan itself."""
        masks = scan.hit_masks
        texts = len(scan.first_words) - 1
        sentences = len(scan.sentence_starts)
        text_of_sentence = scan.text_of_sentences()
        sentence_of_hit = scan.sentence_of_hits()
        self._rewrite(scan, text_of_sentence[sentence_of_hit], texts)
        self._cast(scan, sentence_of_hit)
        sentence_masks = _together(masks, sentence_of_hit, sentences)
        text_masks = _together(sentence_masks, text_of_sentence, texts)
        return Reading(
            scan=scan,
            text_masks=text_masks,
            masks=numbers_of(text_masks),
            sentence_masks=sentence_masks,
            text_of_sentence=text_of_sentence,
            sentence_bounds=np.searchsorted(text_of_sentence, np.arange(texts + 1)).tolist(),
            hit_bounds=np.searchsorted(sentence_of_hit, np.arange(sentences + 1)).tolist(),
            hit_starts=scan.hit_starts.tolist(),
            hit_ends=scan.hit_ends.tolist(),
        )

    def _rewrite(self, scan: Scan, text_of_hit: Numbers, texts: int) -> None:
        """Read each ambiguous concept as what the rest of its text makes of it."""
        found = [np.flatnonzero(showing(scan.hit_masks, self._rows(rewrite[0]))) for rewrite in self._rewrites]
        if not any(map(len, found)):
            return
        whole = numbers_of(_together(scan.hit_masks, text_of_hit, texts))
        for (concept, when, then, otherwise), hits in zip(self._rewrites, found, strict=True):
            meant = [then if whole[text] & when else otherwise for text in text_of_hit[hits].tolist()]
            self._give(
                scan,
                {hit: scan.hit_concepts[hit] & ~concept | one for hit, one in zip(hits.tolist(), meant, strict=True)},
            )

    def _give(self, scan: Scan, concepts: Mapping[int, int]) -> None:
        """Let hits show other concepts, by their numbers."""
        if concepts:
            scan.hit_masks[:, list(concepts)] = rows_of(list(concepts.values()), self._mask_rows)
            for hit, mask in concepts.items():
                scan.hit_concepts[hit] = mask

    # Roles

    def _learn(self, spellings: list[Spelling]) -> None:
        """Enter the spellings met since the last time into the tables."""
        if spellings is not self._spellings:
            self._spellings, self._known = spellings, 0
        first, fresh = self._known, spellings[self._known :]
        self._before = entered(self._before, first, [_BEFORE.get(spelling.form, _PLAIN) for spelling in fresh])
        self._passive = entered(self._passive, first, [spelling.passive for spelling in fresh])
        self._relative = entered(self._relative, first, [spelling.form in _RELATIVE_WORDS for spelling in fresh])
        self._known = len(spellings)

    def _cast(self, scan: Scan, sentence_of_hit: Numbers) -> None:
        """Give every actor its role."""
        self._learn(scan.spellings)
        masks = scan.hit_masks
        actors = np.flatnonzero(showing(masks, self._rows(self._actors)))
        if not len(actors):
            return
        verbs = np.flatnonzero(showing(masks, self._rows(self._verbs)))
        first_verbs = np.searchsorted(sentence_of_hit[verbs], sentence_of_hit[actors])
        last_verbs = np.searchsorted(sentence_of_hit[verbs], sentence_of_hit[actors], side="right")
        before, told = self._words_before(scan, scan.hit_starts[actors], scan.sentence_starts[sentence_of_hit[actors]])
        # Most act, whatever else is said: nothing before them and no verb near them gives them another role.
        open_ones = np.flatnonzero((last_verbs > first_verbs) | ((told != _PLAIN) & (told != _AGENT)))
        hits = actors[open_ones]
        of_verbs = [
            _Verb(*verb)
            for verb in zip(
                [scan.hit_concepts[verb] for verb in verbs.tolist()],
                scan.hit_starts[verbs].tolist(),
                scan.hit_ends[verbs].tolist(),
                self._passive[scan.words[scan.hit_starts[verbs]]].tolist(),
                strict=True,
            )
        ]
        officials = zip(
            hits.tolist(),
            [scan.hit_concepts[hit] for hit in hits.tolist()],
            scan.hit_ends[hits].tolist(),
            before[open_ones].tolist(),
            told[open_ones].tolist(),
            self._accused(scan, scan.hit_ends[hits], scan.sentence_ends[sentence_of_hit[hits]]).tolist(),
            first_verbs[open_ones].tolist(),
            last_verbs[open_ones].tolist(),
            strict=True,
        )
        recast: dict[int, int] = {}
        for hit, mask, end, word_before, tells, is_accused, first, last in officials:
            role = self._role(mask, end, word_before, tells, accused=is_accused, verbs=of_verbs[first:last])
            if role:
                recast[hit] = self._recast(mask, role)
        self._give(scan, recast)

    def _accused(self, scan: Scan, ends: Numbers, until: Numbers) -> Flags:
        """Whether the words after each of some officials, within the sentence, go on to say what he did."""
        places = ends[:, None] + np.arange(_ACCUSED_WITHIN)
        relative = self._relative[scan.words[np.minimum(places, len(scan.words) - 1)]]
        accused: Flags = (relative & (places < until[:, None])).any(axis=1)
        return accused

    def _words_before(self, scan: Scan, starts: Numbers, least: Numbers) -> tuple[Numbers, NDArray[np.uint8]]:
        """The word before each of some words, honorifics passed over, and what it tells; nothing beyond `least`."""
        told = self._before[scan.words]
        behind = np.where(told == _HONORIFIC, -1, np.arange(len(told)))
        np.maximum.accumulate(behind, out=behind)
        before = np.maximum(np.concatenate([_NOTHING, behind])[starts], least - 1)
        return before, np.where(before >= least, told[before], _PLAIN)

    def _role(self, mask: int, end: int, before: int, tells: int, *, accused: bool, verbs: Sequence[_Verb]) -> str:
        """`receiver`, `patient`, `reporter`, `former`, or empty for the one who acts.

        Args:
            mask: what the official's words show.
            end: where they end.
            before: the word before him, honorifics passed over.
            tells: what that word tells.
            accused: whether the sentence goes on to say what he did: "memanggil kades yang mengantar calon".
            verbs: the verbs of his sentence.
        """
        if tells == _FORMER:
            return "former"
        if tells == _RECEIVER:
            return "receiver"
        if tells == _WITNESS and mask & self._reporting:
            return "reporter"
        if tells == _AGENT:
            return ""
        after_verb = ""
        verb_before: _Verb | None = None
        for verb in verbs:
            if 0 <= verb.start - end < (_REACH + 2 if verb.passive else _REACH):
                if verb.mask & self._report and not verb.passive and mask & self._reporting:
                    return "reporter"
                if verb.passive and verb.mask & (self._ordering & ~self._contact):
                    after_verb = "patient"
                elif verb.passive and verb.mask & self._giving:
                    after_verb = after_verb or "receiver"
            elif verb.end - 1 == before and not verb.mask & self._report:
                verb_before = verb
        if verb_before is not None and not accused:
            if verb_before.passive:
                return ""
            if verb_before.mask & self._ordering:
                return "patient"
            if verb_before.mask & self._giving:
                return "receiver"
        return after_verb

    def _recast_as(self, mask: int, role: str) -> int:
        """The mask with its actors in another role; gone when the role is none of an offence."""
        recast = mask & ~self._actors
        if role in ROLES:
            for actor, roles in self._roles.items():
                if mask & actor:
                    recast |= roles[role]
        return recast

    # Frames

    def shows(self, code: str, mask: int) -> bool:
        """Whether a text with these concepts shows anything that a frame of the code asks for."""
        return mask & self._anything_of[code] != 0

    def shows_actor(self, code: str, mask: int) -> bool:
        """Whether a text with these concepts shows somebody who may commit the offence, where it asks for that."""
        return mask & self._actors_of[code] != 0

    def fill(self, reading: Reading, codes: Sequence[Collection[str]]) -> list[list[Filled]]:
        """Of each text every frame that it fills, with its closest filling in each place.

        A place is a sentence, or two neighbours for frames that no single one fills; of the frames of a code the
        likeliest counts there.

        Args:
            reading: of the texts.
            codes: of each text those whose frames are looked for.
        """
        masks, text_of = reading.sentence_masks, reading.text_of_sentence
        filled: list[list[Filled]] = [[] for _ in reading.masks]
        some: Flags = np.bitwise_or.reduce(masks, axis=0) != 0
        single = np.flatnonzero(some)
        pairs = np.flatnonzero(some[:-1] & some[1:] & (text_of[:-1] == text_of[1:]))
        # What no text as a whole shows, no part of it does.
        asked = np.zeros((len(self._codes), len(filled)), dtype=np.bool_)
        likely_codes = [self._codes[code] for likely in codes for code in likely]
        asked[likely_codes, np.repeat(np.arange(len(codes)), [len(likely) for likely in codes])] = True
        frames, texts = self._shown(asked[self._code_of_frame], reading.text_masks)
        allowed = ~showing(reading.text_masks[:, texts], self._unless[:, frames])
        open_frames = np.zeros((len(self.frames), len(filled)), dtype=np.bool_)
        open_frames[frames[allowed], texts[allowed]] = True
        self._fill(reading, single, masks[:, single], open_frames, filled, joined=False)
        open_frames &= self._joins[:, None]
        self._fill(reading, pairs, masks[:, pairs] | masks[:, pairs + 1], open_frames, filled, joined=True)
        return filled

    def _shown(self, allowed: Flags, masks: Masks) -> tuple[Numbers, Numbers]:
        """The allowed pairs of a frame and a place whose mask holds something for every slot."""
        frames, places = shown_at(allowed)
        for needs in self._needs:
            shown = showing(masks[:, places], needs[:, frames])
            frames, places = frames[shown], places[shown]
        return frames, places

    def _fill(
        self,
        reading: Reading,
        sentences: Numbers,
        masks: Masks,
        open_frames: Flags,
        filled: list[list[Filled]],
        *,
        joined: bool,
    ) -> None:
        """Fill frames in places that begin with `sentences` and show `masks`, and close those of a text that are."""
        texts = reading.text_of_sentence[sentences]
        numbers, places = self._shown(open_frames[:, texts], masks)
        units: dict[int, Unit] = {}
        done: set[tuple[str, int]] = set()
        for number, text, sentence, mask in zip(
            numbers.tolist(),
            texts[places].tolist(),
            sentences[places].tolist(),
            numbers_of(masks[:, places]),
            strict=True,
        ):
            frame = self.frames[number]  # likeliest first
            if (frame.code, sentence) in done or not frame.fits(mask):
                continue
            unit = units.get(sentence)
            if unit is None:
                unit = units[sentence] = reading.unit(sentence, mask, joined=joined)
            closest = _closest(frame, unit, self._blockers)
            if closest is not None:
                filled[text].append(closest)
                done.add((frame.code, sentence))
                open_frames[number, text] = False


_NOTHING = np.full(1, -1, dtype=np.int64)


def _together(masks: Masks, groups: Numbers, count: int) -> Masks:
    """What the masks of each group hold together; the groups come in order."""
    together = np.zeros((len(masks), count), dtype=np.uint64)
    if len(groups):
        first = np.flatnonzero(np.diff(groups, prepend=-1))
        together[:, groups[first]] = np.bitwise_or.reduceat(masks, first, axis=1)
    return together


def _any(bits: Iterable[int]) -> int:
    mask = 0
    for bit in bits:
        mask |= bit
    return mask


def _closest(frame: Frame, unit: Unit, blockers: int) -> Filled | None:
    """The filling with the smallest reach around one word of the first slot, if it is within the frame's limit.

    The unit must show a concept for every slot.
    """
    too_far = frame.near + (_JOINED_REACH if unit.joined else 0) + 1
    mask = unit.mask
    slots: list[tuple[str, list[list[list[Hit]]]]] = []
    for slot, options in frame.slots.items():
        shown: list[list[list[Hit]]] = []
        for option in options:
            for part in option:
                if not mask & part:
                    break
            else:
                shown.append([unit.showing(part) for part in option])
        slots.append((slot, shown))
    best: Filled | None = None
    tried: set[int] = set()
    for anchors in slots[0][1]:
        for hits in anchors:
            for anchor, _, _ in hits:
                if anchor in tried:
                    continue
                tried.add(anchor)
                reach = 0
                chosen: dict[str, list[Hit]] = {}
                for slot, alternatives in slots:
                    nearest = too_far
                    picked: list[Hit] = []
                    for option_hits in alternatives:
                        distance = 0
                        group = []
                        for part_hits in option_hits:
                            close = part_hits[0]
                            gap = abs(close[0] - anchor)
                            if len(part_hits) > 1:
                                for other in part_hits:
                                    other_gap = abs(other[0] - anchor)
                                    if other_gap < gap:
                                        close, gap = other, other_gap
                            group.append(close)
                            if gap > distance:
                                distance = gap
                        if distance < nearest:
                            nearest, picked = distance, group
                    if nearest > reach:
                        reach = nearest
                    if reach >= too_far:
                        break
                    chosen[slot] = picked
                else:
                    if "actor" in chosen and _blocked(chosen, unit, blockers & ~frame.needs[0]):
                        continue
                    best = Filled(frame, unit, chosen)
                    too_far = reach
    return best


def _blocked(chosen: dict[str, list[Hit]], unit: Unit, blockers: int) -> bool:
    """Whether another official stands between the actor and the act, and so is the one who acts."""
    if not unit.mask & blockers:
        return False
    actor, after_actor, _ = min(chosen["actor"], key=itemgetter(0))
    act = min((start for start, _, _ in chosen.get("act", ())), default=actor)
    return any(
        start < act and start - after_actor > _COORDINATED and start >= after_actor
        for start, _, _ in unit.showing(blockers)
    )
