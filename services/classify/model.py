"""The trained part: how a text as a whole sounds, learnt from the project's corpus.

Frames read what a sentence states; a linear model over words, letter groups and concepts judges what rules cannot list:
whether the text asserts an event at all, and of which kind. It is served as plain arrays: every spelling's share of the
scores is summed once and kept with the spelling, so that a text costs a few vector additions.
"""

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.classify.match import Entry, Scan
from shared.config.errors import ConfigError
from shared.contracts import RiskClass

DEFAULT_MODEL = Path(__file__).parent / "model.npz"
BUCKETS = 1 << 16
_FIRST_WORDS = 4096
CLASSES = (RiskClass.NEUTRALITY, RiskClass.MONEY_POLITICS, RiskClass.OTHER_RISK, RiskClass.NONE)

Vector = NDArray[np.float32]
Indices = NDArray[np.int64]


def bucket(feature: str) -> int:
    """The bucket of a feature's weights; the same on every machine."""
    return zlib.crc32(feature.encode()) % BUCKETS


def word_features(entry: Entry) -> list[int]:
    """Buckets of a spelling: its lexicon keys and, written normally, its groups of two to five letters."""
    keys = entry.keys or ("=" + entry.word,)
    features = [bucket("w" + key) for key in keys]
    if not keys[0].startswith("<"):
        padded = f" {entry.word[:24]} "
        features.extend(
            bucket("n" + padded[i : i + size]) for size in (2, 3, 4, 5) for i in range(len(padded) - size + 1)
        )
    return features


def pair_feature(first: Entry, second: Entry) -> int:
    """Bucket of two neighbouring words."""
    return (first.pair_hash * 31 + second.pair_hash * 17 + 7) % BUCKETS


def text_features(scan: Scan, concepts: Iterable[str]) -> tuple[list[int], list[float]]:
    """Buckets and values of a text's features: words, pairs and concepts, each block of length one or less."""
    indices: list[int] = []
    values: list[float] = []
    words = scan.words
    if words:
        blocks = [word_features(word) for word in words]
        scale = 1 / math.sqrt(sum(map(len, blocks)))
        for block in blocks:
            indices.extend(block)
            values.extend([scale] * len(block))
        pairs = [pair_feature(a, b) for a, b in pairwise(words)]
        indices.extend(pairs)
        values.extend([1 / math.sqrt(len(pairs) or 1)] * len(pairs))
    named = [bucket("k" + name) for name in concepts]
    indices.extend(named)
    values.extend([1 / math.sqrt(len(named) or 1)] * len(named))
    return indices, values


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the model makes of a text: log-odds that it reports a violation, of each class then, and of each code."""

    violation: float
    classes: dict[RiskClass, float]
    codes: dict[str, float]


class TextModel:
    """A linear model over hashed features. Not safe to share between threads: it remembers the words it has met."""

    def __init__(self, weights: Vector, bias: Vector, codes: Sequence[str], version: str) -> None:
        self._weights = weights
        self._bias = bias
        self._codes = tuple(codes)
        self.version = version
        self._concepts: dict[str, int] = {}
        self._shares = np.zeros((_FIRST_WORDS, len(bias)), dtype=np.float32)
        self._known_words = 0

    @classmethod
    def load(cls, path: Path | None = None) -> "TextModel":
        """The model in a file, by default the one shipped. Raises `ConfigError` when it cannot be used."""
        source = path or DEFAULT_MODEL
        try:
            with np.load(source, allow_pickle=False) as arrays:
                weights = np.zeros((BUCKETS, arrays["bias"].shape[0]), dtype=np.float32)
                weights[arrays["rows"]] = arrays["weights"].astype(np.float32)
                return cls(weights, arrays["bias"], [str(c) for c in arrays["codes"]], str(arrays["version"]))
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"{source}: not a model this version can use: {error}") from None

    def opinion(self, scan: Scan, concepts: Iterable[str]) -> Opinion:
        """The model's view of a text whose words and concepts are given."""
        scores = self._bias.copy()
        words = scan.words
        if words:
            for word in words:
                if word.row < 0:
                    self._remember(word)
            count = sum(word.features for word in words)
            scores += self._shares[[word.row for word in words]].sum(axis=0) * (1 / math.sqrt(count))
            if len(words) > 1:
                hashes = np.array([word.pair_hash for word in words], dtype=np.int64)
                pairs = (hashes[:-1] * 31 + hashes[1:] * 17 + 7) % BUCKETS
                scores += self._weights[pairs].sum(axis=0) * (1 / math.sqrt(len(pairs)))
        named = [self._concept(name) for name in concepts]
        if named:
            scores += self._weights[named].sum(axis=0) * (1 / math.sqrt(len(named)))
        values = scores.tolist()
        classes = values[: len(CLASSES)]
        top = max(classes[:3])
        asserted = top + math.log(sum(math.exp(c - top) for c in classes[:3]))
        return Opinion(
            violation=asserted - classes[3],
            classes=dict(zip(CLASSES[:3], classes, strict=False)),
            codes=dict(zip(self._codes, values[len(CLASSES) :], strict=True)),
        )

    def telling_words(self, scan: Scan, code: str, most: int = 4) -> list[tuple[int, int]]:
        """Ranges of the words that speak most for a code, for the evidence of a finding that no frame explains."""
        column = len(CLASSES) + self._codes.index(code)
        shares = [
            (float(self._shares[word.row, column]), place)
            for place, word in enumerate(scan.words)
            if word.row >= 0 and len(word.word) > 2
        ]
        return [(place, place + 1) for share, place in sorted(shares, reverse=True)[:most] if share > 0]

    def _remember(self, word: Entry) -> None:
        """Sum a spelling's share of the scores once, into a row that the spelling keeps."""
        features = word_features(word)
        if self._known_words == len(self._shares):
            self._shares = np.concatenate([self._shares, np.zeros_like(self._shares)])
        self._shares[self._known_words] = self._weights[features].sum(axis=0)
        word.row = self._known_words
        word.features = len(features)
        self._known_words += 1

    def _concept(self, name: str) -> int:
        known = self._concepts.get(name)
        if known is None:
            known = self._concepts[name] = bucket("k" + name)
        return known
