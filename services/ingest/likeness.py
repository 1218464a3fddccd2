"""What makes two texts tell of one event: the words they share, and the facts on which they may not differ.

A message that is passed on by hand changes its spelling ("membagikan", "bagi2", "mbagi"), its length and its tone, but
hardly its facts. So words are reduced to the consonants of their stem, which survive abbreviation, and compared as a
set; sums, dates, hours, places, candidate numbers, goods and offices are read out as facts, and one that differs keeps
two texts apart however alike they sound: a template filled in for two villages is two events.
"""

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from services.ingest.clean import fingerprint_text
from services.ingest.facts import MOST_FACTS, Fact, read_facts
from services.ingest.mask import PLACEHOLDERS
from services.ingest.words import hash_value, hash_word, with_sums, with_titles

LEAD_WORDS = 90
"""Words that are compared: an article tells its event at the beginning, and its second half is background."""
LEAD_CHARACTERS = 12 * LEAD_WORDS
BANDS = 12
ROWS = 2
KEY_BITS = 36
"""Of a key: 20 bits name the bucket, 16 the field in it. A million buckets hold ten million texts in small hashes."""
KEY_BYTES = 5
MOST_WORDS = 28
LEAST_WORDS = 4
"""A text of fewer words ("ada amplop di sini") says too little to be recognised by them; only its copies join."""

_SEED = 20241127
_IN_DIGITS = frozenset({Fact.DAY, Fact.HOUR, Fact.CANDIDATE, Fact.RT, Fact.RW, Fact.TPS})
_PLACEHOLDER = re.compile("|".join(map(re.escape, PLACEHOLDERS)))


@dataclass(frozen=True, slots=True)
class Likeness:
    """A text as it is compared: its words, smallest first, and its facts; `hash_word` tells what a word is."""

    words: tuple[int, ...]
    facts: tuple[tuple[Fact, str], ...]

    @property
    def comparable(self) -> bool:
        """Whether the text says enough to be recognised in another wording."""
        return len(self.words) >= LEAST_WORDS

    @property
    def turned(self) -> bool:
        """Whether the text denies, or tells of an end or of another's turn."""
        return bool(self.facts) and self.facts[0][0] is Fact.TURN

    def packed(self) -> bytes:
        """The form in which it is remembered: flag and number of words, words, number of facts, facts.

        Of a long text the smallest words are kept, a sample that any text like it draws, too; the flag is set then.
        """
        kept = self.words[:MOST_WORDS]
        cut = 0x80 if len(self.words) > len(kept) else 0
        flat = [part for kind, value in self.facts for part in (kind, hash_value(value))]
        return struct.pack(_LAYOUTS[len(kept)][len(self.facts)], cut | len(kept), *kept, len(self.facts), *flat)


_LAYOUTS = [[f">B{words}HB{'BH' * facts}" for facts in range(MOST_FACTS + 1)] for words in range(MOST_WORDS + 1)]


def likeness(title: str, text: str, *, district: str = "") -> Likeness:
    """What is compared of a report. `district` is the code of the district the text determines, when it does."""
    whole = (f"{title}\n{text}" if title else text)[:LEAD_CHARACTERS]
    if "[" in whole:
        whole = _PLACEHOLDER.sub(" ", whole)
    words = with_sums(with_titles(fingerprint_text(whole).split()[:LEAD_WORDS]))
    terms = set(map(hash_word, words))
    terms.discard(0)
    return Likeness(tuple(sorted(terms)), read_facts(words, text=text[:LEAD_CHARACTERS], district=district))


def bands(texts: Sequence[Likeness], regions: Sequence[str]) -> list[bytes]:
    """For each text its bands of MinHash, `BANDS` keys of `KEY_BYTES`; texts of one region that are alike share some.

    The region goes into every key, so that one template in two regions never meets itself, and so does whether the text
    turns the report, so that an event never meets its denial. Numbers of one digit, which are no words, count here: of
    two texts that differ in the polling station alone, the later must not take all keys of the earlier.
    """
    if not texts:
        return []
    digests = RMinHash.digests_from_token_sets(
        [
            [_TOKENS[word] for word in one.words] + [_token_of(fact) for fact in one.facts if fact[0] in _IN_DIGITS]
            for one in texts
        ],
        num_perm=BANDS * ROWS,
        seed=_SEED,
    )
    rows = np.array(digests, dtype=np.uint64).reshape(len(texts), BANDS, ROWS)
    worlds = [f"{region}!" if one.turned else region for one, region in zip(texts, regions, strict=True)]
    start = np.array([zlib.crc32(world.encode()) for world in worlds], dtype=np.uint64)[:, None]
    keys: npt.NDArray[np.uint64] = (start * BANDS + np.arange(BANDS, dtype=np.uint64)).astype(np.uint64)
    for row in range(ROWS):
        # The multiplier of splitmix64; the upper bits are kept, where every bit of the input has left its mark.
        keys = (keys ^ rows[:, :, row]) * np.uint64(0xBF58476D1CE4E5B9)
        keys ^= keys >> np.uint64(31)
    octets = (keys >> np.uint64(64 - KEY_BITS)).astype(">u8").view(np.uint8).reshape(len(texts), BANDS, 8)
    return [one.tobytes() for one in octets[:, :, 8 - KEY_BYTES :]]


def exact_key(incident: UUID) -> bytes:
    """The key by which a text's exact copies are found, in the form of a band's."""
    return (incident.int >> (128 - KEY_BITS)).to_bytes(KEY_BYTES, "big")


_TOKENS = [f"{word:x}" for word in range(1 << 16)]


@lru_cache(maxsize=10_000)
def _token_of(fact: tuple[Fact, str]) -> str:
    kind, value = fact
    return _TOKENS[hash_value(f"{kind} {value}")]
