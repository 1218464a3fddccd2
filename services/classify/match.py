"""One pass over a text: which concepts of the lexicon stand where.

All words and phrases of the lexicon form one trie over word keys. A text costs one dictionary look-up per word and a
step in the trie only where a phrase has begun, however large the lexicon is.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.classify.tokens import TOKEN, Vocabulary, is_clause_mark, is_sentence_mark

_END = ""
_CACHE_WORDS = 40_000
_LONGEST_SENTENCE = 70
"""Words; a longer run without punctuation is cut, so that time stays linear in the length of a text."""
_ABBREVIATIONS = frozenset(
    "kec kab kel no rp jl jln sdr sdri dr drs hj h ir st prof dkk ds rt rw gg kp an a.n tgl s.d bpk yth".split()
)
_SENTENCE, _CLAUSE, _WORD = 0, 1, 2

Node = dict[str, "Node | tuple[int, ...]"]


class Entry:
    """What the matcher knows of one spelling; shared by all its occurrences."""

    __slots__ = (
        "abbreviation", "features", "hits", "keys", "kind", "nodes", "pair_hash", "passive", "vector", "word",
    )  # fmt: skip

    def __init__(
        self, word: str, kind: int, keys: tuple[str, ...], hits: tuple[int, ...], nodes: tuple[Node, ...]
    ) -> None:
        self.word = word
        self.kind = kind
        self.keys = keys
        self.hits = hits
        self.nodes = nodes
        self.pair_hash = zlib.crc32((keys[-1] if keys else word).encode())
        self.vector: NDArray[np.float32] | None = None
        self.features = 0
        self.abbreviation = word in _ABBREVIATIONS
        self.passive = len(word) > 4 and word.startswith(("di", "kena"))


@dataclass(slots=True)
class Hit:
    """A concept found: its number, and the half-open range of words that show it."""

    concept: int
    start: int
    end: int


@dataclass(slots=True)
class Sentence:
    """A run of words with the concepts in it, in order of appearance."""

    start: int
    end: int
    hits: list[Hit] = field(default_factory=list)
    question: bool = False


@dataclass(slots=True)
class Scan:
    """A text taken apart: its words with their character offsets, and its sentences."""

    words: list[Entry]
    starts: list[int]
    ends: list[int]
    sentences: list[Sentence]


class Matcher:
    """The lexicon compiled. `scan` never raises and takes time linear in the length of the text.

    Args:
        vocabulary: how a spelling relates to lexicon keys.
        phrases: lexicon entry (keys of its words) -> numbers of the concepts it shows.
        opaque: concepts whose phrases hide the shorter hits inside them.
    """

    def __init__(
        self, vocabulary: Vocabulary, phrases: Mapping[tuple[str, ...], Iterable[int]], opaque: Iterable[int] = ()
    ) -> None:
        self._vocabulary = vocabulary
        self._opaque = frozenset(opaque)
        self._root: Node = {}
        self._cache: dict[str, Entry] = {}
        for keys, concepts in phrases.items():
            node = self._root
            for key in keys:
                child = node.setdefault(key, {})
                assert isinstance(child, dict)  # noqa: S101 - only _END holds a tuple, and no key is empty
                node = child
            node[_END] = tuple(sorted(concepts))

    def _learn(self, piece: str) -> Entry:
        if is_sentence_mark(piece):
            kind, keys = _SENTENCE, ()
        elif is_clause_mark(piece):
            kind, keys = _CLAUSE, ()
        else:
            kind, keys = _WORD, self._vocabulary.keys(piece)
        hits: list[int] = []
        nodes: list[Node] = []
        for key in keys:
            node = self._root.get(key)
            if isinstance(node, dict):
                ends = node.get(_END)
                if isinstance(ends, tuple):
                    hits.extend(c for c in ends if c not in hits)
                if len(node) > (1 if ends else 0):
                    nodes.append(node)
        entry = Entry(piece.casefold(), kind, keys, tuple(hits), tuple(nodes))
        if len(self._cache) >= _CACHE_WORDS:
            self._cache.clear()
        self._cache[piece] = entry
        return entry

    def scan(self, text: str) -> Scan:
        """The words of `text`, their offsets, and per sentence the concepts, longer phrases hiding shorter ones."""
        words: list[Entry] = []
        starts: list[int] = []
        ends: list[int] = []
        sentences: list[Sentence] = []
        cache = self._cache
        found: list[Hit] = []
        active: list[tuple[int, Node]] = []
        first = 0
        position = 0
        for match in TOKEN.finditer(text):
            piece = match.group()
            entry = cache.get(piece) or self._learn(piece)
            kind = entry.kind
            if kind != _WORD:
                if kind == _CLAUSE:
                    active.clear()
                elif position > first and not (piece == "." and words[-1].abbreviation):
                    sentences.append(Sentence(first, position, _visible(found, self._opaque), "?" in piece))
                    found = []
                    active = []
                    first = position
                continue
            words.append(entry)
            starts.append(match.start())
            ends.append(match.end())
            if active:
                still: list[tuple[int, Node]] = []
                for start, node in active:
                    for key in entry.keys:
                        child = node.get(key)
                        if isinstance(child, dict):
                            concepts = child.get(_END)
                            if concepts is not None:
                                for concept in concepts:
                                    found.append(Hit(concept, start, position + 1))
                            if concepts is None or len(child) > 1:
                                still.append((start, child))
                active = still
            if entry.hits:
                for concept in entry.hits:
                    found.append(Hit(concept, position, position + 1))
            for node in entry.nodes:
                active.append((position, node))
            position += 1
            if position - first >= _LONGEST_SENTENCE:
                sentences.append(Sentence(first, position, _visible(found, self._opaque)))
                found = []
                active = []
                first = position
        if position > first:
            sentences.append(Sentence(first, position, _visible(found, self._opaque)))
        return Scan(words, starts, ends, sentences)


def _visible(hits: list[Hit], opaque: frozenset[int]) -> list[Hit]:
    """Hits without those that lie inside a longer opaque one, in order of appearance."""
    spans = {(h.start, h.end) for h in hits if h.end - h.start > 1 and h.concept in opaque}
    if not spans:
        return hits
    return [
        h for h in hits
        if not any(s <= h.start and h.end <= e and (e - s) > (h.end - h.start) for s, e in spans)
    ]  # fmt: skip
