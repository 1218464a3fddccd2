"""The trained part: how a text as a whole sounds, learnt from the project's corpus.

Frames read what a sentence states; a small neural network over words, letter groups and concepts judges what rules
cannot list: whether the text asserts an event at all, and of which kind. It is served as plain arrays: what a spelling
adds to the hidden units is summed once and kept with the spelling, so that a text costs a few vector additions.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from services.classify.arrays import Masks, Numbers, entered, numbers_of, shown_at
from services.classify.elements import Reading
from services.classify.match import Scan, Spelling
from shared.config.errors import ConfigError
from shared.contracts import RiskClass

DEFAULT_MODEL = Path(__file__).parent / "model.npz"
BUCKETS = 1 << 18
WHOLE_WORD = 2.0
"""Value of a whole word or lexicon key beside its groups of letters, of which it has many."""
WORDS, PAIRS, ENDS, CONCEPTS, TOGETHER = 1.5, 1.0, 0.7, 0.4, 0.8
"""Lengths of the blocks of features of a text. Concepts count least: the rules were written with a part of the corpus,
where they are surer than elsewhere. `TOGETHER` are two concepts in one sentence: who gives is a matter of these."""
END_WORDS = 6
"""Words at the beginning and at the end of a text that count as such besides."""
_SHORT_WORD = 2
"""Letters of a word that is no evidence by itself."""
CLASSES = (RiskClass.NEUTRALITY, RiskClass.MONEY_POLITICS, RiskClass.OTHER_RISK, RiskClass.NONE)

LONGEST_WORD = 24
"""Letters of a word that are looked at."""
_GROUP_SIZES = (2, 3, 4, 5)
_ROWS_AT_ONCE = 128
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


def together_feature(first: str, second: str) -> int:
    """Bucket of two concepts in one sentence, in the order of the pack."""
    return bucket(f"k{first}+{second}")


def end_features(spelling: Spelling) -> tuple[int, int]:
    """Buckets of a word among the first and among the last of a text."""
    return bucket("a" + spelling.form), bucket("z" + spelling.form)


def text_features(reading: Reading, names: Sequence[str]) -> tuple[list[int], list[float]]:
    """Buckets and values of the features of the one text that was read, each block as long as it counts.

    Args:
        reading: of the text.
        names: of the concepts, in the order of the pack.
    """
    words, concepts = reading.scan.words_of(0), names_in(reading.masks[0], names)
    sentences = [names_in(mask, names) for mask in numbers_of(reading.sentence_masks)]
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
    together = [together_feature(a, b) for shown in sentences for a, b in combinations(shown, 2)]
    add(together, TOGETHER / math.sqrt(len(together) or 1))
    return indices, values


def names_in(mask: int, names: Sequence[str]) -> list[str]:
    """Names of the concepts in a mask, in the order of the pack."""
    found = []
    while mask:
        lowest = mask & -mask
        found.append(names[lowest.bit_length() - 1])
        mask ^= lowest
    return found


def _roots(counts: NDArray[Any]) -> Vector:
    """Square roots as a column to divide rows by; of a count below one, 1."""
    roots: Vector = np.sqrt(np.maximum(counts, 1)).astype(np.float32)[:, None]
    return roots


class Layers(NamedTuple):
    """The weights of the network. A hidden unit is the hyperbolic tangent of its bias and weighted features."""

    hidden: NDArray[np.floating[Any]]
    """A row for each bucket that was learnt."""
    hidden_bias: Vector
    output: Vector
    """A row for each hidden unit, a column for each class and then each code."""
    output_bias: Vector


@dataclass(slots=True)
class Opinion:
    """What the model makes of a text: the log-odds that it reports a violation, of which class, and of each code."""

    violation: float
    primary: RiskClass
    """The class it belongs to if it reports a violation."""
    shares: list[float]
    """The chance of each class of an offence, in the order of `CLASSES`, if it reports a violation."""
    likely: list[str]
    """The codes that are likely enough to be looked at."""
    places: Mapping[str, int]
    scores: Sequence[float]

    def code(self, code: str) -> float:
        """Log-odds of a code."""
        return self.scores[self.places[code]]


class TextModel:
    """A network over hashed features. Serves one matcher and one thread: it remembers the words it has met.

    Args:
        buckets: those that were learnt.
        layers: the weights, of these buckets and of all that is behind them. Raises `ValueError` when they do not fit.
        codes: the codes, in the order of the columns behind those of the classes.
        version: which model it is.
        certainty: factor by which the log-odds of a violation must be stretched to be a chance; learnt with the model.
        pieces: what stood between the spaces of the texts it learnt from; most texts to come are made of these.
    """

    def __init__(
        self,
        buckets: NDArray[np.integer[Any]],
        layers: Layers,
        codes: Sequence[str],
        version: str,
        certainty: float = 1.0,
        pieces: Sequence[str] = (),
    ) -> None:
        # All buckets that stand for nothing share the first row of weights, which is zero.
        self._rows = np.zeros(BUCKETS, dtype=np.int64)
        self._rows[buckets] = np.arange(1, len(buckets) + 1)
        units = len(layers.hidden_bias)
        outputs = len(CLASSES) + len(codes)
        if [array.shape for array in layers] != [(len(buckets), units), (units,), (units, outputs), (outputs,)]:
            raise ValueError("the layers do not fit each other")
        self._weights = np.zeros((len(buckets) + 1, units), dtype=np.float32)
        self._weights[1:] = layers.hidden
        self._hidden_bias = layers.hidden_bias
        self._output = layers.output.astype(np.float64)
        self._output_bias = layers.output_bias
        self._places = {code: place for place, code in enumerate(codes, start=len(CLASSES))}
        self.codes = tuple(codes)
        self.version = version
        self.certainty = certainty
        self.pieces = pieces
        self._by_concept = np.zeros((0, units), dtype=np.float32)
        # The row of weights of two concepts in one sentence, the earlier in the pack first.
        self._by_two = np.zeros((0, 0), dtype=np.int64)
        # What each spelling met adds to the hidden units, by its number: within a text with, last, the squares of the
        # features it sums; as one of the first and as one of the last words; and to the bucket of a pair as its first
        # word and as its second (`pair_feature`).
        self._spellings: list[Spelling] = []
        self._known = 0
        self._shares = np.zeros((0, units + 1), dtype=np.float32)
        # How much each by itself speaks for each code; what is too short to be evidence does not.
        self._speaks = np.zeros((0, len(codes)), dtype=np.float32)
        self._opens = np.zeros((0, units), dtype=np.float32)
        self._closes = np.zeros((0, units), dtype=np.float32)
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
                layers = Layers(*(arrays[name] for name in Layers._fields))
                return cls(arrays["rows"], layers, codes, str(arrays["version"]), certainty, pieces)
        except (OSError, EOFError, BadZipFile, zlib.error, ValueError, KeyError, IndexError) as error:
            raise ConfigError(f"{source}: not a model this version can use: {error}") from None

    def name_concepts(self, names: Sequence[str]) -> None:
        """Say which concept each bit of a mask stands for; needed once, before `opinions`."""
        self._by_concept = self._weights[self._rows[[bucket("k" + name) for name in names]]]
        self._by_two = np.zeros((len(names), len(names)), dtype=np.int64)
        for number, first in enumerate(names):
            later = [together_feature(first, second) for second in names[number + 1 :]]
            self._by_two[number, number + 1 :] = self._rows[later]

    def opinions(self, reading: Reading, *, least: float = 0.0) -> list[Opinion]:
        """The model's view of texts; of each the same in any company. A code with the log-odds `least` is likely."""
        words, first = reading.scan.words, reading.scan.first_words
        self.remember(reading.scan.spellings)
        lengths = np.diff(first)
        pairs = np.zeros(len(words), dtype=np.int64)
        pairs[:-1] = self._rows[(self._firsts[words[:-1]] + self._seconds[words[1:]]) % BUCKETS]
        pairs[first[1:][lengths > 0] - 1] = 0  # behind the last word of a text stands none
        # Number 0 is the end of a text, which adds nothing.
        reach = np.arange(END_WORDS)
        begun = np.minimum(first[:-1, None] + reach, len(words))
        ended = np.maximum(first[1:, None] - 1 - reach, -1)
        padded = np.append(words, 0)
        opening = np.where(reach < lengths[:, None], padded[begun], 0)
        closing = np.where(reach < lengths[:, None], padded[ended], 0)

        of_words = _sums(self._shares, words, first)
        of_pairs = _sums(self._weights, pairs, first)
        of_ends = self._opens[opening].sum(axis=1) + self._closes[closing].sum(axis=1)
        first_concepts, concepts = self._concepts_of(reading.text_masks)
        of_concepts = _sums(self._by_concept, concepts, first_concepts)
        first_twos, twos = self._twos_of(reading)
        of_twos = _sums(self._weights, twos, first_twos)
        units = self._hidden_bias + of_words[:, :-1] * (WORDS / _roots(of_words[:, -1]))
        units += of_pairs * (PAIRS / _roots(lengths - 1))
        units += of_ends * (ENDS / _roots(2 * np.minimum(lengths, END_WORDS)))
        units += of_concepts * (CONCEPTS / _roots(np.diff(first_concepts)))
        units += of_twos * (TOGETHER / _roots(np.diff(first_twos)))
        # With so many digits that it does not show how many texts are multiplied together.
        scores = _product(np.tanh(units.astype(np.float64)), self._output) + self._output_bias
        offences = scores[:, : CLASSES.index(RiskClass.NONE)]
        asserted = np.logaddexp.reduce(offences, axis=1) - scores[:, CLASSES.index(RiskClass.NONE)]
        shares = np.exp(offences - offences.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        opinions = [
            Opinion(violation, CLASSES[primary], of_class, [], self._places, values)
            for violation, primary, of_class, values in zip(
                asserted.tolist(), offences.argmax(axis=1).tolist(), shares.tolist(), scores.tolist(), strict=True
            )
        ]
        codes = list(self._places)
        for text, code in zip(*map(np.ndarray.tolist, shown_at(scores[:, len(CLASSES) :] >= least)), strict=True):
            opinions[text].likely.append(codes[code])
        return opinions

    def _concepts_of(self, masks: Masks) -> tuple[Numbers, Numbers]:
        """The numbers of the concepts in masks, one mask after the other, and where those of each begin."""
        octets = np.ascontiguousarray(masks.T).view(np.uint8)
        shown = np.unpackbits(octets, axis=1, bitorder="little").view(np.bool_)
        owners, concepts = shown_at(shown)
        return np.searchsorted(owners, np.arange(len(shown) + 1)), concepts

    def _twos_of(self, reading: Reading) -> tuple[Numbers, Numbers]:
        """The rows of weights of every two concepts that share a sentence, and where those of each text begin."""
        first, concepts = self._concepts_of(reading.sentence_masks)
        behind = np.repeat(first[1:], np.diff(first)) - np.arange(len(concepts)) - 1
        left = np.repeat(np.arange(len(concepts)), behind)
        right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(behind) - behind, behind)
        return _bounds(behind)[first[reading.sentence_bounds]], self._by_two[concepts[left], concepts[right]]

    def telling_words(self, scan: Scan, text: int, code: str, most: int = 4) -> list[tuple[int, int]]:
        """Ranges of the words that speak most for a code, for the evidence of a finding that no frame explains."""
        first = int(scan.first_words[text])
        words = scan.words[first : scan.first_words[text + 1]]
        speaks = self._speaks[words, self._places[code] - len(CLASSES)]
        most_telling = np.argsort(-speaks, kind="stable")[:most]
        return [(word, word + 1) for word in (first + most_telling[speaks[most_telling] > 0]).tolist()]

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
        shares = self._shares_of(fresh)
        self._shares = entered(self._shares, first, shares)
        long = np.array([len(spelling.word) > _SHORT_WORD for spelling in fresh])
        speaks = _product(shares[:, :-1].astype(np.float64), self._output[:, len(CLASSES) :])
        self._speaks = entered(self._speaks, first, speaks * long[:, None])
        if first == 0:
            for table in (self._opens, self._closes, self._shares):
                table[0] = 0  # the end of a text
        self._known = len(self._spellings)

    def _shares_of(self, spellings: Sequence[Spelling]) -> Vector:
        """What spellings add to the hidden units, and the squares of the features of each."""
        wholes = [whole_features(spelling) for spelling in spellings]
        first_wholes = _bounds(np.array([len(some) for some in wholes]))
        buckets = np.fromiter(chain.from_iterable(wholes), dtype=np.int64)
        groups, owners = group_features(spellings)
        first_groups = np.searchsorted(owners, np.arange(len(spellings) + 1))
        shares = np.empty((len(spellings), self._weights.shape[1] + 1), dtype=np.float32)
        shares[:, :-1] = WHOLE_WORD * _sums(self._weights, self._rows[buckets], first_wholes)
        shares[:, :-1] += _sums(self._weights, self._rows[groups], first_groups)
        shares[:, -1] = WHOLE_WORD**2 * np.diff(first_wholes) + np.diff(first_groups)
        return shares


def _product(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The product of two matrices, a few rows at a time.

    So few that the library for it starts no threads: these would wait for more in a busy loop, longer than the whole
    batch takes, on a core that another service needs.
    """
    some = range(0, max(len(rows), 1), _ROWS_AT_ONCE)
    return np.concatenate([rows[first : first + _ROWS_AT_ONCE] @ columns for first in some])


def _bounds(counts: NDArray[Any]) -> Numbers:
    """Where each of some lists begins, of which one follows the other, and last where all end."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _sums(table: Vector, rows: Numbers, first: Numbers) -> Vector:
    """For each of some lists of rows, of which one follows the other, their sum; where each begins is in `first`."""
    ones = np.ones(len(rows), dtype=np.float32)
    sums: Vector = csr_array((ones, rows, first), shape=(len(first) - 1, len(table))) @ table
    return sums
