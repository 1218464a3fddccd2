"""One pass over a text: which concepts of the lexicon stand where.

All words and phrases of the lexicon form one trie over word keys. A text costs one dictionary look-up per word and a
step in the trie only where a phrase has begun, however large the lexicon is.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.classify.tokens import CLAUSE_MARKS, MARKS, TOKEN, Vocabulary

_CACHE_WORDS = 40_000
_LONGEST_SENTENCE = 70
"""Words; a longer run without punctuation is cut, so that time stays linear in the length of a text."""
_ABBREVIATIONS = frozenset(
    (
        "kec",
        "kab",
        "kel",
        "no",
        "rp",
        "jl",
        "jln",
        "sdr",
        "sdri",
        "dr",
        "drs",
        "hj",
        "h",
        "ir",
        "st",
        "prof",
        "dkk",
        "ds",
        "rt",
        "rw",
        "gg",
        "kp",
        "an",
        "a.n",
        "tgl",
        "s.d",
        "bpk",
        "yth",
    )
)
_SENTENCE, _CLAUSE, _WORD = 0, 1, 2


class Node:
    """A state of the trie: where each key leads, and a mask of the concepts that end here."""

    __slots__ = ("ends", "next")

    def __init__(self) -> None:
        self.next: dict[str, Node] = {}
        self.ends = 0


class Entry:
    """What the matcher knows of one spelling; shared by all its occurrences.

    `row` and `epoch` belong to the text model: where it keeps the spelling's share of the scores, and since when.
    """

    __slots__ = ("abbreviation", "epoch", "hits", "keys", "kind", "nodes", "pair_hash", "passive", "row", "word")

    def __init__(self, word: str, kind: int, keys: tuple[str, ...], hits: int, nodes: tuple[Node, ...]) -> None:
        self.word = word
        self.kind = kind
        self.keys = keys
        self.hits = hits
        self.nodes = nodes
        self.pair_hash = zlib.crc32((keys[-1] if keys else word).encode())
        self.row = 0
        self.epoch = 0
        self.abbreviation = word in _ABBREVIATIONS
        self.passive = len(word) > 4 and word.startswith(("di", "kena"))


@dataclass(slots=True)
class Hit:
    """Concepts found together: a bit mask of them, and the half-open range of words that show them."""

    mask: int
    start: int
    end: int


@dataclass(slots=True)
class Sentence:
    """A run of words with the concepts in it."""

    start: int
    end: int
    hits: list[Hit] = field(default_factory=list)
    question: bool = False


@dataclass(slots=True)
class Scan:
    """A text taken apart: its pieces as spelt, the words among them, and its sentences."""

    text: str
    pieces: list[str]
    words: list[Entry]
    sentences: list[Sentence]

    def offsets(self, count: int) -> list[tuple[int, int]]:
        """Start and end of the first `count` words, in characters of the text."""
        spans: list[tuple[int, int]] = []
        end = 0
        for piece in self.pieces:
            if len(spans) == count:
                break
            # What `TOKEN` passes over holds no piece, so that the next place where a piece stands is its own.
            start = self.text.index(piece, end)
            end = start + len(piece)
            if piece[0] not in MARKS:
                spans.append((start, end))
        return spans


class Matcher:
    """The lexicon compiled. `scan` never raises and takes time linear in the length of the text.

    Args:
        vocabulary: how a spelling relates to lexicon keys.
        phrases: lexicon entry (keys of its words) -> mask of the concepts it shows.
        opaque: mask of the concepts whose phrases hide the shorter hits inside them.
    """

    def __init__(self, vocabulary: Vocabulary, phrases: Mapping[tuple[str, ...], int], opaque: int = 0) -> None:
        self._vocabulary = vocabulary
        self._opaque = opaque
        self._root = Node()
        self._cache: dict[str, Entry] = {}
        self._shapes: dict[tuple[str, ...], Entry] = {}
        for keys, concepts in phrases.items():
            node = self._root
            for key in keys:
                node = node.next.setdefault(key, Node())
            node.ends |= concepts

    def _learn(self, piece: str) -> Entry:
        if len(self._cache) >= _CACHE_WORDS:
            self._cache.clear()
        entry = self._cache[piece] = self._entry(piece)
        return entry

    def _entry(self, piece: str) -> Entry:
        if piece[0] in MARKS:
            return Entry(piece, _CLAUSE if piece in CLAUSE_MARKS else _SENTENCE, (), 0, ())
        keys = self._vocabulary.keys(piece)
        shape = bool(keys) and keys[0][0] == "<"
        if shape and keys in self._shapes:
            return self._shapes[keys]
        hits = 0
        nodes: list[Node] = []
        for key in keys:
            node = self._root.next.get(key)
            if node is not None:
                hits |= node.ends
                if node.next:
                    nodes.append(node)
        entry = Entry(piece.casefold(), _WORD, keys, hits, tuple(nodes))
        if shape:
            self._shapes[keys] = entry
        return entry

    def scan(self, text: str) -> Scan:
        """The words of `text`, and per sentence the concepts, longer phrases hiding shorter ones."""
        words: list[Entry] = []
        sentences: list[Sentence] = []
        cached = self._cache.get
        found: list[Hit] = []
        active: list[tuple[int, Node]] = []
        first = position = 0
        pieces: list[str] = TOKEN.findall(text)
        for piece in pieces:
            entry = cached(piece) or self._learn(piece)
            if entry.kind != _WORD:
                active = []
                if entry.kind == _SENTENCE and position > first and not (piece == "." and words[-1].abbreviation):
                    sentences.append(Sentence(first, position, _visible(found, self._opaque), "?" in piece))
                    found = []
                    first = position
                continue
            words.append(entry)
            end = position + 1
            if active:
                still: list[tuple[int, Node]] = []
                for start, node in active:
                    for key in entry.keys:
                        child = node.next.get(key)
                        if child is not None:
                            if child.ends:
                                found.append(Hit(child.ends, start, end))
                            if child.next:
                                still.append((start, child))
                active = still
            if entry.hits:
                found.append(Hit(entry.hits, position, end))
            for node in entry.nodes:
                active.append((position, node))
            position = end
            if position - first >= _LONGEST_SENTENCE:
                sentences.append(Sentence(first, position, _visible(found, self._opaque)))
                found = []
                active = []
                first = position
        if position > first:
            sentences.append(Sentence(first, position, _visible(found, self._opaque)))
        return Scan(text, pieces, words, sentences)


def _visible(hits: list[Hit], opaque: int) -> list[Hit]:
    """Hits without those that lie inside a longer opaque one."""
    spans = {(h.start, h.end) for h in hits if h.mask & opaque and h.end - h.start > 1}
    if not spans:
        return hits
    covered: dict[int, list[tuple[int, int]]] = {}
    for span in spans:
        for place in range(*span):
            covered.setdefault(place, []).append(span)
    kept: list[Hit] = []
    for hit in hits:
        around = covered.get(hit.start)
        if around is not None:
            length = hit.end - hit.start
            for start, end in around:
                if hit.end <= end and end - start > length:
                    break
            else:
                kept.append(hit)
        else:
            kept.append(hit)
    return kept
