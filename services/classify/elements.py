"""Who did what to whom: roles of the officials in a sentence, and the frames of offences that its words fill."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.classify.match import Entry, Hit, Scan, Sentence
from services.classify.pack import ROLES, FrameRule, RulePack

_HONORIFICS = frozenset(
    "pak bu bapak ibu bpk para semua seluruh si oknum seorang sejumlah beberapa salah satu dua tiga kang mas mbak "
    "anggota itu masing ketua pengurus kedua pa bang tuan abang mang kak".split()
)
_RECEIVER_WORDS = frozenset("ke kepada pada untuk bagi ka kapada terhadap lapor laporkan maring dumateng buat".split())
_AGENT_WORDS = frozenset("oleh sama dari dening ulih ambek".split())
_FORMER_WORDS = frozenset("mantan eks bekas purnawirawan pensiunan calon bakal".split())
_WITNESS_WORDS = frozenset("kata ujar jelas ungkap tutur disaksikan menurut laporan laporkan dilaporkan bersama ujarnya".split())
_RELATIVE_WORDS = frozenset("yang karena lantaran terkait diduga setelah atas usai".split())
_REACH = 3
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


@dataclass(slots=True)
class Filled:
    """A frame with the hits that fill it, by slot, and the unit they stand in."""

    frame: "Frame"
    unit: Unit
    slots: dict[str, list[Hit]]
    distance: int


class Frame:
    """A `FrameRule` compiled to bit masks."""

    __slots__ = ("anchor", "needs", "near", "rule", "slots", "unless")

    def __init__(self, rule: FrameRule, slots: dict[str, tuple[tuple[int, ...], ...]], unless: int) -> None:
        self.rule = rule
        self.slots = slots
        self.near = rule.near
        self.unless = unless
        self.needs = tuple(_any(part for option in options for part in option) for options in slots.values())

    def possible(self, mask: int) -> bool:
        """Whether the concepts in `mask` could fill every slot."""
        for need in self.needs:
            if not mask & need:
                return False
        return all(
            any(all(mask & part for part in option) for option in options) for options in self.slots.values()
        ) and not (mask & self.unless)


class Reader:
    """Finds roles and filled frames; compiled once from a rule pack.

    Args:
        pack: the rule pack.
        concepts: concept name -> its number.
    """

    def __init__(self, pack: RulePack, concepts: dict[str, int]) -> None:
        self._bits = {name: 1 << number for name, number in concepts.items()}
        self.frames = tuple(self._compile(pack, rule) for rule in pack.frames.frames)
        self._rewrites = tuple(
            (concepts[r.concept], self._mask(r.when), concepts[r.then], concepts[r.otherwise])
            for r in pack.frames.rewrites
        )
        actors = [name for name in concepts if name.startswith("actor.")]
        self._roles = {
            concepts[name]: {role: concepts[f"{role}.{name[6:]}"] for role in ROLES} for name in actors
        }
        self._actors = self._mask(actors)
        self._reporting = frozenset(
            concepts[n] for n in ("actor.watch", "actor.organizer", "actor.polri", "actor.official") if n in concepts
        )
        self._ordering = self._mask(("act.order", "act.gather", "act.threaten", "act.contact", "act.appeal"))
        self._blockers = self._mask(
            n for n in actors if n[6:] in {"asn", "honorer", "tni", "polri", "village", "bumn", "organizer", "official"}
        )
        self._contact = self._mask(("act.contact",))
        self._giving = self._mask(("act.give", "act.bribe"))
        self._report = self._bits["act.report"]
        self._number = self._bits["side.number"]

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
            for hit in sentence.hits:
                mask |= 1 << hit.concept
        for concept, when, then, otherwise in self._rewrites:
            if mask >> concept & 1:
                meant = then if mask & when else otherwise
                for sentence in scan.sentences:
                    for hit in sentence.hits:
                        if hit.concept == concept:
                            hit.concept = meant
        mask = 0
        for sentence in scan.sentences:
            if any(hit.concept in self._roles for hit in sentence.hits):
                self._assign_roles(scan.words, sentence)
            for hit in sentence.hits:
                mask |= 1 << hit.concept
        return mask

    def _assign_roles(self, words: Sequence[Entry], sentence: Sentence) -> None:
        kept: list[Hit] = []
        hits = sentence.hits
        for index, hit in enumerate(hits):
            roles = self._roles.get(hit.concept)
            if roles is None:
                kept.append(hit)
                continue
            role = self._role(words, sentence, hits, index)
            if role in ("reporter", "former"):
                continue
            if role:
                hit = Hit(roles[role], hit.start, hit.end)
            kept.append(hit)
        sentence.hits = kept

    def _role(self, words: Sequence[Entry], sentence: Sentence, hits: Sequence[Hit], index: int) -> str:
        """`receiver`, `patient`, `reporter`, `former`, or empty for the one who acts."""
        hit = hits[index]
        before = hit.start - 1
        while before >= sentence.start and _form(words[before]) in _HONORIFICS:
            before -= 1
        if before >= sentence.start:
            form = _form(words[before])
            if form in _FORMER_WORDS:
                return "former"
            if form in _RECEIVER_WORDS:
                return "receiver"
            if form in _WITNESS_WORDS and hit.concept in self._reporting:
                return "reporter"
            if form in _AGENT_WORDS:
                return ""
        after_verb = before_verb = 0
        verb_before: Hit | None = None
        for other in hits:
            bit = 1 << other.concept
            if not bit & (self._ordering | self._giving | self._report):
                continue
            passive = words[other.start].passive
            if 0 <= other.start - hit.end < (_REACH + 2 if passive else _REACH):
                if bit & self._report and not passive and hit.concept in self._reporting:
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
        return any(_form(word) in _RELATIVE_WORDS for word in words[hit.end : min(hit.end + 4, sentence.end)])

    def units(self, scan: Scan) -> tuple[list[Unit], list[Unit]]:
        """The sentences of a text, and its pairs of neighbouring sentences."""
        single = []
        for sentence in scan.sentences:
            mask = 0
            for hit in sentence.hits:
                mask |= 1 << hit.concept
            single.append(Unit(sentence.start, sentence.end, mask, sentence.hits, joined=False))
        pairs = [
            Unit(a.first, b.last, a.mask | b.mask, a.hits + b.hits, joined=True)
            for a, b in zip(single, single[1:], strict=False)
            if a.mask and b.mask
        ]
        return single, pairs

    def fill(self, scan: Scan, mask: int) -> list[Filled]:
        """Every frame that the text fills, each with its closest filling per unit."""
        possible = [frame for frame in self.frames if frame.possible(mask)]
        if not possible:
            return []
        single, pairs = self.units(scan)
        filled: list[Filled] = []
        for frame in possible:
            alone = [
                f for unit in single if frame.possible(unit.mask) and (f := _closest(frame, unit, self._blockers))
            ]
            if not alone and frame.rule.joins:
                alone = [
                    f for unit in pairs if frame.possible(unit.mask) and (f := _closest(frame, unit, self._blockers))
                ]
            filled.extend(alone)
        return filled


def _any(bits: Iterable[int]) -> int:
    mask = 0
    for bit in bits:
        mask |= bit
    return mask


def _form(entry: Entry) -> str:
    return entry.keys[0] if entry.keys else entry.word


def _closest(frame: Frame, unit: Unit, blockers: int) -> Filled | None:
    """The filling with the smallest reach around one word of the first slot, if it is within the frame's limit."""
    by_mask: dict[int, list[Hit]] = {}
    for options in frame.slots.values():
        for option in options:
            for part in option:
                if part not in by_mask:
                    by_mask[part] = [h for h in unit.hits if part >> h.concept & 1]
    first = next(iter(frame.slots.values()))
    anchors = {h.start for option in first if all(by_mask[p] for p in option) for p in option for h in by_mask[p]}
    best: Filled | None = None
    limit = frame.near + (6 if unit.joined else 0)
    for anchor in anchors:
        reach = 0
        chosen: dict[str, list[Hit]] = {}
        for slot, options in frame.slots.items():
            nearest = limit + 1
            picked: list[Hit] = []
            for option in options:
                hits = [_nearest(by_mask[part], anchor) for part in option]
                found = [h for h in hits if h is not None]
                if len(found) == len(hits):
                    distance = max(abs(h.start - anchor) for h in found)
                    if distance < nearest:
                        nearest, picked = distance, found
            reach = max(reach, nearest)
            if reach > limit:
                break
            chosen[slot] = picked
        else:
            if "actor" in chosen and _blocked(chosen, unit, blockers & ~frame.needs[0]):
                continue
            if best is None or reach < best.distance:
                best = Filled(frame, unit, chosen, reach)
    return best


def _blocked(chosen: dict[str, list[Hit]], unit: Unit, blockers: int) -> bool:
    """Whether another official stands between the actor and the act, and so is the one who acts."""
    actor = min(chosen["actor"], key=lambda h: h.start)
    act = min((h.start for slot, hits in chosen.items() if slot == "act" for h in hits), default=actor.start)
    return any(
        blockers >> h.concept & 1 and h.start < act and h.start - actor.end > _COORDINATED and h.start >= actor.end
        for h in unit.hits
    )


def _nearest(hits: Sequence[Hit], anchor: int) -> Hit | None:
    return min(hits, key=lambda h: abs(h.start - anchor), default=None)
