"""The trained part: how a text as a whole sounds, learnt from the project's corpus.

Frames read what a sentence states; a linear model over words, letter groups and concepts judges what rules cannot list:
whether the text asserts an event at all, and of which kind. It is served as plain arrays: every spelling's share of the
scores is summed once and kept with the spelling, so that a text costs a few vector additions.
"""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classify.arrays import Numbers, entered
from services.classify.elements import Reading
from services.classify.match import Scan, Spelling
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
_WORDS_AT_ONCE = 500
"""Spellings whose features are summed together, so that memory stays small when many are new."""
_SHORT_WORD = 2
"""Letters of a word that is no evidence by itself."""
CLASSES = (RiskClass.NEUTRALITY, RiskClass.MONEY_POLITICS, RiskClass.OTHER_RISK, RiskClass.NONE)

LONGEST_WORD = 24
"""Letters of a word that are looked at."""
_GROUP_SIZES = (2, 3, 4, 5)
_BUCKET_BITS = BUCKETS.bit_length() - 1
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""An odd number that spreads what is multiplied by it over all bits."""

Vector = NDArray[np.float32]


def bucket(feature: str) -> int:
    """The bucket of a feature's weights; the same on every machine."""
    return zlib.crc32(feature.encode(errors="surrogatepass")) % BUCKETS


def whole_features(spelling: Spelling) -> list[int]:
    """Buckets of a spelling as a whole: its lexicon keys and itself."""
    return [bucket(whole) for whole in sorted({"w" + key for key in spelling.keys} | {"w=" + spelling.word})]


def group_features(spellings: Sequence[Spelling]) -> tuple[Numbers, Numbers]:
    """Buckets of the groups of two to five letters in spellings, and in which of them each stands, in their order.

    A word begins and ends with a space; amounts, hours and other shapes have no letters.
    """
    words = ["" if one.word.startswith("<") else one.word[:LONGEST_WORD].replace(" ", "_") for one in spellings]
    text = "".join([f" {word}" for word in words]) + " "
    letters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    spaces = letters == ord(" ")
    word_of = np.cumsum(spaces) - 1
    buckets: list[Numbers] = []
    owners: list[Numbers] = []
    for size in _GROUP_SIZES:
        count = len(letters) - size + 1
        if count < 1:
            break
        mixed = np.full(count, size, dtype=np.uint64)
        for place in range(size):
            mixed = (mixed ^ letters[place : place + count]) * _SPREAD
            mixed ^= mixed >> np.uint64(29)
        within = spaces[:count] & spaces[1 : count + 1]  # the letters of nothing
        for place in range(1, size - 1):
            within |= spaces[place : place + count]
        groups = np.flatnonzero(~within)
        buckets.append((mixed[groups] >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64))
        owners.append(word_of[groups])
    order = np.argsort(np.concatenate(owners), kind="stable")
    return np.concatenate(buckets)[order], np.concatenate(owners)[order]


def _pair_hash(spelling: Spelling) -> int:
    whole = spelling.keys[-1] if spelling.keys else spelling.word
    return zlib.crc32(whole.encode(errors="surrogatepass"))


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
        wholes = [feature for word in words for feature in whole_features(word)]
        groups = group_features(words)[0].tolist()
        squares = WHOLE_WORD**2 * len(wholes) + len(groups)
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
    likely: list[str]
    """The codes that are likely enough to be looked at."""
    places: Mapping[str, int]
    scores: Sequence[float]

    def code(self, code: str) -> float:
        """Log-odds of a code."""
        return self.scores[self.places[code]]


class TextModel:
    """A linear model over hashed features. Serves one matcher and one thread: it remembers the words it has met.

    Args:
        buckets: those that any feature of the training texts falls into.
        weights: of each of them, for each class and code.
        bias: of each class and code.
        codes: the codes, in the order of the weights behind those of the classes.
        version: which model it is.
        certainty: factor by which the log-odds of a violation must be stretched to be a chance; learnt with the model.
        pieces: what stood between the spaces of the texts it learnt from; most texts to come are made of these.
    """

    def __init__(
        self,
        buckets: NDArray[np.integer[Any]],
        weights: NDArray[np.floating[Any]],
        bias: Vector,
        codes: Sequence[str],
        version: str,
        certainty: float = 1.0,
        pieces: Sequence[str] = (),
    ) -> None:
        # All buckets that stand for nothing share the first row of weights, which is zero.
        self._rows = np.zeros(BUCKETS, dtype=np.int64)
        self._rows[buckets] = np.arange(1, len(buckets) + 1)
        self._weights = np.zeros((len(buckets) + 1, len(bias)), dtype=np.float32)
        self._weights[1:] = weights
        self._bias = bias
        self._places = {code: place for place, code in enumerate(codes, start=len(CLASSES))}
        self.version = version
        self.certainty = certainty
        self.pieces = pieces
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
                codes = [str(code) for code in arrays["codes"]]
                certainty, pieces = float(arrays["certainty"]), str(arrays["pieces"]).split()
                return cls(
                    arrays["rows"], arrays["weights"], arrays["bias"], codes, str(arrays["version"]), certainty, pieces
                )
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"{source}: not a model this version can use: {error}") from None

    def name_concepts(self, names: Sequence[str]) -> None:
        """Say which concept each bit of a mask stands for; needed once, before `opinions`."""
        self._by_concept = self._weights[self._rows[[bucket("k" + name) for name in names]]]

    def opinions(self, reading: Reading, *, least: float = 0.0) -> list[Opinion]:
        """The model's view of texts; of each the same in any company. A code with the log-odds `least` is likely."""
        words, first = reading.scan.words, reading.scan.first_words
        self.remember(reading.scan.spellings)
        texts = len(first) - 1
        lengths = np.diff(first)
        pairs = np.zeros(len(words), dtype=np.int64)
        pairs[:-1] = self._rows[(self._firsts[words[:-1]] + self._seconds[words[1:]]) % BUCKETS]
        pairs[first[1:][lengths > 0] - 1] = 0  # behind the last word of a text stands none
        known = np.flatnonzero(pairs)
        first_known = np.searchsorted(known, first)
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
        of_pairs = _sums(self._weights[pairs[known]], first_known[:-1], np.diff(first_known))
        of_ends = self._opens[opening].sum(axis=1) + self._closes[closing].sum(axis=1)
        counts = np.bincount(text_of_concept, minlength=texts)
        of_concepts = _sums(self._by_concept[concepts], np.cumsum(counts) - counts, counts)
        scores = self._bias + of_words[:, :-1] * (WORDS / _roots(of_words[:, -1]))
        scores += of_pairs * (PAIRS / _roots(lengths - 1))
        scores += of_ends * (ENDS / _roots(2 * np.minimum(lengths, END_WORDS)))
        scores += of_concepts * (CONCEPTS / _roots(counts))
        asserted = np.logaddexp.reduce(scores[:, :3].astype(np.float64), axis=1) - scores[:, 3]
        opinions = [
            Opinion(violation, dict(zip(CLASSES[:3], values, strict=False)), [], self._places, values)
            for violation, values in zip(asserted.tolist(), scores.tolist(), strict=True)
        ]
        codes = list(self._places)
        for text, code in zip(*map(np.ndarray.tolist, np.nonzero(scores[:, len(CLASSES) :] >= least)), strict=True):
            opinions[text].likely.append(codes[code])
        return opinions

    def telling_words(self, scan: Scan, text: int, code: str, most: int = 4) -> list[tuple[int, int]]:
        """Ranges of the words that speak most for a code, for the evidence of a finding that no frame explains."""
        first = int(scan.first_words[text])
        words = scan.words[first : scan.first_words[text + 1]]
        shares = self._shares[words, self._places[code]]
        telling = np.flatnonzero(shares > 0)
        ranked = telling[np.lexsort((telling, shares[telling]))[::-1]].tolist()
        long = (place for place in ranked if len(scan.spellings[words[place]].word) > _SHORT_WORD)
        return [(first + place, first + place + 1) for place in islice(long, most)]

    def remember(self, spellings: list[Spelling]) -> None:
        """Sum the shares of spellings not met before; forget them all when the matcher has."""
        if spellings is not self._spellings:
            self._spellings, self._known = spellings, 0
        first, fresh = self._known, self._spellings[self._known :]
        if not fresh:
            return
        hashes = np.array([_pair_hash(spelling) for spelling in fresh], dtype=np.int64)
        self._firsts = entered(self._firsts, first, hashes * 31 + 7)
        self._seconds = entered(self._seconds, first, hashes * 17)
        opening, closing = zip(*map(end_features, fresh), strict=True)
        self._opens = entered(self._opens, first, self._weights[self._rows[list(opening)]])
        self._closes = entered(self._closes, first, self._weights[self._rows[list(closing)]])
        for number in range(0, len(fresh), _WORDS_AT_ONCE):
            shares = self._shares_of(fresh[number : number + _WORDS_AT_ONCE])
            self._shares = entered(self._shares, first + number, shares)
        if first == 0:
            for table in (self._opens, self._closes, self._shares):
                table[0] = 0  # the end of a text
        self._known = len(self._spellings)

    def _shares_of(self, spellings: Sequence[Spelling]) -> Vector:
        """What spellings add to the scores, and the squares of the features of each."""
        wholes = [whole_features(spelling) for spelling in spellings]
        lengths = np.array([len(some) for some in wholes])
        buckets = np.fromiter(chain.from_iterable(wholes), dtype=np.int64)
        groups, owners = group_features(spellings)
        grouped = np.bincount(owners, minlength=len(spellings))
        shares = np.empty((len(spellings), self._weights.shape[1] + 1), dtype=np.float32)
        shares[:, :-1] = WHOLE_WORD * _sums(self._weights[self._rows[buckets]], np.cumsum(lengths) - lengths, lengths)
        shares[:, :-1] += _sums(self._weights[self._rows[groups]], np.cumsum(grouped) - grouped, grouped)
        shares[:, -1] = WHOLE_WORD**2 * lengths + grouped
        return shares


def _sums(rows: Vector, first: Numbers, lengths: Numbers) -> Vector:
    """The sum of the rows of each text, which follow each other; zero for a text without any."""
    sums = np.zeros((len(lengths), rows.shape[1]), dtype=np.float32)
    some = lengths > 0
    if some.any():
        sums[some] = np.add.reduceat(rows, first[some], axis=0)
    return sums
