"""The trained part: how a text as a whole sounds, learnt from the project's corpus.

Frames read what a sentence states; a linear model over words, letter groups and concepts judges what rules cannot list:
whether the text asserts an event at all, and of which kind. It is served as plain arrays: every spelling's share of the
scores is summed once and kept with the spelling, so that a text costs a few vector additions.
"""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.classify.match import Entry, Scan
from shared.config.errors import ConfigError
from shared.contracts import RiskClass

DEFAULT_MODEL = Path(__file__).parent / "model.npz"
BUCKETS = 1 << 18
WHOLE_WORD = 2.0
"""Value of a whole word or lexicon key beside its groups of letters, of which it has many."""
WORDS, PAIRS, ENDS, CONCEPTS = 1.5, 1.0, 0.7, 0.4
"""Lengths of the blocks of features of a text. Concepts count least: the rules were written with a part of the corpus,
where they are surer than elsewhere."""
END_WORDS = 6
"""Words at the beginning and at the end of a text that count as such besides."""
_FIRST_WORDS = 4096
_MOST_WORDS = 60_000
"""Spellings remembered before all are forgotten, so that memory stays flat however many texts come."""
CLASSES = (RiskClass.NEUTRALITY, RiskClass.MONEY_POLITICS, RiskClass.OTHER_RISK, RiskClass.NONE)

_GROUPS = zlib.crc32(b"n")

Vector = NDArray[np.float32]


def bucket(feature: str) -> int:
    """The bucket of a feature's weights; the same on every machine."""
    return zlib.crc32(feature.encode()) % BUCKETS


def word_features(entry: Entry) -> tuple[list[int], list[int]]:
    """Buckets of a spelling: as a whole (lexicon keys and itself); and its groups of two to five letters."""
    wholes = {"w" + key for key in entry.keys} | {"w=" + entry.word}
    groups: list[int] = []
    if not (entry.keys and entry.keys[0].startswith("<")):
        padded = f" {entry.word[:24]} "
        # Slices of bytes where a byte is a letter; `crc32(x, crc32(b"n"))` is `crc32(b"n" + x)`, without building it.
        letters = padded.encode() if padded.isascii() else [letter.encode() for letter in padded]
        for size in (2, 3, 4, 5):
            for i in range(len(letters) - size + 1):
                group = letters[i : i + size]
                groups.append(zlib.crc32(group if isinstance(group, bytes) else b"".join(group), _GROUPS) % BUCKETS)
    return [bucket(whole) for whole in sorted(wholes)], groups


def pair_feature(first: Entry, second: Entry) -> int:
    """Bucket of two neighbouring words."""
    return (first.pair_hash * 31 + second.pair_hash * 17 + 7) % BUCKETS


def end_features(entry: Entry) -> tuple[int, int]:
    """Buckets of a word among the first and among the last of a text."""
    return bucket("a" + entry.form), bucket("z" + entry.form)


def text_features(scan: Scan, concepts: Iterable[str]) -> tuple[list[int], list[float]]:
    """Buckets and values of a text's features: words, pairs, ends and concepts, each block as long as it counts."""
    indices: list[int] = []
    values: list[float] = []

    def add(block: Sequence[int], value: float) -> None:
        indices.extend(block)
        values.extend([value] * len(block))

    if words := scan.words:
        spelt = [word_features(word) for word in words]
        squares = sum(WHOLE_WORD**2 * len(wholes) + len(groups) for wholes, groups in spelt)
        for wholes, groups in spelt:
            add(wholes, WHOLE_WORD * WORDS / math.sqrt(squares))
            add(groups, WORDS / math.sqrt(squares))
        pairs = [pair_feature(a, b) for a, b in pairwise(words)]
        add(pairs, PAIRS / math.sqrt(len(pairs) or 1))
        ends = [end_features(word)[0] for word in words[:END_WORDS]]
        ends += [end_features(word)[1] for word in words[-END_WORDS:]]
        add(ends, ENDS / math.sqrt(len(ends)))
    named = [bucket("k" + name) for name in concepts]
    add(named, CONCEPTS / math.sqrt(len(named) or 1))
    return indices, values


def _roots(counts: Sequence[int] | NDArray[np.float64]) -> Vector:
    """Square roots as a column to divide rows by; of a count below one, 1."""
    return np.sqrt(np.maximum(counts, 1)).astype(np.float32)[:, None]


@dataclass(slots=True)
class Opinion:
    """What the model makes of a text: log-odds that it reports a violation, of each class then, and of each code."""

    violation: float
    classes: dict[RiskClass, float]
    places: Mapping[str, int]
    scores: Sequence[float]

    def code(self, code: str) -> float:
        """Log-odds of a code."""
        return self.scores[self.places[code]]

    def likely(self, least: float) -> list[str]:
        """The codes with at least these log-odds."""
        return [code for code, score in zip(self.places, self.scores[len(CLASSES) :], strict=True) if score >= least]


class TextModel:
    """A linear model over hashed features.

    Serves one matcher, whose entries it marks, and one thread: it remembers the words it has met.
    """

    def __init__(
        self,
        weights: Vector,
        bias: Vector,
        codes: Sequence[str],
        version: str,
        certainty: float = 1.0,
        words: Sequence[str] = (),
    ) -> None:
        self._weights = weights
        self._bias = bias
        self._places = {code: place for place, code in enumerate(codes, start=len(CLASSES))}
        self.version = version
        self.certainty = certainty
        """Factor by which the log-odds of a violation must be stretched to be a chance; learnt with the model."""
        self.words = words
        """Words of the texts it learnt from, which most texts to come are made of."""
        self._by_concept = np.zeros((0, len(bias)), dtype=np.float32)
        self._mask_octets = 0
        # One row for each spelling met: its share of the scores and, last, the squares of the features it sums.
        self._shares = np.zeros((_FIRST_WORDS, len(bias) + 1), dtype=np.float32)
        # And its shares as one of the first, and as one of the last words of a text.
        self._opens = np.zeros((_FIRST_WORDS, len(bias)), dtype=np.float32)
        self._closes = np.zeros((_FIRST_WORDS, len(bias)), dtype=np.float32)
        # For each of them what it adds to the bucket of a pair as its first word, and as its second (`pair_feature`).
        self._firsts = np.zeros(_FIRST_WORDS, dtype=np.int64)
        self._seconds = np.zeros(_FIRST_WORDS, dtype=np.int64)
        self._known_words = 0
        self._epoch = 1

    @classmethod
    def load(cls, path: Path | None = None) -> "TextModel":
        """The model in a file, by default the one shipped. Raises `ConfigError` when it cannot be used."""
        source = path or DEFAULT_MODEL
        try:
            with np.load(source, allow_pickle=False) as arrays:
                weights = np.zeros((BUCKETS, arrays["bias"].shape[0]), dtype=np.float32)
                weights[arrays["rows"]] = arrays["weights"].astype(np.float32)
                codes = [str(code) for code in arrays["codes"]]
                certainty, words = float(arrays["certainty"]), str(arrays["words"]).split()
                return cls(weights, arrays["bias"], codes, str(arrays["version"]), certainty, words)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"{source}: not a model this version can use: {error}") from None

    def name_concepts(self, names: Sequence[str]) -> None:
        """Say which concept each bit of a mask stands for; needed once, before `opinions`."""
        self._by_concept = self._weights[[bucket("k" + name) for name in names]]
        self._mask_octets = (len(names) + 7) // 8

    def opinions(self, scans: Sequence[Scan], masks: Sequence[int]) -> list[Opinion]:
        """The model's view of texts with these words and the concepts in `masks`; of each the same in any company."""
        words = list(chain.from_iterable([scan.words for scan in scans]))
        self.remember(words)
        rows = np.array([word.row for word in words], dtype=np.int64)
        # The pairs across two texts are among them, and are passed over.
        pairs = (self._firsts.take(rows[:-1]) + self._seconds.take(rows[1:])) % BUCKETS
        of_words = np.zeros((len(scans), self._shares.shape[1]), dtype=np.float32)
        of_pairs = np.zeros((len(scans), len(self._bias)), dtype=np.float32)
        of_ends = np.zeros_like(of_pairs)
        of_concepts = np.zeros_like(of_pairs)
        octets = b"".join([mask.to_bytes(self._mask_octets, "little") for mask in masks])
        bits = np.frombuffer(octets, dtype=np.uint8).reshape(len(scans), self._mask_octets)
        present = np.unpackbits(bits, axis=1, count=len(self._by_concept), bitorder="little").astype(np.float32)
        first = 0
        for number, (scan, mask) in enumerate(zip(scans, masks, strict=True)):
            end = first + len(scan.words)
            if end > first:
                np.add.reduce(self._shares.take(rows[first:end], axis=0), axis=0, out=of_words[number])
                opening, closing = rows[first : min(end, first + END_WORDS)], rows[max(first, end - END_WORDS) : end]
                np.add.reduce(self._opens.take(opening, axis=0), axis=0, out=of_ends[number])
                of_ends[number] += np.add.reduce(self._closes.take(closing, axis=0), axis=0)
            if end > first + 1:
                np.add.reduce(self._weights.take(pairs[first : end - 1], axis=0), axis=0, out=of_pairs[number])
            if mask:
                np.matmul(present[number], self._by_concept, out=of_concepts[number])
            first = end
        squares = of_words[:, -1].astype(np.float64)
        scores = self._bias + of_words[:, :-1] * (WORDS / _roots(squares))
        scores += of_pairs * (PAIRS / _roots([len(scan.words) - 1 for scan in scans]))
        scores += of_ends * (ENDS / _roots([2 * min(END_WORDS, len(scan.words)) for scan in scans]))
        scores += of_concepts * (CONCEPTS / _roots([mask.bit_count() for mask in masks]))
        return [self._opinion(values) for values in scores.tolist()]

    def _opinion(self, scores: list[float]) -> Opinion:
        classes = scores[: len(CLASSES)]
        top = max(classes[:3])
        asserted = top + math.log(sum([math.exp(c - top) for c in classes[:3]]))
        return Opinion(
            violation=asserted - classes[3],
            classes=dict(zip(CLASSES[:3], classes, strict=False)),
            places=self._places,
            scores=scores,
        )

    def telling_words(self, scan: Scan, code: str, most: int = 4) -> list[tuple[int, int]]:
        """Ranges of the words that speak most for a code, for the evidence of a finding that no frame explains."""
        column = self._places[code]
        shares = self._shares[[word.row for word in scan.words], column].tolist()
        ranked = sorted(
            ((share, place) for place, share in enumerate(shares) if share > 0 and len(scan.words[place].word) > 2),
            reverse=True,
        )
        return [(place, place + 1) for _, place in ranked[:most]]

    def remember(self, words: Sequence[Entry]) -> None:
        """Sum the shares of words not met before; where there may not be room for all, forget those met before."""
        fresh = [word for word in words if word.epoch != self._epoch]
        if self._known_words + len(fresh) > _MOST_WORDS and self._known_words:
            self._known_words = 0
            self._epoch += 1
            fresh = list(words)
        for word in fresh:
            if word.epoch != self._epoch:
                self._remember(word)

    def _remember(self, word: Entry) -> None:
        """Sum a spelling's share of the scores once, into a row that the spelling keeps for this epoch."""
        wholes, groups = word_features(word)
        row = self._known_words
        if row == len(self._shares):
            self._shares, self._opens, self._closes, self._firsts, self._seconds = (
                np.concatenate([known, np.zeros_like(known)])
                for known in (self._shares, self._opens, self._closes, self._firsts, self._seconds)
            )
        self._shares[row, :-1] = WHOLE_WORD * self._weights.take(wholes, axis=0).sum(axis=0)
        self._shares[row, :-1] += self._weights.take(groups, axis=0).sum(axis=0)
        self._shares[row, -1] = WHOLE_WORD**2 * len(wholes) + len(groups)
        opening, closing = end_features(word)
        self._opens[row], self._closes[row] = self._weights[opening], self._weights[closing]
        self._firsts[row] = word.pair_hash * 31 + 7
        self._seconds[row] = word.pair_hash * 17
        word.row = row
        word.epoch = self._epoch
        self._known_words = row + 1
