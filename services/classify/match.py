"""One pass over texts: which concepts of the lexicon stand where.

All words and phrases of the lexicon form one trie over word keys. What stands between two spaces is taken apart once
and remembered as the numbers of its spellings; the rest is arithmetic on the numbers of a whole batch of texts. So a
text costs one dictionary look-up per space, and a step in the trie only where two words may belong together, however
large the lexicon is.
"""

import re
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.classify.arrays import Flags, Lists, Masks, Numbers, entered, rows_of
from services.classify.remembered import Remembered
from services.classify.tokens import CLAUSE_MARKS, MARKS, TOKEN, Vocabulary

# No other space than these may stand within what `TOKEN` matches: one in brackets, one between "Rp" and a digit.
_SPACE_IN_BRACKETS = re.compile(r"\[[A-Za-z ]* ")
_BEFORE_AN_AMOUNT = ("rp", "rp.")
_LONGEST_SENTENCE = 70
"""Words; a longer run without punctuation is cut, so that time stays linear in the length of a text."""
MOST_SPELLINGS = 60_000
"""Spellings known before all are forgotten, so that memory stays flat however many texts come."""
MOST_LETTERS = 2_000_000
"""Letters of all spellings together before they are forgotten: a word may be as long as a text."""
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
_TAKEN_APART = ("rp", "www")
_LAST_MARKS = (".", ",", "?", "!")


class Trie:
    """The phrases of the lexicon by their keys, as arrays: where a key leads from a state, and what ends there."""

    def __init__(self, phrases: Mapping[tuple[str, ...], int]) -> None:
        self.keys: dict[str, int] = {}
        """Keys that stand in a phrase, by number."""
        steps: dict[tuple[int, str], int] = {}
        ends = [0]
        for keys, shown in phrases.items():
            state = 0
            for key in keys:
                self.keys.setdefault(key, len(self.keys))
                state = steps.setdefault((state, key), len(ends))
                if state == len(ends):
                    ends.append(0)
            ends[state] |= shown
        self.first = {key: state for (before, key), state in steps.items() if before == 0}
        """The state after each key with which a phrase begins."""
        self.ends = ends
        self.later = frozenset(key for before, key in steps if before)
        """Keys that stand in a phrase as the second or later."""
        self.followers: dict[int, list[str]] = {}
        for before, key in steps:
            self.followers.setdefault(before, []).append(key)
        self.is_end = np.array([mask > 0 for mask in ends])
        coded = sorted((before * len(self.keys) + self.keys[key], state) for (before, key), state in steps.items())
        self._codes, self._states = np.array(coded or [(0, 0)], dtype=np.int64).T

    def after(self, states: Numbers, keys: Numbers) -> Numbers:
        """The state to which a key leads from a state, for each of several; 0 where it leads nowhere."""
        codes = states * len(self.keys) + keys
        places = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        return np.where(self._codes[places] == codes, self._states[places], 0)


class Spelling:
    """What the matcher knows of one way to write a word or mark; shared by all its occurrences.

    `shows` are the concepts it shows by itself, `begins` the states of the trie in which phrases go on that begin with
    it, and `goes_on` those of its keys that can stand later in a phrase.
    """

    __slots__ = ("abbreviation", "begins", "form", "goes_on", "keys", "kind", "number", "passive", "shows", "word")

    def __init__(
        self,
        number: int,
        word: str,
        kind: int,
        keys: tuple[str, ...] = (),
        shows: int = 0,
        begins: tuple[int, ...] = (),
        goes_on: tuple[str, ...] = (),
    ) -> None:
        self.number = number
        self.word = word
        self.kind = kind
        self.keys = keys
        self.form = keys[0] if keys else word
        self.shows = shows
        self.begins = begins
        self.goes_on = goes_on
        self.abbreviation = word in _ABBREVIATIONS
        self.passive = len(word) > 4 and word.startswith(("di", "kena"))


Spans = tuple[tuple[int, int], ...]
"""Where in a piece each of its words begins and ends."""


@dataclass(slots=True)
class Scan:
    """Texts taken apart. Their words, sentences and hits are numbered through from the first text to the last.

    `first_words` tells with which word each text begins and, last, how many there are. A sentence is the words from
    its number in `sentence_starts` up to the one in `sentence_ends`. Hits stand in the order of their ends.
    """

    spellings: list[Spelling]
    """By their numbers."""
    texts: Sequence[str]
    spans: Mapping[str, Spans]
    """Of the words of each piece of a text."""
    words: Numbers
    """The number of each word's spelling."""
    first_words: Numbers
    sentence_starts: Numbers
    sentence_ends: Numbers
    questions: Flags
    hit_starts: Numbers
    hit_ends: Numbers
    hit_masks: Masks
    hit_concepts: list[int]
    """The masks of the hits, one number a hit."""

    def text_of_sentences(self) -> Numbers:
        """The text in which each sentence stands."""
        return np.searchsorted(self.first_words, self.sentence_starts, side="right") - 1

    def sentence_of_hits(self) -> Numbers:
        """The sentence in which each hit stands."""
        return np.searchsorted(self.sentence_ends, self.hit_starts, side="right")

    def words_of(self, text: int) -> list[Spelling]:
        """The words of a text."""
        numbers = self.words[self.first_words[text] : self.first_words[text + 1]].tolist()
        return [self.spellings[number] for number in numbers]

    def offsets(self, text: int, words: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Start and end of words of a text, in its characters; words are counted as in `words`, lowest first."""
        offsets: dict[int, tuple[int, int]] = {}
        spans, begin, after = self.spans, 0, int(self.first_words[text])
        wanted = iter(words)
        word = next(wanted, -1)
        for piece in _pieces(self.texts[text]):
            within = spans[piece]
            first, after = after, after + len(within)
            while first <= word < after:
                start, end = within[word - first]
                offsets[word] = (begin + start, begin + end)
                word = next(wanted, -1)
            if word < 0:
                break
            begin += len(piece) + 1
        return offsets


class Matcher:
    """The lexicon compiled. `scan` never raises and takes time linear in the length of the texts.

    Args:
        vocabulary: how a spelling relates to lexicon keys.
        phrases: lexicon entry (keys of its words) -> mask of the concepts it shows.
        concepts: how many concepts there are.
        opaque: mask of the concepts whose phrases hide the shorter hits inside them.
    """

    def __init__(
        self, vocabulary: Vocabulary, phrases: Mapping[tuple[str, ...], int], concepts: int, opaque: int = 0
    ) -> None:
        self._vocabulary = vocabulary
        self._mask_rows = -(-concepts // 64)
        self._trie = Trie(phrases)
        self._opaque = np.array([ends & opaque != 0 for ends in self._trie.ends])
        self._forget()

    def _forget(self) -> None:
        self._spellings = [Spelling(0, "", _SENTENCE)]  # the end of a text
        # The numbers of the spellings in each piece, as bytes, so that those of many pieces are one array at once.
        self._numbers = Remembered(self._numbers_of)
        self._spans = Remembered(self._spans_of)
        self._known = Remembered(self._spelling)
        self._shapes: dict[tuple[str, ...], Spelling] = {}
        # What is known of each spelling, by its number.
        self._learnt = 0
        self._letters = 0
        self._kinds = np.zeros(0, dtype=np.uint8)
        self._abbreviations = np.zeros(0, dtype=np.bool_)
        self._questions = np.zeros(0, dtype=np.bool_)
        self._shows = np.zeros(0, dtype=np.bool_)
        # What shows concepts, by its number: the states of the trie, and behind them the spellings.
        self._concepts = list(self._trie.ends)
        self._masks = rows_of(self._concepts, self._mask_rows).T
        self._begins = Lists()
        self._goes_on = Lists()
        # Bloom filters of the keys that can follow it in a phrase, and of its own keys that can stand later in one.
        self._followers = np.zeros(0, dtype=np.uint64)
        self._following = np.zeros(0, dtype=np.uint64)

    def _numbers_of(self, piece: str) -> bytes:
        """The numbers of the spellings in what stands between two spaces, 8 bytes each."""
        word, mark = _word_and_mark(piece)
        found = [word, mark] if mark else [word] if word else TOKEN.findall(piece)
        return b"".join([self._known[one].number.to_bytes(len(_END), sys.byteorder) for one in found])

    def _spans_of(self, piece: str) -> Spans:
        """Where in what stands between two spaces its words begin and end."""
        word, _ = _word_and_mark(piece)
        if word:
            return ((0, len(word)),)
        return tuple([found.span() for found in TOKEN.finditer(piece) if found[0][0] not in MARKS])

    def _spelling(self, piece: str) -> Spelling:
        number = len(self._spellings)
        if piece[0] in MARKS:
            kind = _CLAUSE if piece in CLAUSE_MARKS else _FULL_STOP if piece == "." else _SENTENCE
            spelling = Spelling(number, piece, kind)
        else:
            keys = self._vocabulary.keys(piece)
            shape = bool(keys) and keys[0][0] == "<"
            if shape and keys in self._shapes:
                return self._shapes[keys]
            trie = self._trie
            shows = 0
            states = [trie.first[key] for key in keys if key in trie.first]
            for state in states:
                shows |= trie.ends[state]
            begins = tuple(state for state in states if state in trie.followers)
            goes_on = tuple(key for key in keys if key in trie.later)
            # Amounts, hours and other shapes are alike, whichever came first.
            word = keys[0] if shape else piece.casefold()
            spelling = Spelling(number, word, _WORD, keys, shows, begins, goes_on)
            if shape:
                self._shapes[keys] = spelling
        self._spellings.append(spelling)
        return spelling

    def _learn(self) -> None:
        """Enter the spellings met since the last time into the tables."""
        first, fresh, trie = self._learnt, self._spellings[self._learnt :], self._trie
        self._kinds = entered(self._kinds, first, [one.kind for one in fresh])
        self._abbreviations = entered(self._abbreviations, first, [one.abbreviation for one in fresh])
        self._questions = entered(self._questions, first, ["?" in one.word for one in fresh])
        self._shows = entered(self._shows, first, [one.shows > 0 for one in fresh])
        shown = [one.shows for one in fresh]
        self._masks = entered(self._masks, len(self._concepts), rows_of(shown, self._mask_rows).T)
        self._concepts.extend(shown)
        self._begins.extend([one.begins for one in fresh])
        self._goes_on.extend([[trie.keys[key] for key in one.goes_on] for one in fresh])
        followers = [_bloom(key for state in one.begins for key in trie.followers[state]) for one in fresh]
        self._followers = entered(self._followers, first, followers)
        self._following = entered(self._following, first, [_bloom(one.goes_on) for one in fresh])
        self._letters += sum([len(one.word) for one in fresh])
        self._learnt = len(self._spellings)

    def know(self, pieces: Iterable[str]) -> list[Spelling]:
        """Take apart what stands between the spaces of texts to come. Returns all spellings met, by their numbers."""
        for piece in pieces:
            self._numbers[piece]
        self._learn()
        return self._spellings

    def scan(self, texts: Sequence[str]) -> Scan:
        """The words of texts, their sentences, and the concepts in them, longer phrases hiding shorter ones."""
        if len(self._spellings) > MOST_SPELLINGS or self._letters > MOST_LETTERS:
            self._forget()
        numbers_of = self._numbers.__getitem__
        ended = [b"".join(map(numbers_of, _pieces(text))) for text in texts] + [b""]
        numbers = np.frombuffer(_END.join(ended), dtype=np.int64)
        if len(self._spellings) > self._learnt:
            self._learn()
        kinds = self._kinds[numbers]
        is_word = kinds == _WORD
        places = np.flatnonzero(is_word)
        words = numbers[places]
        count = np.cumsum(is_word)
        starts, ends, questions = self._sentences(numbers, kinds, words, count)
        adjacent = np.diff(places) == 1
        adjacent[starts[1:] - 1] = False
        hit_starts, hit_ends, shown = self._hits(words, adjacent)
        return Scan(
            spellings=self._spellings,
            texts=texts,
            spans=self._spans,
            words=words,
            first_words=np.concatenate([_NONE, count[numbers == 0]]),
            sentence_starts=starts,
            sentence_ends=ends,
            questions=questions,
            hit_starts=hit_starts,
            hit_ends=hit_ends,
            hit_masks=self._masks[shown].T.copy(),
            hit_concepts=list(map(self._concepts.__getitem__, shown.tolist())),
        )

    def _sentences(
        self, numbers: Numbers, kinds: NDArray[np.uint8], words: Numbers, count: Numbers
    ) -> tuple[Numbers, Numbers, Flags]:
        """Where sentences begin and end, in words, and which of them ask."""
        closes = kinds > _CLAUSE
        stops = np.flatnonzero(kinds == _FULL_STOP)
        if len(stops):
            behind = np.concatenate([_NO, self._abbreviations[words]])[count[stops]]
            closes[stops[behind]] = False
        marks = np.flatnonzero(closes)
        ends = count[marks]
        first_mark = np.diff(ends, prepend=0) > 0  # what closes nothing stands behind another mark
        ends = ends[first_mark]
        questions = self._questions[numbers[marks[first_mark]]]
        starts = np.concatenate([_NONE, ends[:-1]]) if len(ends) else ends
        lengths = ends - starts
        if len(ends) and lengths.max() >= _LONGEST_SENTENCE:
            pieces = -(-lengths // _LONGEST_SENTENCE)
            last = np.cumsum(pieces) - 1
            within = np.arange(last[-1] + 1) - np.repeat(last + 1 - pieces, pieces)
            starts = np.repeat(starts, pieces) + within * _LONGEST_SENTENCE
            asked = np.zeros(len(starts), dtype=np.bool_)
            asked[last] = questions & (lengths % _LONGEST_SENTENCE != 0)
            ends = np.append(starts[1:], ends[-1])
            questions = asked
        return starts, ends, questions

    def _hits(self, words: Numbers, adjacent: Flags) -> tuple[Numbers, Numbers, Numbers]:
        """Where concepts stand and what shows them: in the order of their ends, longer ones first."""
        alone = np.flatnonzero(self._shows[words])
        pairs = (self._followers[words[:-1]] & self._following[words[1:]]) != 0
        phrase_starts, phrase_ends, states = self._phrases(words, adjacent, np.flatnonzero(adjacent & pairs))
        starts = np.concatenate([phrase_starts, alone])
        ends = np.concatenate([phrase_ends, alone + 1])
        shown = np.concatenate([states, words[alone] + len(self._trie.ends)])
        order = np.argsort(ends * _LONGEST_SENTENCE - (ends - starts), kind="stable")
        starts, ends, shown = starts[order], ends[order], shown[order]
        # What lies within a longer opaque phrase is hidden: where phrases that begin before it, or with it, reach.
        opaque = np.flatnonzero(shown < len(self._trie.ends))
        opaque = opaque[self._opaque[shown[opaque]]]
        reach = np.zeros(len(words) + 2, dtype=np.int64)
        np.maximum.at(reach, starts[opaque] + 1, ends[opaque])
        np.maximum.accumulate(reach, out=reach)
        seen = (reach[starts] < ends) & (reach[starts + 1] <= ends)
        return starts[seen], ends[seen], shown[seen]

    def _phrases(self, words: Numbers, adjacent: Flags, begun: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Phrases of two words or more that begin at the words `begun`: their starts, ends and final states."""
        found: list[tuple[Numbers, Numbers, Numbers]] = []
        which, states = self._begins.of(words[begun])
        starts = begun[which]
        places = starts + 1
        while len(starts):
            which, keys = self._goes_on.of(words[places])
            reached = self._trie.after(states[which], keys)
            there = np.flatnonzero(reached)
            states, starts, places = reached[there], starts[which[there]], places[which[there]]
            ending = self._trie.is_end[states]
            found.append((starts[ending], places[ending] + 1, states[ending]))
            further = adjacent[np.minimum(places, len(adjacent) - 1)] & (places < len(adjacent))
            states, starts, places = states[further], starts[further], places[further] + 1
        if not found:
            return begun, begun, begun
        joined = [np.concatenate(column) for column in zip(*found, strict=True)]
        return joined[0], joined[1], joined[2]


def _pieces(text: str) -> list[str]:
    """What stands between the spaces of a text, "Rp 50.000" together; all of it where brackets may hold a space."""
    if "[" in text and _SPACE_IN_BRACKETS.search(text):
        return [text]
    pieces, lowered = text.split(" "), text.lower()
    if "rp " not in lowered and "rp. " not in lowered:
        return pieces
    with_amounts: list[str] = []
    for piece in pieces:
        if piece[:1].isdigit() and with_amounts and with_amounts[-1][-3:].lower().endswith(_BEFORE_AN_AMOUNT):
            with_amounts[-1] += " " + piece
        else:
            with_amounts.append(piece)
    return with_amounts


def _word_and_mark(piece: str) -> tuple[str, str]:
    """What `TOKEN` finds in a piece that is a word, and perhaps a mark behind it, as most are; else nothing."""
    word, mark = (piece[:-1], piece[-1]) if piece.endswith(_LAST_MARKS) else (piece, "")
    return (word, mark) if word.isalnum() and not word.lower().startswith(_TAKEN_APART) else ("", "")


_END = bytes(np.dtype(np.int64).itemsize)
"""The number 0, the end of a text."""
_NONE = np.zeros(1, dtype=np.int64)
_NO = np.zeros(1, dtype=np.bool_)


def _bloom(keys: Iterable[str]) -> int:
    bits = 0
    for key in keys:
        bits |= 1 << (zlib.crc32(key.encode()) & 63)
    return bits
