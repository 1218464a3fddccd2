"""How good the classifier is, measured against labelled texts."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from shared.contracts import RiskClass

_CLASSES = [c.value for c in RiskClass]
_HARMLESS = RiskClass.NONE.value
_BANDS = 5


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
    """A text that was judged wrongly, for a person to read."""

    id: str
    text: str
    expected: str
    predicted: str
    labels: tuple[str, ...]
    reason: str


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
    """All figures of one evaluation; shares are 0 to 1."""

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

    def to_json(self) -> str:
        """All figures as one JSON document."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    def tables(self) -> list[Table]:
        """The figures as tables for a terminal."""
        return [self._summary(), self._class_table(), self._confusion_table(), self._code_table(), *self._mistakes()]

    def _summary(self) -> Table:
        table = Table("figure", "value", title=f"{self.texts} texts")
        table.add_row("is_violation_report accuracy", f"{self.violation_accuracy:.3f}")
        table.add_row("false alarms", f"{len(self.false_alarms)} of {self.harmless} harmless texts")
        table.add_row("codes, micro-F1", f"{self.codes_micro.f1:.3f}")
        if self.region_accuracy is not None:
            table.add_row("region accuracy", f"{self.region_accuracy:.3f} of {self.region_texts} texts")
        for band in self.reliability:
            table.add_row(
                f"risk {band.low:.1f}-{band.high:.1f}: {band.texts} texts",
                f"mean risk {band.mean_risk:.2f}, truly violations {band.share_true:.2f}",
            )
        return table

    def _class_table(self) -> Table:
        return _scores("class", self.classes)

    def _code_table(self) -> Table:
        return _scores("code", {code: score for code, score in self.codes.items() if score.support})

    def _confusion_table(self) -> Table:
        table = Table("labelled \\ predicted", *_CLASSES, title="confusion of the primary class")
        for expected in _CLASSES:
            table.add_row(expected, *(str(self.confusion[expected][predicted]) for predicted in _CLASSES))
        return table

    def _mistakes(self) -> Iterable[Table]:
        for title, mistakes in (("false alarms", self.false_alarms), ("misses and wrong classes", self.misses)):
            if mistakes:
                table = Table("id", "labelled", "predicted", "text", "why", title=title)
                for mistake in mistakes:
                    said = ", ".join(mistake.labels) or mistake.predicted
                    table.add_row(mistake.id, mistake.expected, said, mistake.text, mistake.reason)
                yield table


def evaluate(items: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]]) -> Evaluation:
    """Compare predictions with labels, text by text.

    Args:
        items: labelled texts: `text`, `labels`, `primary`, `is_violation_report`, and optionally `id` and
            `region_expected` (a region's full name, or null when the text determines none).
        predictions: what `salingjaga classify --json` prints for each, in the same order: `primary`, `labels`,
            `is_violation_report`, and optionally `region` (`{"name": ...}` or null), `reason` and the class risks.

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
        mistake = Mistake(
            id=str(item.get("id", number)),
            text=str(item["text"]),
            expected=expected,
            predicted=predicted,
            labels=tuple(sorted(found)),
            reason=str(prediction.get("reason", "")),
        )
        if expected == _HARMLESS:
            result.harmless += 1
            if predicted != _HARMLESS:
                result.false_alarms.append(mistake)
        elif predicted != expected:
            result.misses.append(mistake)
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


def _scores(name: str, scores: Mapping[str, Score]) -> Table:
    table = Table(name, "precision", "recall", "F1", "texts")
    for label, score in scores.items():
        figures = (f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}")
        table.add_row(label, *figures, str(score.support))
    return table
