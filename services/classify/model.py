"""The trained part: how a text as a whole sounds, learnt from the project's corpus.

Frames read what a sentence states; a linear model over words, letter groups and concepts judges what rules cannot list:
whether the text asserts an event at all, and of which kind. It is served as plain arrays: every spelling's share of the
scores is summed once and kept with the spelling, so that a text costs a few vector additions.
"""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classify.elements import Reading
from services.classify.match import Numbers, Scan, Spelling, with_room
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
_SHORT_WORD = 2
"""Letters of a word that is no evidence by itself."""
CLASSES = (RiskClass.NEUTRALITY, RiskClass.MONEY_POLITICS, RiskClass.OTHER_RISK, RiskClass.NONE)

_GROUPS = zlib.crc32(b"n")

Vector = NDArray[np.float32]


def bucket(feature: str) -> int:
    """The bucket of a feature's weights; the same on every machine."""
    return zlib.crc32(feature.encode()) % BUCKETS


def word_features(spelling: Spelling) -> tuple[list[int], list[int]]:
    """Buckets of a spelling: as a whole (lexicon keys and itself); and its groups of two to five letters."""
    wholes = {"w" + key for key in spelling.keys} | {"w=" + spelling.word}
    groups: list[int] = []
    if not (spelling.keys and spelling.keys[0].startswith("<")):
        padded = f" {spelling.word[:24]} "
        # Slices of bytes where a byte is a letter; `crc32(x, crc32(b"n"))` is `crc32(b"n" + x)`, without building it.
        letters = padded.encode() if padded.isascii() else [letter.encode() for letter in padded]
        for size in (2, 3, 4, 5):
            for i in range(len(letters) - size + 1):
                group = letters[i : i + size]
                groups.append(zlib.crc32(group if isinstance(group, bytes) else b"".join(group), _GROUPS) % BUCKETS)
    return [bucket(whole) for whole in sorted(wholes)], groups


def _pair_hash(spelling: Spelling) -> int:
    return zlib.crc32((spelling.keys[-1] if spelling.keys else spelling.word).encode())


def pair_feature(first: Spelling, second: Spelling) -> int:
    """Bucket of two neighbouring words."""
    return (_pair_hash(first) * 31 + _pair_hash(second) * 17 + 7) % BUCKETS


def end_features(spelling: Spelling) -> tuple[int, int]:
    """Buckets of a word among the first and among the last of a text."""
    return bucket("a" + spelling.form), bucket("z" + spelling.form)


def text_features(words: Sequence[Spelling], concepts: Iterable[str]) -> tuple[list[int], list[float]]:
    """Buckets and values of a text's features: words, pairs, ends and concepts, each block as long as it counts."""
    indices: list[int] = []
    values: list[float] = []

    def add(block: Sequence[int], value: float) -> None:
        indices.extend(block)
        values.extend([value] * len(block))

    if words:
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


def _roots(counts: NDArray[Any]) -> Vector:
    """Square roots as a column to divide rows by; of a count below one, 1."""
    roots: Vector = np.sqrt(np.maximum(counts, 1)).astype(np.float32)[:, None]
    return roots


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
        # What each spelling met adds to the scores, by its number: within a text with, last, the squares of the
        # features it sums; as one of the first and as one of the last words; and to the bucket of a pair as its first
        # word and as its second (`pair_feature`).
        self._spellings: list[Spelling] = []
        self._known = 0
        self._shares = np.zeros((0, len(bias) + 1), dtype=np.float32)
        self._opens = np.zeros((0, len(bias)), dtype=np.float32)
        self._closes = np.zeros((0, len(bias)), dtype=np.float32)
        self._firsts = np.zeros(0, dtype=np.int64)
        self._seconds = np.zeros(0, dtype=np.int64)

    @classmethod
    def load(cls, path: Path | None = None) -> "TextModel":
        """The model in a file, by default the one shipped. Raises `ConfigError` when it cannot be used."""
        source = path or DEFAULT_MODEL
        try:
            with np.load(source, allow_pickle=False) as arrays:
                weights = np.zeros((BUCKETS + 1, arrays["bias"].shape[0]), dtype=np.float32)
                weights[arrays["rows"]] = arrays["weights"].astype(np.float32)
                codes = [str(code) for code in arrays["codes"]]
                certainty, words = float(arrays["certainty"]), str(arrays["words"]).split()
                return cls(weights, arrays["bias"], codes, str(arrays["version"]), certainty, words)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"{source}: not a model this version can use: {error}") from None

    def name_concepts(self, names: Sequence[str]) -> None:
        """Say which concept each bit of a mask stands for; needed once, before `opinions`."""
        self._by_concept = self._weights[[bucket("k" + name) for name in names]]

    def opinions(self, reading: Reading) -> list[Opinion]:
        """The model's view of texts; of each the same in any company."""
        words, first = reading.scan.words, reading.scan.first_words
        self.remember(reading.scan)
        texts = len(first) - 1
        lengths = np.diff(first)
        # Behind the last word of a text stands no pair, but the bucket of none.
        pairs = np.full(len(words), BUCKETS, dtype=np.int64)
        pairs[:-1] = (self._firsts[words[:-1]] + self._seconds[words[1:]]) % BUCKETS
        pairs[first[1:][lengths > 0] - 1] = BUCKETS
        # Number 0 is the end of a text, which adds nothing.
        reach = np.arange(END_WORDS)
        begun = np.minimum(first[:-1, None] + reach, len(words))
        ended = np.maximum(first[1:, None] - 1 - reach, -1)
        padded = np.append(words, 0)
        opening = np.where(reach < lengths[:, None], padded[begun], 0)
        closing = np.where(reach < lengths[:, None], padded[ended], 0)
        octets = np.ascontiguousarray(reading.text_masks.T).view(np.uint8)
        present = np.unpackbits(octets, axis=1, count=len(self._by_concept), bitorder="little")
        text_of_concept, concepts = np.nonzero(present)

        of_words = _sums(self._shares[words], first[:-1], lengths)
        of_pairs = _sums(self._weights[pairs], first[:-1], lengths)
        of_ends = self._opens[opening].sum(axis=1) + self._closes[closing].sum(axis=1)
        counts = np.bincount(text_of_concept, minlength=texts)
        of_concepts = _sums(self._by_concept[concepts], np.cumsum(counts) - counts, counts)
        scores = self._bias + of_words[:, :-1] * (WORDS / _roots(of_words[:, -1]))
        scores += of_pairs * (PAIRS / _roots(lengths - 1))
        scores += of_ends * (ENDS / _roots(2 * np.minimum(lengths, END_WORDS)))
        scores += of_concepts * (CONCEPTS / _roots(counts))
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

    def telling_words(self, scan: Scan, text: int, code: str, most: int = 4) -> list[tuple[int, int]]:
        """Ranges of the words that speak most for a code, for the evidence of a finding that no frame explains."""
        first = int(scan.first_words[text])
        words = scan.words[first : scan.first_words[text + 1]]
        shares = self._shares[words, self._places[code]]
        telling = np.flatnonzero(shares > 0)
        ranked = telling[np.lexsort((telling, shares[telling]))[::-1]].tolist()
        long = (place for place in ranked if len(scan.spellings[words[place]].word) > _SHORT_WORD)
        return [(first + place, first + place + 1) for place in islice(long, most)]

    def remember(self, scan: Scan) -> None:
        """Sum the shares of spellings not met before; forget them all when the matcher has."""
        if scan.spellings is not self._spellings:
            self._spellings, self._known = scan.spellings, 0
        count = len(self._spellings)
        if self._known == count:
            return
        self._shares = with_room(self._shares, count)
        self._opens = with_room(self._opens, count)
        self._closes = with_room(self._closes, count)
        self._firsts = with_room(self._firsts, count)
        self._seconds = with_room(self._seconds, count)
        for spelling in self._spellings[self._known :]:
            self._remember(spelling)
        self._known = count

    def _remember(self, spelling: Spelling) -> None:
        """Sum a spelling's share of the scores once."""
        row = spelling.number
        if not spelling.word:
            self._shares[row] = self._opens[row] = self._closes[row] = 0
            return
        wholes, groups = word_features(spelling)
        self._shares[row, :-1] = WHOLE_WORD * self._weights.take(wholes, axis=0).sum(axis=0)
        self._shares[row, :-1] += self._weights.take(groups, axis=0).sum(axis=0)
        self._shares[row, -1] = WHOLE_WORD**2 * len(wholes) + len(groups)
        opening, closing = end_features(spelling)
        self._opens[row], self._closes[row] = self._weights[opening], self._weights[closing]
        self._firsts[row] = _pair_hash(spelling) * 31 + 7
        self._seconds[row] = _pair_hash(spelling) * 17


def _sums(rows: Vector, first: Numbers, lengths: Numbers) -> Vector:
    """The sum of the rows of each text, which follow each other; zero for a text without any."""
    sums = np.zeros((len(lengths), rows.shape[1]), dtype=np.float32)
    some = lengths > 0
    if some.any():
        sums[some] = np.add.reduceat(rows, first[some], axis=0)
    return sums
