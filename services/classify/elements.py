"""Who did what to whom: roles of the officials in a sentence, and the frames of offences that its words fill."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from services.classify.match import Entry, Hit, Scan, Sentence
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
_REACH = 3
_JOINED_REACH = 6
_COORDINATED = 2
"""Words between two officials who act together: "camat dan kades"."""


@dataclass(slots=True)
class Unit:
    """A sentence, or two neighbours, in which a frame may be filled."""

    first: int
    last: int
    mask: int
    hits: list[Hit]
    joined: bool
    by_part: dict[int, list[Hit]] = field(default_factory=dict)

    def showing(self, part: int) -> list[Hit]:
        """The hits whose concept is in the mask `part`."""
        hits = self.by_part.get(part)
        if hits is None:
            hits = self.by_part[part] = [h for h in self.hits if h.mask & part]
        return hits


@dataclass(slots=True)
class Filled:
    """A frame with the hits that fill it, by slot, and the unit they stand in."""

    frame: "Frame"
    unit: Unit
    slots: dict[str, list[Hit]]
    distance: int


class Frame:
    """A `FrameRule` compiled to bit masks."""

    __slots__ = ("code", "compound", "gate", "joins", "near", "needs", "rule", "slots", "unless")

    def __init__(self, rule: FrameRule, slots: dict[str, tuple[tuple[int, ...], ...]], unless: int) -> None:
        self.rule = rule
        self.slots = slots
        self.code = rule.code
        self.joins = rule.joins
        self.near = rule.near
        self.unless = unless
        self.needs = tuple(_any(part for option in options for part in option) for options in slots.values())
        self.gate = min(self.needs, key=int.bit_count)
        self.compound = tuple(
            options for options in slots.values() if any(len(option) > 1 for option in options)
        )  # fmt: skip

    def possible(self, mask: int) -> bool:
        """Whether the concepts in `mask` could fill every slot."""
        for need in self.needs:
            if not mask & need:
                return False
        if mask & self.unless:
            return False
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
        by_risk = sorted(pack.frames.frames, key=lambda rule: -rule.risk)
        self.frames = tuple(self._compile(pack, rule) for rule in by_risk)
        by_gate: dict[int, list[tuple[int, Frame]]] = {}
        for place, frame in enumerate(self.frames):
            by_gate.setdefault(frame.gate, []).append((place, frame))
        self._gates = tuple(by_gate.items())
        self._frames_of: dict[str, list[Frame]] = {}
        for frame in self.frames:
            self._frames_of.setdefault(frame.rule.code, []).append(frame)
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
        self._number = self._bits["side.number"]
        self._verbs = self._ordering | self._giving | self._report

    def _mask(self, names: Iterable[str]) -> int:
        return _any(self._bits[name] for name in names)

    def _compile(self, pack: RulePack, rule: FrameRule) -> Frame:
        slots = {
            slot: tuple(tuple(self._mask(any_of) for any_of in option) for option in pack.alternatives(options))
            for slot, options in rule.slots.items()
        }
        return Frame(rule, slots, self._mask(rule.unless))

    def resolve(self, scan: Scan) -> int:
        """Give every actor its role and every ambiguous word its meaning, in place. Returns the text's concept mask."""
        mask = 0
        for sentence in scan.sentences:
            sentence.mask = _mask_of(sentence.hits)
            mask |= sentence.mask
        for concept, when, then, otherwise in self._rewrites:
            if mask & concept:
                meant = then if mask & when else otherwise
                for sentence in scan.sentences:
                    for hit in sentence.hits:
                        if hit.mask & concept:
                            hit.mask = hit.mask & ~concept | meant
                    sentence.mask = _mask_of(sentence.hits)
        mask = 0
        for sentence in scan.sentences:
            if sentence.mask & self._actors:
                verbs = [hit for hit in sentence.hits if hit.mask & self._verbs]
                actors = [hit for hit in sentence.hits if hit.mask & self._actors]
                roles = [self._role(scan.words, sentence, hit, verbs) for hit in actors]
                for hit, role in zip(actors, roles, strict=True):
                    if role:
                        hit.mask = self._recast(hit.mask, role)
                sentence.mask = _mask_of(sentence.hits)
            mask |= sentence.mask
        return mask

    def _recast(self, mask: int, role: str) -> int:
        """The mask with its actors in another role; gone when the role is none of an offence."""
        recast = mask & ~self._actors
        if role in ROLES:
            for actor, roles in self._roles.items():
                if mask & actor:
                    recast |= roles[role]
        return recast

    def _role(self, words: Sequence[Entry], sentence: Sentence, hit: Hit, verbs: Sequence[Hit]) -> str:
        """`receiver`, `patient`, `reporter`, `former`, or empty for the one who acts."""
        before = hit.start - 1
        while before >= sentence.start and words[before].form in _HONORIFICS:
            before -= 1
        if before >= sentence.start:
            form = words[before].form
            if form in _FORMER_WORDS:
                return "former"
            if form in _RECEIVER_WORDS:
                return "receiver"
            if form in _WITNESS_WORDS and hit.mask & self._reporting:
                return "reporter"
            if form in _AGENT_WORDS:
                return ""
        after_verb = before_verb = 0
        verb_before: Hit | None = None
        for other in verbs:
            bit = other.mask
            passive = words[other.start].passive
            if 0 <= other.start - hit.end < (_REACH + 2 if passive else _REACH):
                if bit & self._report and not passive and hit.mask & self._reporting:
                    return "reporter"
                if passive and bit & (self._ordering & ~self._contact):
                    after_verb = 1
                elif passive and bit & self._giving and not after_verb:
                    after_verb = 2
            elif other.end - 1 == before and not bit & self._report:
                verb_before, before_verb = other, bit
        if verb_before is not None and not self._accused_after(words, sentence, hit):
            if words[verb_before.start].passive:
                return ""
            if before_verb & self._ordering:
                return "patient"
            if before_verb & self._giving:
                return "receiver"
        if after_verb:
            return "patient" if after_verb == 1 else "receiver"
        return ""

    @staticmethod
    def _accused_after(words: Sequence[Entry], sentence: Sentence, hit: Hit) -> bool:
        """Whether the sentence goes on to say what this official did: "memanggil kades yang mengantar calon"."""
        following = [word.form for word in words[hit.end : min(hit.end + 4, sentence.end)]]
        return not _RELATIVE_WORDS.isdisjoint(following)

    @staticmethod
    def units(scan: Scan) -> list[Unit]:
        """The sentences of a text in which any concept stands."""
        return [
            Unit(sentence.start, sentence.end, sentence.mask, sentence.hits, joined=False)
            for sentence in scan.sentences
            if sentence.mask
        ]

    @staticmethod
    def pairs(units: Sequence[Unit]) -> list[Unit]:
        """Neighbouring sentences read as one."""
        return [
            Unit(a.first, b.last, a.mask | b.mask, a.hits + b.hits, joined=True)
            for a, b in pairwise(units)
            if a.last == b.first
        ]

    def share_shown(self, code: str, mask: int) -> float:
        """The largest share of slots, over the frames of a code, for which the text shows at least one concept."""
        return max(
            sum(1 for need in frame.needs if mask & need) / len(frame.needs) for frame in self._frames_of[code]
        )  # fmt: skip

    def _fill_any(self, frame: Frame, units: Sequence[Unit], done: set[tuple[str, int, bool]]) -> list[Filled]:
        """The frame filled in each unit where no likelier frame of its code is (frames come likeliest first)."""
        found = []
        gate = frame.gate
        for unit in units:
            if not unit.mask & gate:
                continue
            place = (frame.code, unit.first, unit.joined)
            if place not in done and frame.possible(unit.mask):
                filled = _closest(frame, unit, self._blockers)
                if filled is not None:
                    found.append(filled)
                    done.add(place)
        return found

    def fill(self, scan: Scan, mask: int) -> list[Filled]:
        """Every frame that the text fills, each with its closest filling per unit."""
        gated = [frames for gate, frames in self._gates if mask & gate]
        places = [place for frames in gated for place, frame in frames if frame.possible(mask)]
        if not places:
            return []
        single = self.units(scan)
        pairs: list[Unit] | None = None
        filled: list[Filled] = []
        done: set[tuple[str, int, bool]] = set()
        for place in sorted(places):
            frame = self.frames[place]
            here = self._fill_any(frame, single, done)
            if not here and frame.joins and len(single) > 1:
                if pairs is None:
                    pairs = self.pairs(single)
                here = self._fill_any(frame, pairs, done)
            filled.extend(here)
        return filled


def _mask_of(hits: Iterable[Hit]) -> int:
    mask = 0
    for hit in hits:
        mask |= hit.mask
    return mask


def _any(bits: Iterable[int]) -> int:
    mask = 0
    for bit in bits:
        mask |= bit
    return mask


def _closest(frame: Frame, unit: Unit, blockers: int) -> Filled | None:
    """The filling with the smallest reach around one word of the first slot, if it is within the frame's limit.

    The unit must show a concept for every slot (`Frame.possible`).
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
            for hit in hits:
                anchor = hit.start
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
                            gap = abs(close.start - anchor)
                            for other in part_hits:
                                other_gap = abs(other.start - anchor)
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
                    best = Filled(frame, unit, chosen, reach)
                    too_far = reach
    return best


def _blocked(chosen: dict[str, list[Hit]], unit: Unit, blockers: int) -> bool:
    """Whether another official stands between the actor and the act, and so is the one who acts."""
    actor = min(chosen["actor"], key=lambda h: h.start)
    act = min((h.start for slot, hits in chosen.items() if slot == "act" for h in hits), default=actor.start)
    return any(
        blockers & h.mask and h.start < act and h.start - actor.end > _COORDINATED and h.start >= actor.end
        for h in unit.hits
    )
