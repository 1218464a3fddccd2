"""A text as a list of words in which spelling has lost its say: stems by their consonants, titles in one word, sums."""

import re
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

LEXICON: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("likeness.yaml").read_text(encoding="utf-8"))
"""The word lists of `likeness.yaml`."""


def by_member(name: str) -> dict[str, Any]:
    """A list of groups in the lexicon as a mapping from each member to its group."""
    return {member: group for group, members in LEXICON[name].items() for member in members}


def word_set(name: str) -> frozenset[str]:
    """A plain list of words in the lexicon."""
    return frozenset(LEXICON[name].split())


SILENT = word_set("silent")
COMMON = word_set("common")
SAME = by_member("same") | {group: group for group in LEXICON["same"]}

# "ma-" is what other languages of Indonesia say for "me-": "mamilih".
_PREFIX = re.compile(r"(?:m[ae]|pe)ng(?=[aiueo])|(?:m[ae]|pe)(?=[mnlrwy])|di|ber|ter|nge")
_SUFFIXES = ("kannya", "annya", "nya", "kan", "kn", "in", "an")
_VOWELS = re.compile("[aiueo]")
_DOUBLED = re.compile(r"(.)\1+")
_FIRST = re.compile(r"[mn][bpfdtcjk]|ng[gk]?(?=[aiueo])|ny|[mn]")
_FIRST_OF_THE_STEM = {"ny": "s", "m": "p", "n": "t", "ng": "", "ngg": "g", "ngk": "k"}


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The consonants of a word's stem; a number stays; empty for a word that says nothing."""
    if word.isdecimal():
        return word if len(word) > 1 else ""
    if len(word) < 2 or word in SILENT:
        return ""
    known = SAME.get(word)
    if known is None:
        known = word
        found = _PREFIX.match(known)
        if found and len(known) - found.end() >= 4:
            known = known[found.end() :]
        for suffix in _SUFFIXES:
            if known.endswith(suffix) and len(known) - len(suffix) >= 4:
                known = known[: -len(suffix)]
                break
        if known in SILENT:
            return ""
        known = SAME.get(known, known)
    # The nasal of a prefix swallows the first sound: "tahan" and "menahan" are one word, "sewa" and "nyewa" too.
    if nasal := _FIRST.match(known):
        known = _FIRST_OF_THE_STEM.get(nasal[0], nasal[0][-1]) + known[nasal.end() :]
    if not known:
        return word
    skeleton = known[0] + _VOWELS.sub("", known[1:])
    return _DOUBLED.sub(r"\1", skeleton) if len(skeleton) > 1 else known


@lru_cache(maxsize=100_000)
def hash_value(value: str) -> int:
    """16 bits of a fact's value."""
    return zlib.crc32(value.encode()) * 0x9E3779B1 % (1 << 32) >> 16


@lru_cache(maxsize=100_000)
def hash_word(word: str) -> int:
    """16 bits that are the same for all forms of a word; the last bit weighs it; 0 for a word that says nothing."""
    root = stem(word)
    return hash_value(root) & ~1 | (root not in _COMMON_STEMS) if root else 0


_COMMON_STEMS = frozenset(map(stem, COMMON))
_TITLES = {tuple(title.split()): short for title, short in by_member("titles").items()}
_SECOND_OF_A_TITLE = frozenset(second for _, second in _TITLES)


def with_titles(words: Sequence[str]) -> Sequence[str]:
    """The words with what is said in two words and in one ("kepala desa", "kades") in one."""
    if _SECOND_OF_A_TITLE.isdisjoint(words):
        return words
    result: list[str] = []
    for word in words:
        while word in _SECOND_OF_A_TITLE and result and (title := _TITLES.get((result[-1], word))):
            result.pop()
            if word == "desa":
                result.append(title)  # and "desa" behind it, since the village's name follows
                break
            word = title
        result.append(word)
    return result


_UNITS: dict[str, int] = by_member("units")
_THOUSANDS: dict[str, int] = by_member("thousands")
_SLANG_SUMS: dict[str, int] = LEXICON["slang_sums"]
_CARRY_ON = frozenset(["puluh", "ratus", "seratus", "seribu", "sejuta", *_THOUSANDS])
_A_THOUSAND = (["rb"], ["ribu"], ["rbu"])
_NUMERALS = frozenset([*_UNITS, *_THOUSANDS, *_SLANG_SUMS])


def with_sums(words: Sequence[str]) -> Sequence[str]:
    """The words with every written number as digits: "dua ratus ribu", "200 rb" and "200 k" become "200000"."""
    if _NUMERALS.isdisjoint(words):
        return words
    result: list[str] = []
    total, part = 0, 0.0  # of the number being read: its thousands, and what stands before the next multiplier
    reading = False
    for index, word in enumerate(words):
        times = _THOUSANDS.get(word, 0)
        written = _UNITS.get(word, 0)
        if times and reading:
            if (
                part < 10
                and words[index - 1].isdecimal()
                and result
                and len(result[-1]) == 1
                and result[-1].isdecimal()
            ):
                part = int(result.pop()) + part / 10  # "1,5 juta"
            total, part = total + round(part * times), 0
            continue
        if word == "belas" and reading:
            part += 10
            continue
        if word in ("puluh", "ratus") and reading:
            last = part % 10
            part += last * (9 if word == "puluh" else 99)
            continue
        if written and reading and words[index - 1] in _CARRY_ON and written < 1_000:
            part += written
            continue
        if word.isdecimal() and total >= 1_000_000 and part == 0 and words[index + 1 : index + 2] in _A_THOUSAND:
            part = int(word)  # "2 juta 500 ribu"
            continue
        if reading:
            result.append(str(total + round(part)))
            total, part, reading = 0, 0, False
        if written >= 1_000:
            total, reading = written, True
        elif written or word.isdecimal():
            part, reading = written or int(word), True
        else:
            result.append(str(_SLANG_SUMS.get(word, "")) or word)
    if reading:
        result.append(str(total + round(part)))
    return result
