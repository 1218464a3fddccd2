"""The classifier: from a text to a judgement that explains itself.

Elements of offences are found per sentence (`elements`), weighed by the tone around them (`tone.yaml`), and only then
become findings. A text with the vocabulary of every offence and no asserted event is no violation report.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from pydantic import TypeAdapter

from services.classify.arrays import rows_of, showing, shown_at
from services.classify.elements import Filled, Hit, Reader, Reading
from services.classify.match import Matcher
from services.classify.model import Opinion, TextModel
from services.classify.pack import CodeRule, RulePack, SignRule
from services.classify.tokens import Vocabulary, fold
from shared.config.errors import ConfigError
from shared.contracts import Elements, Evidence, Finding, Judgement, Kind, Regime, RiskClass, Severity, Stage, Status

LONGEST_TEXT = 30_000
"""Characters of a text that are read; the rest of a longer one is not."""

_URGENT_STAGES = frozenset({Stage.MASA_TENANG, Stage.PUNGUT_HITUNG, Stage.PSU})
_MOST_CHARACTERS = 200_000
"""Characters that are judged together, so that memory stays small however long the texts are."""
_RULE_WEIGHT = 0.1
_RULE_RANGE = (-2.0, 4.0)
"""How much the best filled frame moves the model's log-odds of a violation, and within which limits."""
_UNSUPPORTED = -0.1
_CODE_THRESHOLD = -2.0
_PRIORITY_STEP = 0.25
"""Log-odds by which a less specific code of a group must be more likely to be preferred."""
_JOINED_COST = 0.7
_PLAIN_HANDOUT = 1.0
"""Log-odds from which a hand-out is told plainly enough to be what the text is about."""
_RANK = attrgetter("rank")
_NO_CANDIDATES: Mapping[str, _Candidate] = {}
_EVIDENCE = TypeAdapter(tuple[Evidence, ...])
"""Makes the evidence of a finding at once."""


@dataclass(slots=True)
class _Sign:
    rule: SignRule
    mask: int
    void: int


@dataclass(slots=True)
class _Candidate:
    filled: Filled
    code: CodeRule
    logit: float


@dataclass(slots=True)
class _View:
    violation: float
    primary: RiskClass
    codes: Mapping[str, float]
    chance: float
    """The calibrated chance of a violation."""
    risks: list[float]
    """The same, shared out over the classes of an offence, in the order of `CLASSES`."""


class Told(NamedTuple):
    """A text to judge, cleaned and masked, and what is known besides; see `Classifier.judge`."""

    text: str
    title: str
    stage: Stage
    regime: Regime


@dataclass(slots=True)
class _Case:
    text: str
    whole: str
    """What is read: the title, where the text does not begin with it, and as much of the text as is judged."""
    shift: int
    """Characters of `whole` before the text."""
    stage: Stage
    regime: Regime
    reading: Reading = field(init=False)
    number: int = 0
    """Of the text in `reading`."""
    mask: int = 0
    signs: list[_Sign] = field(default_factory=list)
    """The signs of tone in it."""

    def offsets(self, spans: Iterable[tuple[int, int]]) -> Mapping[int, tuple[int, int]]:
        """Start and end, in `whole`, of the first and last word of each of the ranges."""
        ends = {word for first, last in spans for word in (first, last - 1)}
        return self.reading.scan.offsets(self.number, sorted(ends))


class Classifier:
    """Judges texts. Pure: no input or output after `load`, no clock; safe to share between tasks of one thread."""

    def __init__(self, pack: RulePack, model: TextModel) -> None:
        if model.codes != tuple(rule.code for rule in pack.codes.codes):
            raise ConfigError(
                f"The text model {model.version} knows other codes than the rule pack {pack.version}: "
                "run `salingjaga train`"
            )
        self.pack = pack
        self.model = model
        self.rule_pack_version = pack.version
        self.model_version = model.version
        names = pack.concept_names()
        model.name_concepts(names)
        self._concepts = {name: number for number, name in enumerate(names)}
        self._matcher = compile_lexicon(pack, self._concepts)
        # Most of what the texts to come are made of is known before the first comes, which costs a third of a second.
        model.remember(self._matcher.know(model.pieces))
        self._reader = Reader(pack, self._concepts)
        self._codes = {rule.code: rule for rule in pack.codes.codes}
        self._codes_of: dict[RiskClass, list[str]] = {}
        for rule in pack.codes.codes:
            self._codes_of.setdefault(rule.risk_class, []).append(rule.code)
        self._code_order = {rule.code: n for n, rule in enumerate(pack.codes.codes)}
        self._signs = tuple(_Sign(rule, self._mask(rule.concepts), self._mask(rule.void)) for rule in pack.tone.signs)
        self._sign_masks = rows_of([sign.mask for sign in self._signs], -(-len(names) // 64))
        self._exclusions = tuple((e.keep, e.drop, self._mask(e.unless)) for e in pack.codes.exclusions)
        norms = {norm.id: norm for norm in pack.norms}
        self._norms = {
            (regime, rule.code): tuple(norms[n].record() for n in rule.norms if norms[n].applies(regime))
            for regime in Regime
            for rule in pack.codes.codes
        }
        element_masks = {
            "actor": self._mask(n for n in self._concepts if n.startswith("actor.")),
            "beneficiary": self._mask(n for n in self._concepts if n.startswith("side.") and n != "side.vote"),
            "receiver": self._mask(("actor.voter", "actor.broker", "actor.me", "each.word")),
            "time": self._mask(("real.time", "real.plan", "time.dawn")),
            "place": self._mask(("place.any", "place.prop", "obj.worship", "obj.school", "obj.facility")),
            "proof": self._mask(("proof.word",)),
        }
        # What shows each element of an offence in a text, besides what fills the slots of a frame.
        self._element_masks = {
            rule.code: tuple([element_masks.get(element, 0) for element in rule.elements]) for rule in pack.codes.codes
        }
        self._elements_by_known: dict[tuple[str, tuple[bool, ...]], Elements] = {}
        self._plan = self._mask(("real.plan",))
        self._past = self._mask(("real.past",))
        self._verdict = self._mask(("real.verdict",))
        self._high_rank = self._mask(("rank.high",))

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """A classifier with the rule pack in `path`, or the one shipped. Raises `ConfigError` when it is wrong."""
        return cls(RulePack.load(path), TextModel.load())

    def judge(
        self,
        text: str,
        title: str = "",
        source: str = "",  # noqa: ARG002 - part of the interface; a source is no evidence
        stage: Stage = Stage.LUAR_TAHAPAN,
        regime: Regime = Regime.PILKADA,
    ) -> Judgement:
        """What the text says. Evidence spans are offsets into `text`.

        Args:
            text: cleaned and masked.
            title: read before the text, as if it were its first sentence; it yields no evidence of its own.
            source: name of the source; it does not change the judgement.
            stage: stage of the election, which shifts severity.
            regime: which body of law the norms are taken from.
        """
        return self.judge_all([Told(text, title, stage, regime)])[0]

    def judge_all(self, told: Sequence[Told]) -> list[Judgement]:
        """What each of several texts says: the same as `judge`, in a fraction of the time.

        The texts pass each step of the work together: most of it is arithmetic on the arrays of all of them, and its
        code and tables stay in the processor's caches.
        """
        return [judgement for cases in _portions(map(_case, told)) for judgement in self._judge(cases)]

    def _judge(self, cases: Sequence[_Case]) -> list[Judgement]:
        reading = self._reader.resolve(self._matcher.scan([case.whole for case in cases]))
        for number, (case, mask) in enumerate(zip(cases, reading.masks, strict=True)):
            case.reading, case.number, case.mask = reading, number, mask
        toned = showing(reading.text_masks[:, :, None], self._sign_masks[:, None, :])
        for text, sign in zip(*map(np.ndarray.tolist, shown_at(toned)), strict=True):
            cases[text].signs.append(self._signs[sign])
        opinions = self.model.opinions(reading, least=_CODE_THRESHOLD)
        likely = list(map(self._likely, opinions))
        candidates = [
            self._best_per_code([self._weigh(one, case.signs) for one in filled]) if filled else _NO_CANDIDATES
            for filled, case in zip(self._reader.fill(reading, likely), cases, strict=True)
        ]
        views = map(self._combine, opinions, likely, candidates, reading.masks)
        worded = np.diff(reading.scan.first_words).tolist()
        return [
            self._harmless(view, case) if view.violation < 0 or not words else self._violation(view, best, case)
            for view, best, case, words in zip(views, candidates, cases, worded, strict=True)
        ]

    # -- weighing

    def _weigh(self, filled: Filled, signs: Sequence[_Sign]) -> _Candidate:
        """The log-odds of a filled frame after the signs of tone present in the text."""
        logit = filled.frame.logit - (_JOINED_COST if filled.unit.joined else 0.0)
        here = filled.unit.mask
        ignored = filled.frame.rule.ignore
        for sign in signs:
            rule = sign.rule
            if rule.id in ignored:
                continue
            if not here & sign.mask:
                weight = rule.elsewhere
            elif here & sign.void:
                continue
            else:
                weight = rule.here if rule.before is None or _stands_before(sign, filled) else rule.elsewhere
            logit += weight
        return _Candidate(filled, self._codes[filled.frame.rule.code], logit)

    def _best_per_code(self, candidates: Sequence[_Candidate]) -> dict[str, _Candidate]:
        """The best candidate of each group of codes, without the frames that one of another code makes redundant."""
        best: dict[str, _Candidate] = {}
        for c in candidates:
            known = best.get(c.code.group)
            if known is None or _preference(c) > _preference(known):
                best[c.code.group] = c
        found = {c.code.code: c for c in best.values()}
        for keep, drop, unless in self._exclusions if len(found) > 1 else ():
            kept = found.get(keep)
            if kept is not None and kept.logit >= 0 and not kept.filled.unit.mask & unless:
                for code in drop:
                    found.pop(code, None)
        return found

    def _likely(self, opinion: Opinion) -> dict[str, float]:
        """The codes that may hold, by how far their log-odds are above the threshold.

        One of the likeliest class at least; none where no frame could make the text a violation.
        """
        if opinion.violation + _RULE_WEIGHT * _RULE_RANGE[1] < 0:
            return {}
        likely = {code: opinion.code(code) - _CODE_THRESHOLD for code in opinion.likely}
        primary = opinion.primary
        if not any(self._codes[code].risk_class == primary for code in likely):
            likely[max(self._codes_of[primary], key=opinion.code)] = 0.0
        return likely

    def _combine(
        self, opinion: Opinion, likely: Mapping[str, float], candidates: Mapping[str, _Candidate], mask: int
    ) -> _View:
        """What frames and model say together: log-odds of a violation, its class, and the codes that hold."""
        low, high = _RULE_RANGE
        best = max([c.logit for c in candidates.values()]) if candidates else low
        violation = opinion.violation + _RULE_WEIGHT * min(high, max(low, best))
        primary = opinion.primary
        if violation < 0:
            return self._view(violation, primary, {}, opinion)
        if candidates and primary != RiskClass.MONEY_POLITICS:
            partisan = [c.logit for c in candidates.values() if c.code.risk_class == RiskClass.NEUTRALITY]
            # An official who threatens offends against neutrality first: his office is what makes the threat.
            if primary == RiskClass.OTHER_RISK and "intimidation" in likely and partisan:
                primary = RiskClass.NEUTRALITY
            # Whoever hands out money for votes: the act is what is punished hardest (187A), whatever his office, unless
            # the text tells more plainly of something else he did.
            handout = max([c.logit for c in candidates.values() if c.code.handout], default=low)
            if primary == RiskClass.NEUTRALITY and handout >= max(max(partisan, default=low) - 1, _PLAIN_HANDOUT):
                primary = RiskClass.MONEY_POLITICS
        # The model alone accuses nobody: of each offence something must stand in the words where no frame was filled.
        codes = {code: score for code, score in likely.items() if code in candidates or self._reader.shows(code, mask)}
        if len(codes) > 1:  # a second offence, whose kind of official is not in the words, is none
            told = {code: codes[code] for code in codes if code in candidates or self._reader.shows_actor(code, mask)}
            codes = told if any(self._codes[code].risk_class == primary for code in told) else codes
        if not any(self._codes[code].risk_class == primary for code in codes):
            violation = min(violation, _UNSUPPORTED)
        return self._view(violation, primary, codes, opinion)

    def _view(self, violation: float, primary: RiskClass, codes: Mapping[str, float], opinion: Opinion) -> _View:
        """The view with its chance, calibrated and shared out."""
        chance = _probability(self.model.certainty * violation)
        return _View(violation, primary, codes, chance, [round(chance * share, 4) for share in opinion.shares])

    # -- judgements

    def _violation(self, view: _View, candidates: Mapping[str, _Candidate], case: _Case) -> Judgement:
        labels = sorted(view.codes, key=self._code_order.__getitem__)
        fired = [candidates[code] for code in labels if code in candidates]
        status = self._status(fired, case.mask)
        spans = [self._spans(code, candidates.get(code), case) for code in labels]
        offsets = case.offsets([span for some in spans for span in some])
        findings = tuple(
            [
                self._finding(
                    self._codes[code], candidates.get(code), view, case, status, _evidence(some, offsets, case)
                )
                for code, some in zip(labels, spans, strict=True)
            ]
        )
        neutrality, money, other = view.risks
        strongest = max(fired, key=lambda c: (c.code.risk_class == view.primary, c.logit), default=None)
        if strongest is None:
            reason = "model teks: menyerupai laporan " + self._codes[max(view.codes, key=view.codes.__getitem__)].name
        else:
            reason = f"aturan {strongest.filled.frame.rule.id}: {strongest.code.name}"
            here = strongest.filled.unit.mask
            support = [sign.rule.reason for sign in case.signs if sign.rule.here > 0 and here & sign.mask]
            if support:
                reason += "; " + ", ".join(support[:2])
        return Judgement(
            kind=Kind.VIOLATION_REPORT,
            status=status,
            primary=view.primary,
            labels=tuple(labels),
            is_violation_report=True,
            severity=max([finding.severity for finding in findings], key=_RANK),
            neutrality_risk=neutrality,
            money_politics_risk=money,
            other_risk=other,
            findings=findings,
            reason=reason,
            rule_pack_version=self.rule_pack_version,
            model_version=self.model_version,
        )

    def _status(self, fired: Sequence[_Candidate], mask: int) -> Status:
        if mask & self._verdict:
            return Status.ADJUDICATED
        if mask & self._plan:
            masks = [c.filled.unit.mask for c in fired] or [mask]
            if any(here & self._plan and not here & self._past for here in masks):
                return Status.PLANNED
        return Status.ALLEGED

    def _spans(self, code: str, candidate: _Candidate | None, case: _Case) -> Sequence[tuple[int, int]]:
        """Ranges of the words that show an offence."""
        if candidate is None:
            return self.model.telling_words(case.reading.scan, case.number, code)
        return [(start, end) for hits in candidate.filled.slots.values() for start, end, _ in hits]

    def _finding(
        self, code: CodeRule, candidate: _Candidate | None, view: _View, case: _Case, status: Status,
        evidence: tuple[Evidence, ...],
    ) -> Finding:  # fmt: skip
        return Finding(
            code=code.code,
            name=code.name,
            risk_class=code.risk_class,
            risk=round(view.chance * _probability(view.codes[code.code] + 1), 4),
            severity=self._severity(code, candidate.filled.unit.mask if candidate else case.mask, case.stage, status),
            evidence=evidence,
            elements=self._elements(code, candidate.filled.slots if candidate else {}, case.mask),
            norms=self._norms[case.regime, code.code],
            rule=candidate.filled.frame.rule.id if candidate else "model",
        )

    def _severity(self, code: CodeRule, here: int, stage: Stage, status: Status) -> Severity:
        if status == Status.ADJUDICATED:
            return Severity.MEDIUM if code.severity.rank > Severity.MEDIUM.rank else code.severity
        if code.handout and stage in _URGENT_STAGES:
            return Severity.CRITICAL
        if code.risk_class == RiskClass.NEUTRALITY and here & self._high_rank:
            return Severity.HIGH
        return code.severity

    def _elements(self, code: CodeRule, slots: Mapping[str, Sequence[Hit]], mask: int) -> Elements:
        known = tuple(
            [
                element in slots or mask & shown != 0
                for element, shown in zip(code.elements, self._element_masks[code.code], strict=True)
            ]
        )  # fmt: skip
        elements = self._elements_by_known.get((code.code, known))
        if elements is None:
            labels = [self.pack.codes.elements[element] for element in code.elements]
            elements = self._elements_by_known[code.code, known] = Elements(
                seen=tuple(label for label, seen in zip(labels, known, strict=True) if seen),
                missing=tuple(label for label, seen in zip(labels, known, strict=True) if not seen),
            )
        return elements

    def _harmless(self, view: _View, case: _Case) -> Judgement:
        weights: dict[Kind, float] = {}
        reasons: dict[Kind, tuple[float, str]] = {}
        cleared = 0.0
        kinds = [sign for sign in case.signs if sign.rule.kind is not None]
        hits = case.reading.hits_of(case.number) if kinds else []
        for sign in kinds:
            kind = sign.rule.kind or Kind.OTHER
            weight = -sign.rule.here * sum([1 for _, _, mask in hits if mask & sign.mask])
            weights[kind] = weights.get(kind, 0.0) + weight
            if weight > reasons.get(kind, (0.0, ""))[0]:
                reasons[kind] = (weight, sign.rule.reason)
            if sign.rule.status == Status.CLEARED:
                cleared = weight
        kind = max(weights, key=weights.__getitem__, default=Kind.OTHER)
        if not weights and case.reading.asks(case.number):
            kind = Kind.QUESTION
        status = Status.NOT_APPLICABLE
        if kind == Kind.OTHER and cleared >= weights.get(Kind.OTHER, 0.0) / 2 > 0:
            status = Status.CLEARED
        reason = reasons.get(kind, (0.0, "tidak ada peristiwa pelanggaran yang dinyatakan"))[1]
        neutrality, money, other = view.risks
        return Judgement(
            kind=kind,
            status=status,
            primary=RiskClass.NONE,
            is_violation_report=False,
            severity=Severity.NONE,
            neutrality_risk=neutrality,
            money_politics_risk=money,
            other_risk=other,
            reason=reason,
            rule_pack_version=self.rule_pack_version,
            model_version=self.model_version,
        )

    def _mask(self, names: Iterable[str]) -> int:
        mask = 0
        for name in names:
            mask |= 1 << self._concepts[name]
        return mask


def _case(told: Told) -> _Case:
    head = ""
    if told.title and not told.text.startswith(told.title):
        head = told.title[:300] + "\n"
    return _Case(told.text, head + told.text[:LONGEST_TEXT], len(head), told.stage, told.regime)


def _portions(cases: Iterable[_Case]) -> Iterator[list[_Case]]:
    """The cases in portions of `_MOST_CHARACTERS`."""
    portion: list[_Case] = []
    characters = 0
    for case in cases:
        if portion and characters + len(case.whole) > _MOST_CHARACTERS:
            yield portion
            portion, characters = [], 0
        portion.append(case)
        characters += len(case.whole)
    if portion:
        yield portion


def _preference(candidate: _Candidate) -> float:
    return candidate.logit - _PRIORITY_STEP * candidate.code.priority


def _stands_before(sign: _Sign, filled: Filled) -> bool:
    reach = sign.rule.before or 0
    starts = [start for hits in filled.slots.values() for start, _, _ in hits]
    return any(0 <= start - end < reach for _, end, _ in filled.unit.showing(sign.mask) for start in starts)


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))


def _evidence(
    spans: Sequence[tuple[int, int]], offsets: Mapping[int, tuple[int, int]], case: _Case
) -> tuple[Evidence, ...]:
    """What ranges of words show of the text; ranges that touch are one, and those in the title none."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(set(spans)):
        start, end = offsets[first][0] - case.shift, offsets[last - 1][1] - case.shift
        if start < 0:
            continue
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return _EVIDENCE.validate_python(
        [{"start": start, "end": end, "text": case.text[start:end]} for start, end in merged]
    )  # fmt: skip


def compile_lexicon(pack: RulePack, concepts: dict[str, int]) -> Matcher:
    slang = {
        fold(spelling): fold(form)
        for form, spellings in pack.lexicon.slang.items()
        for spelling in spellings
        if fold(spelling) != fold(form)
    }
    forms: set[str] = set()
    roots: set[str] = set()
    typed: set[str] = set()
    written: dict[tuple[str, ...], int] = {}
    entries: list[tuple[list[str], int]] = []
    for name, phrases in pack.lexicon.concepts.items():
        for phrase in phrases:
            words = phrase.split()
            for word in words:
                if word[0] in "~²":
                    roots.add(fold(word[1:]))
                elif word[0] == "=":
                    typed.add(fold(word[1:]))
                elif word[0] != "<":
                    form = fold(word).replace("-", "")
                    forms.add(slang.get(form, form))
            entries.append((words, concepts[name]))
    vocabulary = Vocabulary(forms, roots, slang, map(fold, pack.lexicon.whole_words), typed)
    for words, concept in entries:
        keys = tuple(_entry_key(word, vocabulary) for word in words)
        written[keys] = written.get(keys, 0) | 1 << concept
    opaque = frozenset(pack.lexicon.opaque)
    hiding = 0
    for name, number in concepts.items():
        if name in opaque or name.partition(".")[0] in opaque:
            hiding |= 1 << number
    return Matcher(vocabulary, written, len(concepts), hiding)


def _entry_key(word: str, vocabulary: Vocabulary) -> str:
    if word[0] in "~²=<":
        return word if word[0] == "<" else word[0] + fold(word[1:])
    if "-" in word:
        return vocabulary.keys(word)[0]
    return vocabulary.canonical(fold(word))
