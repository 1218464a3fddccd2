"""The classifier: from a text to a judgement that explains itself.

Elements of offences are found per sentence (`elements`), weighed by the tone around them (`tone.yaml`), and only then
become findings. A text with the vocabulary of every offence and no asserted event is no violation report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.classify.elements import Filled, Reader, Unit
from services.classify.match import Hit, Matcher, Scan
from services.classify.pack import CodeRule, RulePack, SignRule
from services.classify.tokens import TOKEN, Vocabulary, fold, squeeze
from shared.contracts import Elements, Evidence, Finding, Judgement, Kind, Regime, RiskClass, Severity, Stage, Status

MODEL_VERSION = "rules"
LONGEST_TEXT = 30_000
"""Characters of a text that are read; the rest of a longer one is not."""

_URGENT_STAGES = frozenset({Stage.MASA_TENANG, Stage.PUNGUT_HITUNG, Stage.PSU})
_PRIORITY_STEP = 0.25
"""Log-odds by which a less specific code of a group must be more likely to be preferred."""
_JOINED_COST = 0.7
_CLASS_ORDER = (RiskClass.MONEY_POLITICS, RiskClass.NEUTRALITY, RiskClass.OTHER_RISK)


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
    risk: float
    against: _Sign | None


class Classifier:
    """Judges texts. Pure: no input or output after `load`, no clock; safe to share between tasks of one thread."""

    def __init__(self, pack: RulePack) -> None:
        self.pack = pack
        self.rule_pack_version = pack.version
        self.model_version = MODEL_VERSION
        self._concepts = {name: number for number, name in enumerate(pack.concept_names())}
        self._matcher = compile_lexicon(pack, self._concepts)
        self._reader = Reader(pack, self._concepts)
        self._codes = {rule.code: rule for rule in pack.codes.codes}
        self._code_order = {rule.code: n for n, rule in enumerate(pack.codes.codes)}
        self._signs = tuple(_Sign(rule, self._mask(rule.concepts), self._mask(rule.void)) for rule in pack.tone.signs)
        self._exclusions = tuple((e.keep, e.drop, self._mask(e.unless)) for e in pack.codes.exclusions)
        norms = {norm.id: norm for norm in pack.norms}
        self._norms = {
            (regime, rule.code): tuple(norms[n].record() for n in rule.norms if norms[n].applies(regime))
            for regime in Regime
            for rule in pack.codes.codes
        }
        self._element_masks = {
            "actor": self._mask(n for n in self._concepts if n.startswith("actor.")),
            "beneficiary": self._mask(n for n in self._concepts if n.startswith("side.") and n != "side.vote"),
            "receiver": self._mask(("actor.voter", "actor.broker", "actor.me", "each.word")),
            "time": self._mask(("real.time", "real.plan", "time.dawn")),
            "place": self._mask(("place.any", "place.prop", "obj.worship", "obj.school", "obj.facility")),
            "proof": self._mask(("proof.word",)),
        }
        self._plan = self._mask(("real.plan",))
        self._past = self._mask(("real.past",))
        self._verdict = self._mask(("real.verdict",))
        self._high_rank = self._mask(("rank.high",))

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """A classifier with the rule pack in `path`, or the one shipped. Raises `ConfigError` when it is wrong."""
        return cls(RulePack.load(path))

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
        head = ""
        if title and not text.startswith(title):
            head = title[:300] + "\n"
        whole = head + text[:LONGEST_TEXT]
        scan = self._matcher.scan(whole)
        mask = self._reader.resolve(scan)
        candidates = [self._weigh(filled, mask) for filled in self._reader.fill(scan, mask)]
        threshold = self.pack.tone.threshold
        chosen = self._select([c for c in candidates if c.risk >= threshold])
        if chosen:
            return self._violation(chosen, scan, mask, text, len(head), stage, regime)
        return self._harmless(candidates, mask, scan)

    # -- weighing

    def _weigh(self, filled: Filled, mask: int) -> _Candidate:
        logit = _logit(filled.frame.rule.risk) - (_JOINED_COST if filled.unit.joined else 0.0)
        here = filled.unit.mask
        ignored = filled.frame.rule.ignore
        worst: _Sign | None = None
        worst_weight = 0.0
        for sign in self._signs:
            if not mask & sign.mask or sign.rule.id in ignored:
                continue
            if here & sign.mask:
                if here & sign.void:
                    continue
                if sign.rule.before is None or _stands_before(sign, filled):
                    weight = sign.rule.here
                else:
                    weight = sign.rule.elsewhere
            else:
                weight = sign.rule.elsewhere
            logit += weight
            if weight < worst_weight:
                worst, worst_weight = sign, weight
        code = self._codes[filled.frame.rule.code]
        return _Candidate(filled, code, logit, 1 / (1 + math.exp(-logit)), worst)

    def _select(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """The best candidate of each code, then of each group."""
        best: dict[str, _Candidate] = {}
        for c in candidates:
            known = best.get(c.code.group)
            if known is None or _preference(c) > _preference(known):
                best[c.code.group] = c
        found = {c.code.code: c for c in best.values()}
        for keep, drop, unless in self._exclusions:
            kept = found.get(keep)
            if kept is not None and not kept.filled.unit.mask & unless:
                for code in drop:
                    found.pop(code, None)
        return sorted(found.values(), key=lambda c: self._code_order[c.code.code])

    # -- judgements

    def _violation(
        self,
        chosen: Sequence[_Candidate],
        scan: Scan,
        mask: int,
        text: str,
        shift: int,
        stage: Stage,
        regime: Regime,
    ) -> Judgement:
        status = self._status(chosen, mask)
        findings = tuple(self._finding(c, scan, mask, text, shift, stage, status, regime) for c in chosen)
        risks = dict.fromkeys(_CLASS_ORDER, 0.0)
        for finding in findings:
            risks[finding.risk_class] = max(risks[finding.risk_class], finding.risk)
        primary = self._primary(chosen)
        strongest = max(chosen, key=lambda c: c.logit)
        support = [
            s.rule.reason for s in self._signs if s.rule.here > 0 and strongest.filled.unit.mask & s.mask
        ][:2]  # fmt: skip
        reason = f"aturan {strongest.filled.frame.rule.id}: {strongest.code.name}"
        if support:
            reason += "; " + ", ".join(support)
        return Judgement(
            kind=Kind.VIOLATION_REPORT,
            status=status,
            primary=primary,
            labels=tuple(f.code for f in findings),
            is_violation_report=True,
            severity=max((f.severity for f in findings), key=lambda s: s.rank),
            neutrality_risk=risks[RiskClass.NEUTRALITY],
            money_politics_risk=risks[RiskClass.MONEY_POLITICS],
            other_risk=risks[RiskClass.OTHER_RISK],
            findings=findings,
            reason=reason,
            rule_pack_version=self.rule_pack_version,
            model_version=self.model_version,
        )

    def _status(self, chosen: Sequence[_Candidate], mask: int) -> Status:
        if mask & self._verdict:
            return Status.ADJUDICATED
        if any(c.filled.unit.mask & self._plan and not c.filled.unit.mask & self._past for c in chosen):
            return Status.PLANNED
        return Status.ALLEGED

    @staticmethod
    def _primary(chosen: Sequence[_Candidate]) -> RiskClass:
        classes = {c.code.risk_class for c in chosen}
        return next(c for c in _CLASS_ORDER if c in classes)

    def _finding(
        self,
        candidate: _Candidate,
        scan: Scan,
        mask: int,
        text: str,
        shift: int,
        stage: Stage,
        status: Status,
        regime: Regime,
    ) -> Finding:
        hits = [hit for slot in candidate.filled.slots.values() for hit in slot]
        return Finding(
            code=candidate.code.code,
            name=candidate.code.name,
            risk_class=candidate.code.risk_class,
            risk=round(candidate.risk, 4),
            severity=self._severity(candidate, stage, status),
            evidence=_evidence(hits, scan, text, shift),
            elements=self._elements(candidate, mask),
            norms=self._norms[regime, candidate.code.code],
            rule=candidate.filled.frame.rule.id,
        )

    def _severity(self, candidate: _Candidate, stage: Stage, status: Status) -> Severity:
        code = candidate.code
        if status == Status.ADJUDICATED:
            return Severity.MEDIUM if code.severity.rank > Severity.MEDIUM.rank else code.severity
        if code.handout and stage in _URGENT_STAGES:
            return Severity.CRITICAL
        if code.risk_class == RiskClass.NEUTRALITY and candidate.filled.unit.mask & self._high_rank:
            return Severity.HIGH
        return code.severity

    def _elements(self, candidate: _Candidate, mask: int) -> Elements:
        labels = self.pack.codes.elements
        seen = []
        missing = []
        for element in candidate.code.elements:
            known = element in candidate.filled.slots or mask & self._element_masks.get(element, 0)
            (seen if known else missing).append(labels[element])
        return Elements(seen=tuple(seen), missing=tuple(missing))

    def _harmless(self, candidates: Sequence[_Candidate], mask: int, scan: Scan) -> Judgement:
        kinds: dict[Kind, float] = {}
        reasons: dict[Kind, tuple[float, str]] = {}
        status = Status.NOT_APPLICABLE
        for sign in self._signs:
            if sign.rule.kind is None or not mask & sign.mask:
                continue
            weight = -sign.rule.here
            kinds[sign.rule.kind] = kinds.get(sign.rule.kind, 0.0) + weight
            if weight > reasons.get(sign.rule.kind, (0.0, ""))[0]:
                reasons[sign.rule.kind] = (weight, sign.rule.reason)
            if sign.rule.status is not None:
                status = sign.rule.status
        if status == Status.CLEARED:
            kind = Kind.OTHER
        elif Kind.QUESTION in kinds or (any(s.question for s in scan.sentences) and not kinds):
            kind = Kind.QUESTION
        elif Kind.PREVENTION in kinds and kinds[Kind.PREVENTION] >= kinds.get(Kind.OTHER, 0.0):
            kind = Kind.PREVENTION
        else:
            kind = Kind.OTHER
        reason = reasons.get(kind, (0.0, "tidak ada peristiwa pelanggaran yang dinyatakan"))[1]
        risks = dict.fromkeys(_CLASS_ORDER, 0.0)
        for candidate in candidates:
            risk_class = candidate.code.risk_class
            risks[risk_class] = max(risks[risk_class], round(candidate.risk, 4))
        return Judgement(
            kind=kind,
            status=status,
            primary=RiskClass.NONE,
            is_violation_report=False,
            severity=Severity.NONE,
            neutrality_risk=risks[RiskClass.NEUTRALITY],
            money_politics_risk=risks[RiskClass.MONEY_POLITICS],
            other_risk=risks[RiskClass.OTHER_RISK],
            reason=reason,
            rule_pack_version=self.rule_pack_version,
            model_version=self.model_version,
        )

    def _mask(self, names: object) -> int:
        mask = 0
        for name in names:  # type: ignore[attr-defined]
            mask |= 1 << self._concepts[name]
        return mask


def _preference(candidate: _Candidate) -> float:
    return candidate.logit - _PRIORITY_STEP * candidate.code.priority


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _stands_before(sign: _Sign, filled: Filled) -> bool:
    reach = sign.rule.before or 0
    starts = [hit.start for slot in filled.slots.values() for hit in slot]
    for hit in filled.unit.hits:
        if sign.mask >> hit.concept & 1 and any(0 <= start - hit.end < reach for start in starts):
            return True
    return False


def _evidence(hits: Sequence[Hit], scan: Scan, text: str, shift: int) -> tuple[Evidence, ...]:
    spans: list[tuple[int, int]] = []
    for start, end in sorted({(scan.starts[h.start] - shift, scan.ends[h.end - 1] - shift) for h in hits}):
        if start < 0:
            continue
        if spans and start <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return tuple(Evidence(start=start, end=end, text=text[start:end]) for start, end in spans)


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
    written: dict[tuple[str, ...], set[int]] = {}
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
        written.setdefault(tuple(_entry_key(word, vocabulary) for word in words), set()).add(concept)
    opaque = frozenset(pack.lexicon.opaque)
    hiding = (n for name, n in concepts.items() if name in opaque or name.partition(".")[0] in opaque)
    return Matcher(vocabulary, written, hiding)


def _entry_key(word: str, vocabulary: Vocabulary) -> str:
    if word[0] in "~²=<":
        return word if word[0] == "<" else word[0] + fold(word[1:])
    if "-" in word:
        return vocabulary.keys(word)[0]
    return vocabulary.canonical(fold(word))
