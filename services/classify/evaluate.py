"""How good the classifier is, measured against labelled texts."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.contracts import RiskClass

_CLASSES = [c.value for c in RiskClass]
_HARMLESS = RiskClass.NONE.value
_BANDS = 5
_NOTED = re.compile(r"(?:^|;)\s*(register|language)\s*=\s*([^;]*[^;\s])")


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and F1 of one class or code; `support` is how many texts carry it."""

    precision: float
    recall: float
    f1: float
    support: int

    @classmethod
    def of(cls, right: int, said: int, meant: int) -> "Score":
        """The score when a label was said `said` times, meant `meant` times, and both `right` times."""
        return cls(
            precision=round(right / said, 4) if said else 0.0,
            recall=round(right / meant, 4) if meant else 0.0,
            f1=round(2 * right / (said + meant), 4) if said + meant else 0.0,
            support=meant,
        )


@dataclass(frozen=True, slots=True)
class Mistake:
    """A text that was judged wrongly, for a person to read.

    `text` is what the classifier read (cleaned and masked); `evidence` holds offsets into it, in order and apart.
    `rules` are the frames that spoke, or `model`; `risk` is the chance of a violation that was said.
    """

    id: str
    text: str
    expected: str
    predicted: str
    labels: tuple[str, ...]
    reason: str
    risk: float = 0.0
    evidence: tuple[tuple[int, int], ...] = ()
    rules: tuple[str, ...] = ()

    @property
    def pieces(self) -> list[tuple[str, bool]]:
        """The text cut at the evidence: each piece, and whether it is evidence."""
        cut: list[tuple[str, bool]] = []
        place = 0
        for start, end in self.evidence:
            cut += [(self.text[place:start], False), (self.text[start:end], True)]
            place = end
        return [piece for piece in [*cut, (self.text[place:], False)] if piece[0]]


@dataclass(slots=True)
class Part:
    """The texts of one file, register or language: how many, how many got the right class, and the false alarms."""

    texts: int = 0
    right: int = 0
    harmless: int = 0
    false_alarms: int = 0
    missed: int = 0
    """Violations that were taken for harmless."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table to show: every cell is plain text."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Band:
    """Texts whose risk lies in a band: the mean risk said, and the share that truly report a violation."""

    low: float
    high: float
    texts: int
    mean_risk: float
    share_true: float


@dataclass(slots=True)
class Evaluation:
    """All figures of one evaluation; shares are 0 to 1. Mistakes are sorted by the risk said, the highest first."""

    texts: int = 0
    classes: dict[str, Score] = field(default_factory=dict)
    codes: dict[str, Score] = field(default_factory=dict)
    codes_micro: Score = Score(0, 0, 0, 0)
    violation_accuracy: float = 0.0
    harmless: int = 0
    false_alarms: list[Mistake] = field(default_factory=list)
    misses: list[Mistake] = field(default_factory=list)
    region_texts: int = 0
    region_accuracy: float | None = None
    """None when no text is labelled with a region (a label of null counts: the text then determines none)."""
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)
    """Labelled class -> predicted class -> texts."""
    reliability: list[Band] = field(default_factory=list)

    parts: dict[str, dict[str, Part]] = field(default_factory=dict)
    """By `file`, `register` and `language`, where the texts name them."""

    def to_json(self) -> str:
        """All figures as one JSON document."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    def sheets(self) -> list[Sheet]:
        """The figures as tables; the mistakes are not among them."""
        return [
            self._summary(),
            _scores("class", self.classes),
            self._confusion(),
            _scores("code", {code: score for code, score in self.codes.items() if score.support}),
            self._reliability(),
            *(_parts(name, parts) for name, parts in self.parts.items()),
        ]

    def _summary(self) -> Sheet:
        rows = [
            ("is_violation_report accuracy", f"{self.violation_accuracy:.3f}"),
            ("false alarms", f"{len(self.false_alarms)} of {self.harmless} harmless texts"),
            ("codes, micro-F1", f"{self.codes_micro.f1:.3f}"),
        ]
        if self.region_accuracy is not None:
            rows.append(("region accuracy", f"{self.region_accuracy:.3f} of {self.region_texts} texts"))
        return Sheet(f"{self.texts} texts", ("figure", "value"), rows)

    def _confusion(self) -> Sheet:
        rows = [(e, *(str(self.confusion[e][p]) for p in _CLASSES)) for e in _CLASSES]
        return Sheet("confusion of the primary class", ("labelled \\ predicted", *_CLASSES), rows)

    def _reliability(self) -> Sheet:
        rows = [
            (f"{b.low:.1f}-{b.high:.1f}", str(b.texts), f"{b.mean_risk:.2f}", f"{b.share_true:.2f}")
            for b in self.reliability
        ]
        return Sheet("how far the risk can be trusted", ("risk", "texts", "mean risk", "truly violations"), rows)


def evaluate(items: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]]) -> Evaluation:
    """Compare predictions with labels, text by text.

    Args:
        items: labelled texts: `text`, `labels`, `primary`, `is_violation_report`, and optionally `id` and
            `region_expected` (a region's full name, or null when the text determines none), `notes`
            ("register=...; language=...") and `file`, by which the figures are split.
        predictions: what `salingjaga classify --json` prints for each, in the same order: `primary`, `labels`,
            `is_violation_report`, and optionally `region` (`{"name": ...}` or null), `reason`, the class risks,
            `text` and `findings` with their evidence.

    Raises:
        ValueError: when the two differ in length.
    """
    result = Evaluation(texts=len(items))
    confusion: Counter[tuple[str, str]] = Counter()
    said: Counter[str] = Counter()
    meant: Counter[str] = Counter()
    both: Counter[str] = Counter()
    right_kind = right_region = 0
    risks: list[tuple[float, bool]] = []
    for number, (item, prediction) in enumerate(zip(items, predictions, strict=True), start=1):
        expected, predicted = str(item["primary"]), str(prediction["primary"])
        labels, found = set(item["labels"]), set(prediction["labels"])
        true = bool(item["is_violation_report"])
        confusion[expected, predicted] += 1
        said.update(found)
        meant.update(labels)
        both.update(labels & found)
        right_kind += true == bool(prediction["is_violation_report"])
        risks.append((_risk(prediction), true))
        if "region_expected" in item:
            result.region_texts += 1
            region = prediction.get("region")
            right_region += (region["name"] if region else None) == item["region_expected"]
        findings = prediction.get("findings", ())
        mistake = Mistake(
            id=str(item.get("id", number)),
            text=str(prediction.get("text", item["text"])),
            expected=expected,
            predicted=predicted,
            labels=tuple(sorted(found)),
            reason=str(prediction.get("reason", "")),
            risk=round(_risk(prediction), 4),
            evidence=_joined((e["start"], e["end"]) for finding in findings for e in finding["evidence"]),
            rules=tuple(dict.fromkeys(str(finding["rule"]) for finding in findings)),
        )
        for name, value in _groups(item):
            part = result.parts.setdefault(name, {}).setdefault(value, Part())
            part.texts += 1
            part.right += expected == predicted
            part.harmless += expected == _HARMLESS
            part.false_alarms += predicted != _HARMLESS == expected
            part.missed += predicted == _HARMLESS != expected
        if expected == _HARMLESS:
            result.harmless += 1
            if predicted != _HARMLESS:
                result.false_alarms.append(mistake)
        elif predicted != expected:
            result.misses.append(mistake)
    for mistakes in (result.false_alarms, result.misses):
        mistakes.sort(key=lambda mistake: -mistake.risk)
    result.confusion = {e: {p: confusion[e, p] for p in _CLASSES} for e in _CLASSES}
    result.classes = {
        c: Score.of(
            confusion[c, c], sum(confusion[e, c] for e in _CLASSES), sum(confusion[c, p] for p in _CLASSES)
        )
        for c in _CLASSES
    }  # fmt: skip
    result.codes = {code: Score.of(both[code], said[code], meant[code]) for code in sorted(said | meant)}
    result.codes_micro = Score.of(both.total(), said.total(), meant.total())
    result.violation_accuracy = round(right_kind / len(items), 4) if items else 0.0
    if result.region_texts:
        result.region_accuracy = round(right_region / result.region_texts, 4)
    result.reliability = _reliability(risks)
    return result


def _risk(prediction: Mapping[str, Any]) -> float:
    shares = (prediction.get(key, 0.0) for key in ("neutrality_risk", "money_politics_risk", "other_risk"))
    return min(1.0, float(sum(shares)))


def _reliability(risks: Sequence[tuple[float, bool]]) -> list[Band]:
    bands = []
    for number in range(_BANDS):
        inside = [(risk, true) for risk, true in risks if min(int(risk * _BANDS), _BANDS - 1) == number]
        if inside:
            bands.append(
                Band(
                    low=number / _BANDS,
                    high=(number + 1) / _BANDS,
                    texts=len(inside),
                    mean_risk=round(sum(risk for risk, _ in inside) / len(inside), 4),
                    share_true=round(sum(true for _, true in inside) / len(inside), 4),
                )
            )
    return bands


def _groups(item: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    if "file" in item:
        yield "file", str(item["file"])
    yield from dict(_NOTED.findall(str(item.get("notes") or ""))).items()


def _joined(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _scores(name: str, scores: Mapping[str, Score]) -> Sheet:
    rows = [
        (label, f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}", str(score.support))
        for label, score in scores.items()
    ]
    return Sheet(f"by {name}", (name, "precision", "recall", "F1", "texts"), rows)


def _parts(name: str, parts: Mapping[str, Part]) -> Sheet:
    rows = [
        (value, str(p.texts), f"{p.right / p.texts:.3f}", f"{p.false_alarms} of {p.harmless}",
         f"{p.missed} of {p.texts - p.harmless}")
        for value, p in sorted(parts.items(), key=lambda entry: (-entry[1].texts, entry[0]))
    ]  # fmt: skip
    return Sheet(f"by {name}", (name, "texts", "class right", "false alarms", "violations missed"), rows)
