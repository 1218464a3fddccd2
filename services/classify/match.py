"""One pass over a text: which concepts of the lexicon stand where.

All words and phrases of the lexicon form one trie over word keys. What stands between two spaces is taken apart once
and remembered, so that a text costs one dictionary look-up per space and a step in the trie only where a phrase has
begun, however large the lexicon is.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from services.classify.tokens import CLAUSE_MARKS, MARKS, TOKEN, Vocabulary
from shared.remembered import Remembered

_SPACE_INSIDE = re.compile(r"[Rr][Pp]\.? \d|\[[A-Za-z ]* ")
"""Where a piece that `TOKEN` matches may hold a space; everywhere else a space ends the piece."""
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
_WORD, _CLAUSE, _FULL_STOP, _SENTENCE = range(4)


class Node:
    """A state of the trie: where each key leads, and a mask of the concepts that end here."""

    __slots__ = ("ends", "next")

    def __init__(self) -> None:
        self.next: dict[str, Node] = {}
        self.ends = 0


class Entry:
    """What the matcher knows of one spelling; shared by all its occurrences.

    `nodes` are where phrases go on that begin with it, `followers` the keys that can come next in one of them, and
    `onward` those of its own keys that can stand later in a phrase.
    `row` and `epoch` belong to the text model: where it keeps the spelling's share of the scores, and since when.
    """

    __slots__ = (
        "abbreviation", "epoch", "followers", "form", "hits", "keys", "kind", "nodes", "onward", "pair_hash",
        "passive", "row", "word",
    )  # fmt: skip

    def __init__(
        self,
        word: str,
        kind: int,
        keys: tuple[str, ...] = (),
        onward: tuple[str, ...] = (),
        hits: int = 0,
        nodes: tuple[Node, ...] = (),
        followers: frozenset[str] = frozenset(),
    ) -> None:
        self.word = word
        self.kind = kind
        self.keys = keys
        self.onward = onward
        self.form = keys[0] if keys else word
        self.hits = hits
        self.nodes = nodes
        self.followers = followers
        self.pair_hash = zlib.crc32((keys[-1] if keys else word).encode())
        self.row = 0
        self.epoch = 0
        self.abbreviation = word in _ABBREVIATIONS
        self.passive = len(word) > 4 and word.startswith(("di", "kena"))


_NO_ENTRY = Entry("", _CLAUSE)


class Part:
    """A part of a text taken apart: its pieces, the words among them, and where in the part each word stands."""

    __slots__ = ("entries", "length", "spans", "words")

    def __init__(self, length: int, entries: list[Entry], spans: list[tuple[int, int]]) -> None:
        self.length = length
        self.entries = tuple(entries)
        words = tuple(entry for entry in entries if entry.kind == _WORD)
        self.words = self.entries if len(words) == len(entries) else words
        self.spans = tuple(span for entry, span in zip(entries, spans, strict=True) if entry.kind == _WORD)


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
    mask: int = 0
    """The concepts of all hits, once `Reader.resolve` has given them their roles."""


@dataclass(slots=True)
class Scan:
    """A text taken apart: its parts between spaces, the words in them, and its sentences."""

    parts: list[Part]
    words: list[Entry]
    sentences: list[Sentence]

    def offsets(self, count: int) -> list[tuple[int, int]]:
        """Start and end of the first `count` words, in characters of the text."""
        spans: list[tuple[int, int]] = []
        begin = 0
        for part in self.parts:
            for start, end in part.spans:
                spans.append((begin + start, begin + end))
            if len(spans) >= count:
                break
            begin += part.length + 1
        return spans[:count]


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
        self._onward = frozenset(key for keys in phrases for key in keys[1:])
        self._parts = Remembered(self._part)
        self._entries = Remembered(self._entry)
        self._shapes: dict[tuple[str, ...], Entry] = {}
        self._followers: dict[tuple[Node, ...], frozenset[str]] = {}
        for keys, concepts in phrases.items():
            node = self._root
            for key in keys:
                node = node.next.setdefault(key, Node())
            node.ends |= concepts

    def _cut(self, text: str) -> list[Part]:
        """The parts of a text between its spaces; the whole text where a space may stand within a piece."""
        lowered = text.lower()
        if ("[" in text or "rp " in lowered or "rp. " in lowered) and _SPACE_INSIDE.search(text):
            return [self._part(text)]
        return list(map(self._parts.__getitem__, text.split(" ")))

    def _part(self, text: str) -> Part:
        entries: list[Entry] = []
        spans: list[tuple[int, int]] = []
        for piece in TOKEN.finditer(text):
            entries.append(self._entries[piece[0]])
            spans.append(piece.span())
        return Part(len(text), entries, spans)

    def _entry(self, piece: str) -> Entry:
        if piece[0] in MARKS:
            kind = _CLAUSE if piece in CLAUSE_MARKS else _FULL_STOP if piece == "." else _SENTENCE
            return Entry(piece, kind)
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
        onward = tuple(key for key in keys if key in self._onward)
        entry = Entry(piece.casefold(), _WORD, keys, onward, hits, tuple(nodes), self._next_keys(tuple(nodes)))
        if shape:
            self._shapes[keys] = entry
        return entry

    def _next_keys(self, nodes: tuple[Node, ...]) -> frozenset[str]:
        keys = self._followers.get(nodes)
        if keys is None:
            keys = self._followers[nodes] = frozenset(chain.from_iterable(node.next for node in nodes))
        return keys

    def scan(self, text: str) -> Scan:
        """The words of `text`, and per sentence the concepts, longer phrases hiding shorter ones."""
        parts = self._cut(text)
        words = list(chain.from_iterable([part.words for part in parts]))
        sentences: list[Sentence] = []
        found: list[Hit] = []
        begun: list[tuple[int, tuple[Node, ...]]] = []
        before = _NO_ENTRY
        first = position = 0
        hiding = 0
        for entry in chain.from_iterable([part.entries for part in parts]):
            if entry.kind != _WORD:
                begun = []
                ends = entry.kind != _CLAUSE and position > first
                if ends and not (entry.kind == _FULL_STOP and words[position - 1].abbreviation):
                    shown = _visible(found, self._opaque) if hiding & self._opaque else found
                    sentences.append(Sentence(first, position, shown, "?" in entry.word))
                    found = []
                    hiding = 0
                    first = position
                before = _NO_ENTRY
                continue
            end = position + 1
            onward = entry.onward
            if onward:
                if not before.followers.isdisjoint(onward):
                    begun.append((position - 1, before.nodes))
                if begun:
                    still: list[tuple[int, tuple[Node, ...]]] = []
                    for start, nodes in begun:
                        for node in nodes:
                            for key in onward:
                                child = node.next.get(key)
                                if child is not None:
                                    if child.ends:
                                        found.append(Hit(child.ends, start, end))
                                        hiding |= child.ends
                                    if child.next:
                                        still.append((start, (child,)))
                    begun = still
            elif begun:
                begun = []
            if entry.hits:
                found.append(Hit(entry.hits, position, end))
            before = entry
            position = end
            if position - first >= _LONGEST_SENTENCE:
                sentences.append(Sentence(first, position, _visible(found, self._opaque)))
                found = []
                begun = []
                before = _NO_ENTRY
                hiding = 0
                first = position
        if position > first:
            sentences.append(Sentence(first, position, _visible(found, self._opaque)))
        return Scan(parts, words, sentences)


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
