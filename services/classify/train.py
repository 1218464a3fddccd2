"""Training of the text model from the labelled corpus: the same corpus and rule pack give the same arrays
on the same kind of processor.

    python -m services.classify.train

reads every file of `corpus/train`, one a writer, and writes `model.npz`. Needed after every change of these files or of
the lexicon; the files of `corpus/held_out` are never trained on.

A layer of hidden units over the features of `model`; over these, a multinomial logistic regression for the class and
one logistic regression per code, fitted by full-batch gradient descent (Adam) with an L2 penalty and a share of each
text's features left out at each step.
"""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from services.classify.elements import Reader
from services.classify.engine import Classifier, compile_lexicon
from services.classify.evaluate import evaluate
from services.classify.model import (
    BUCKETS,
    CLASSES,
    CONCEPTS,
    DEFAULT_MODEL,
    END_WORDS,
    ENDS,
    PAIRS,
    TOGETHER,
    WHOLE_WORD,
    WORDS,
    Layers,
    TextModel,
    text_features,
)
from services.classify.pack import RulePack
from shared.contracts import Judgement

CORPUS = Path(__file__).parent / "corpus"
RULES_WRITER = "dev"
"""The file whose texts the rules were written with."""
STEPS = 120
LEARNING_RATE = 0.03
PENALTY, OUTPUT_PENALTY = 0.8, 0.001
"""On the weights of features, as if each were a text, and on those of hidden units."""
DROPOUT = 0.3
"""Share of each text's features that a step of the training does not see, so that none is relied upon alone."""
HIDDEN = 48
"""Hidden units: all classes and codes share what they learn of words, and it matters what stands beside what."""
CODE_WEIGHT = 0.5
HARMLESS_SHARE = 0.43
"""Weight of the harmless texts as a whole: the corpus holds more of them than the field does."""
RULES_WRITER_SHARE = 0.4
"""Weight of a text the rules were written with: there they are surer than on texts nobody has seen."""
RARITY = 1.0
"""Power of the logarithm of how rare a feature is, by which it is scaled: rare words are learnt faster."""
GROUPS = 6
"""Groups of writers, of which each is judged by a model trained on the others."""
LEAST_TEXTS = 2
"""A feature seen in fewer texts is not learnt: it would only remember that text."""

Items = Sequence[Mapping[str, Any]]


def training_files() -> list[Path]:
    """The files the shipped model is trained on, one a writer, in a fixed order."""
    return sorted((CORPUS / "train").glob("*.jsonl"))


def held_out_files() -> list[Path]:
    """The files that are only measured with: written blind, by others than the rules and the training texts."""
    return sorted((CORPUS / "held_out").glob("*.jsonl"))


def read_corpus(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The labelled texts of JSON-lines files, each with its `writer`, the file's name.

    Raises `ValueError` naming file and line for a line that is none.
    """
    items: list[dict[str, Any]] = []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                try:
                    items.append(json.loads(line) | {"writer": path.stem})
                except ValueError:
                    raise ValueError(f"{path}, line {number}: not JSON") from None
    return items


def version_of(items: Items, pack: RulePack) -> str:
    """The version of the model that these texts and this pack give; it changes when a retraining is due."""
    digest = hashlib.sha256()
    for item in items:
        weighs_less = item.get("writer") == RULES_WRITER
        digest.update(json.dumps([item["text"], item["labels"], item["primary"], weighs_less]).encode())
    digest.update(pack.lexicon.model_dump_json().encode())
    digest.update(
        repr(
            (
                pack.frames.rewrites,
                STEPS,
                LEARNING_RATE,
                PENALTY,
                OUTPUT_PENALTY,
                DROPOUT,
                HIDDEN,
                CODE_WEIGHT,
                HARMLESS_SHARE,
                RULES_WRITER_SHARE,
                RARITY,
                LEAST_TEXTS,
                (BUCKETS, WHOLE_WORD, WORDS, PAIRS, ENDS, END_WORDS, CONCEPTS, TOGETHER),
            )
        ).encode()
    )
    return f"{pack.version}-{digest.hexdigest()[:8]}"


def train(
    items: Items, pack: RulePack, version: str, certainty: float = 1.0
) -> tuple[TextModel, dict[str, NDArray[Any]]]:
    """A model fitted to labelled texts, and the arrays to store with `numpy.savez_compressed`."""
    concepts = {name: number for number, name in enumerate(pack.concept_names())}
    names = tuple(concepts)
    matcher = compile_lexicon(pack, concepts)
    reader = Reader(pack, concepts)
    codes = [rule.code for rule in pack.codes.codes]

    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for number, item in enumerate(items):
        reading = reader.resolve(matcher.scan([item["text"]]))
        indices, weights = text_features(reading, names)
        rows.extend([number] * len(indices))
        columns.extend(indices)
        values.extend(weights)
    pieces = Counter(piece for item in items for piece in item["text"].split())
    common = sorted(piece for piece, times in pieces.items() if times > 2)
    everything = csr_matrix((np.array(values, dtype=np.float32), (rows, columns)), shape=(len(items), BUCKETS))
    texts_with = np.bincount(everything.indices, minlength=BUCKETS)
    kept = np.flatnonzero(texts_with >= LEAST_TEXTS)
    scale = np.maximum(np.log(len(items) / texts_with[kept]), 0) ** RARITY
    scale /= np.sqrt(np.average(scale**2, weights=texts_with[kept]))
    design = everything[:, kept].multiply(scale.astype(np.float32)).tocsr()

    classes = [c.value for c in CLASSES]
    goal_class = np.zeros((len(items), len(classes)), dtype=np.float32)
    goal_codes = np.zeros((len(items), len(codes)), dtype=np.float32)
    for number, item in enumerate(items):
        goal_class[number, classes.index(item["primary"])] = 1
        for label in item["labels"]:
            goal_codes[number, codes.index(label)] = 1

    harmless = goal_class[:, classes.index("none")]
    share = float(harmless.mean())
    importance = np.where(harmless == 1, HARMLESS_SHARE / share, (1 - HARMLESS_SHARE) / (1 - share))
    importance *= [RULES_WRITER_SHARE if item.get("writer") == RULES_WRITER else 1.0 for item in items]
    importance /= importance.mean()
    layers = _fit(design, goal_class, goal_codes, importance.astype(np.float32))
    layers = layers._replace(hidden=(layers.hidden * scale[:, None]).astype(np.float16))
    arrays: dict[str, NDArray[Any]] = {
        "rows": kept.astype(np.uint32),
        **layers._asdict(),
        "codes": np.asarray(codes),
        "version": np.asarray(version),
        "certainty": np.asarray(certainty),
        "pieces": np.asarray(" ".join(common)),
    }
    return TextModel(kept, layers, codes, version, certainty, common), arrays


def judged_unseen(
    files: Sequence[Path], pack: RulePack, first: str = RULES_WRITER
) -> dict[str, list[tuple[dict[str, Any], Judgement]]]:
    """The texts of every writer with what is made of them by a model that has never seen that writer, by file name.

    The writers are dealt into `GROUPS`; each group is judged by a model trained on the others. The writer `first`, by
    whose texts the rules were written, is trained on but not judged: rules know those texts.
    """
    items = {path.stem: read_corpus([path]) for path in files}
    judged = {}
    for number in range(GROUPS):
        group = [writer for writer in items if writer != first][number::GROUPS]
        others = [item for writer, some in items.items() if writer not in group for item in some]
        if not group:
            continue
        classifier = Classifier(pack, train(others, pack, f"without group {number}")[0])
        for writer in group:
            judged[writer] = [(item, classifier.judge(item["text"])) for item in items[writer]]
    return dict(sorted(judged.items()))


def certainty_of(judged: Iterable[tuple[Mapping[str, Any], Judgement]]) -> float:
    """The factor on the log-odds of a violation under which the judged texts are likeliest (Platt, through zero)."""
    risks, truths = [], []
    for item, judgement in judged:
        risks.append(judgement.neutrality_risk + judgement.money_politics_risk + judgement.other_risk)
        truths.append(bool(item["is_violation_report"]))
    chances = np.clip(np.array(risks), 0.001, 0.999)
    odds, true = np.log(chances / (1 - chances)), np.array(truths, dtype=float)
    factors = np.linspace(0.3, 3.0, 271)
    losses = [float(np.mean(np.logaddexp(0, odds * factor) - true * odds * factor)) for factor in factors]
    return round(float(factors[int(np.argmin(losses))]), 2)


def _fit(
    design: csr_matrix,
    goal_class: NDArray[np.float32],
    goal_codes: NDArray[np.float32],
    importance: NDArray[np.float32],
) -> Layers:
    texts, features = design.shape
    split = goal_class.shape[1]
    width = split + goal_codes.shape[1]
    random = np.random.default_rng(0)
    hidden = random.normal(0, 0.1, (features, HIDDEN)).astype(np.float32)
    hidden_bias = np.zeros(HIDDEN, dtype=np.float32)
    output = random.normal(0, HIDDEN**-0.5, (HIDDEN, width)).astype(np.float32)
    output_bias = np.zeros(width, dtype=np.float32)
    output_bias[split:] = -3.0
    parameters = (hidden, hidden_bias, output, output_bias)
    moments = [(np.zeros_like(parameter), np.zeros_like(parameter)) for parameter in parameters]
    shown = design.copy()
    for step in range(1, STEPS + 1):
        shows = random.random(design.nnz, dtype=np.float32) >= DROPOUT
        shown.data = design.data * shows / np.float32(1 - DROPOUT)
        units = np.tanh(shown @ hidden + hidden_bias)
        scores = units @ output + output_bias
        chances = np.exp(scores[:, :split] - scores[:, :split].max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        error = np.empty_like(scores)
        error[:, :split] = chances - goal_class
        error[:, split:] = (1 / (1 + np.exp(-scores[:, split:])) - goal_codes) * CODE_WEIGHT
        error *= importance[:, None] / texts
        unit_error = (error @ output.T) * (1 - units * units)
        slopes = (
            shown.T @ unit_error + PENALTY / texts * hidden,
            unit_error.sum(axis=0),
            units.T @ error + OUTPUT_PENALTY * output,
            error.sum(axis=0),
        )
        for parameter, slope, (mean, square) in zip(parameters, slopes, moments, strict=True):
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope * slope - square)
            rate = LEARNING_RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            parameter -= rate * mean / (np.sqrt(square) + 1e-8)
    return Layers(*parameters)


def _line(writer: str, judged: Sequence[tuple[Mapping[str, Any], Judgement]]) -> str:
    items = [{key: value for key, value in item.items() if key != "region_expected"} for item, _ in judged]
    result = evaluate(items, [judgement.model_dump(mode="json", by_alias=True) for _, judgement in judged])
    scores = " / ".join(f"{score.f1:.2f}" for name, score in result.classes.items() if name != "none")
    return (
        f"| {writer} | {result.texts} | {scores} | {len(result.false_alarms)} of {result.harmless} "
        f"| {result.violation_accuracy:.2f} | {result.codes_micro.f1:.2f} |"
    )


def main() -> None:
    """Train on the shipped corpus, print how each writer's texts fare unseen, and store the model beside this file."""
    files, pack = training_files(), RulePack.load()
    judged = judged_unseen(files, pack)
    for writer, pairs in judged.items():
        sys.stdout.write(_line(writer, pairs) + "\n")
    certainty = certainty_of(pair for pairs in judged.values() for pair in pairs)
    items = read_corpus(files)
    _, arrays = train(items, pack, version_of(items, pack), certainty)
    sys.stdout.write(f"certainty {certainty}\n")
    with DEFAULT_MODEL.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
