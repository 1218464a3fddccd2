"""The rule pack: what an offence is, in which words, under which law.

A pack is a folder of YAML files which a lawyer can read and change. Loading validates every file and every reference
between them; a mistake is a `ConfigError` that names the file, the place and what is wrong.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.config.errors import ConfigError
from shared.config.yaml_file import load_yaml
from shared.contracts import Kind, Norm, Regime, RiskClass, Severity, Status

DEFAULT_PACK = Path(__file__).parent / "rule_pack"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackInfo(_Part):
    """pack.yaml."""

    version: str
    law_as_of: date


class NormRule(_Part):
    """An article with its regime, sanction and channel."""

    id: str
    regime: Literal["pilkada", "pemilu", "both"]
    citation: str
    verified: bool
    sanction: str = ""
    channel: str = ""

    def record(self) -> Norm:
        """The norm as findings carry it."""
        return Norm(
            id=self.id, citation=self.citation, verified=self.verified, sanction=self.sanction, channel=self.channel
        )

    def applies(self, regime: Regime) -> bool:
        """Whether the article belongs to that body of law."""
        return self.regime in ("both", regime.value)


class NormFile(_Part):
    """norms.yaml."""

    norms: tuple[NormRule, ...]


class CodeRule(_Part):
    """A risk code. Of the codes of one `group` the likelier stays; `priority` (lower first) decides near ties."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    code: str
    name: str
    risk_class: Annotated[RiskClass, Field(alias="class")]
    severity: Severity
    group: str
    priority: int = 1
    handout: bool = False
    """A hand-out of something of value: planned or under way in the quiet period or on voting day it is critical."""
    elements: tuple[str, ...]
    norms: tuple[str, ...]


class Exclusion(_Part):
    """When both codes are found, `drop` says nothing that `keep` does not, except beside a concept of `unless`."""

    keep: str
    drop: tuple[str, ...]
    unless: tuple[str, ...] = ()


class CodeFile(_Part):
    """codes.yaml."""

    elements: dict[str, str]
    exclusions: tuple[Exclusion, ...] = ()
    codes: tuple[CodeRule, ...]


class LexiconFile(_Part):
    """lexicon.yaml."""

    slang: dict[str, tuple[str, ...]]
    whole_words: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()
    """Concepts (or their first part) whose longer phrases hide the shorter hits inside them."""
    concepts: dict[str, tuple[str, ...]]


class FrameRule(_Part):
    """An offence as a sentence states it. A slot lists alternatives; an alternative is concepts joined by `+`."""

    id: str
    code: str
    risk: Annotated[float, Field(gt=0, lt=1)]
    slots: Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]
    near: Annotated[int, Field(gt=0)] = 22
    unless: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    """Signs of tone that mean nothing for this offence: a promise is conditional by nature."""
    joins: bool = True
    """Whether a neighbouring sentence may supply a slot."""


class Rewrite(_Part):
    """A word whose meaning depends on the rest of the text: `concept` is read as `then` when a `when` is present."""

    concept: str
    when: tuple[str, ...]
    then: str
    otherwise: str


class FrameFile(_Part):
    """frames.yaml."""

    groups: dict[str, tuple[str, ...]]
    rewrites: tuple[Rewrite, ...] = ()
    macros: dict[str, tuple[str, ...]] = {}
    frames: tuple[FrameRule, ...]


class SignRule(_Part):
    """A sign of tone: how far it moves the log-odds of an event in its own sentence and elsewhere in the text."""

    id: str
    concepts: tuple[str, ...]
    here: float
    elsewhere: float
    reason: str
    before: int | None = None
    """Counts as `here` only when at most this many words stand between the sign and a word of the event after it."""
    void: tuple[str, ...] = ()
    """Concepts that, in the sentence of the event, take the sign's force away."""
    kind: Kind | None = None
    status: Status | None = None


class ToneFile(_Part):
    """tone.yaml."""

    threshold: Annotated[float, Field(gt=0, lt=1)]
    signs: tuple[SignRule, ...]


ROLES = ("patient", "receiver")
"""What an official can be in a sentence besides the one who acts: `actor.asn` becomes `patient.asn`, `receiver.asn`."""


class RulePack(_Part):
    """A complete, validated rule pack."""

    info: PackInfo
    norms: tuple[NormRule, ...]
    codes: CodeFile
    lexicon: LexiconFile
    frames: FrameFile
    tone: ToneFile

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """The pack in a folder, by default the one shipped. Raises `ConfigError` for the first file that is wrong."""
        folder = path or DEFAULT_PACK
        pack = cls(
            info=_read(folder / "pack.yaml", PackInfo),
            norms=_read(folder / "norms.yaml", NormFile).norms,
            codes=_read(folder / "codes.yaml", CodeFile),
            lexicon=_read(folder / "lexicon.yaml", LexiconFile),
            frames=_read(folder / "frames.yaml", FrameFile),
            tone=_read(folder / "tone.yaml", ToneFile),
        )
        problems = list(pack._broken_references(folder))
        if problems:
            raise ConfigError("\n".join(problems))
        return pack

    @property
    def version(self) -> str:
        """Version of the pack as a whole."""
        return self.info.version

    def concept_names(self) -> tuple[str, ...]:
        """Every concept of the lexicon, and for actors the roles they can have."""
        names = list(self.lexicon.concepts)
        for name in self.lexicon.concepts:
            kind, _, rest = name.partition(".")
            if kind == "actor":
                names.extend(f"{role}.{rest}" for role in ROLES)
        return tuple(names)

    def alternatives(self, slot: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], ...], ...]:
        """A slot with macros and groups resolved: alternatives of conjunctions of any-of concept lists."""
        resolved: list[tuple[tuple[str, ...], ...]] = []
        for option in slot:
            macro = self.frames.macros.get(option[1:]) if option.startswith("$") else None
            for written in macro or (option,):
                parts = (part.strip() for part in written.split("+"))
                resolved.append(tuple(self.frames.groups[p[1:]] if p.startswith("$") else (p,) for p in parts))
        return tuple(resolved)

    def _broken_references(self, folder: Path) -> Iterator[str]:
        names = set(self.concept_names())
        norms = {norm.id for norm in self.norms}
        codes = {rule.code for rule in self.codes.codes}
        for rule in self.codes.codes:
            for norm in rule.norms:
                if norm not in norms:
                    yield f"{folder / 'codes.yaml'}: code {rule.code}: norm {norm!r} is not in norms.yaml"
            for element in rule.elements:
                if element not in self.codes.elements:
                    yield f"{folder / 'codes.yaml'}: code {rule.code}: element {element!r} has no label"
        for exclusion in self.codes.exclusions:
            for code in (exclusion.keep, *exclusion.drop):
                if code not in codes:
                    yield f"{folder / 'codes.yaml'}: exclusions: code {code!r} does not exist"
            for name in exclusion.unless:
                if name not in names:
                    yield f"{folder / 'codes.yaml'}: exclusions: concept {name!r} is not in lexicon.yaml"
        for group, members in self.frames.groups.items():
            for name in members:
                if name not in names:
                    yield f"{folder / 'frames.yaml'}: group {group}: concept {name!r} is not in lexicon.yaml"
        for rewrite in self.frames.rewrites:
            for name in (rewrite.concept, *rewrite.when, rewrite.then, rewrite.otherwise):
                if name not in names:
                    yield f"{folder / 'frames.yaml'}: rewrite of {rewrite.concept}: concept {name!r} is unknown"
        seen: set[str] = set()
        for frame in self.frames.frames:
            place = f"{folder / 'frames.yaml'}: frame {frame.id}"
            if frame.id in seen:
                yield f"{place}: the id is used twice"
            seen.add(frame.id)
            if frame.code not in codes:
                yield f"{place}: code {frame.code!r} is not in codes.yaml"
            for slot, options in frame.slots.items():
                try:
                    used = {n for option in self.alternatives(options) for any_of in option for n in any_of}
                except KeyError as error:
                    yield f"{place}: slot {slot}: group {error} does not exist"
                    continue
                for name in sorted(used - names):
                    yield f"{place}: slot {slot}: concept {name!r} is not in lexicon.yaml"
            for name in frame.unless:
                if name not in names:
                    yield f"{place}: unless: concept {name!r} is not in lexicon.yaml"
            for sign_id in frame.ignore:
                if sign_id not in {sign.id for sign in self.tone.signs}:
                    yield f"{place}: ignore: sign {sign_id!r} is not in tone.yaml"
        for code in sorted(codes - {frame.code for frame in self.frames.frames}):
            yield f"{folder / 'frames.yaml'}: code {code} has no frame, so nothing could show it"
        for sign in self.tone.signs:
            for name in (*sign.concepts, *sign.void):
                if name not in names:
                    yield f"{folder / 'tone.yaml'}: sign {sign.id}: concept {name!r} is not in lexicon.yaml"
        slang = {spelling for group in self.lexicon.slang.values() for spelling in group}
        for concept, phrases in self.lexicon.concepts.items():
            for phrase in phrases:
                if phrase.lstrip("~²") in slang and not phrase.startswith("="):
                    yield (
                        f"{folder / 'lexicon.yaml'}: concept {concept}: {phrase!r} is slang for another word; "
                        f"write that word, or `={phrase}` for the spelling itself"
                    )
        spelled: dict[str, str] = {}
        for form, spellings in self.lexicon.slang.items():
            for spelling in spellings:
                if spelled.setdefault(spelling, form) != form:
                    yield (
                        f"{folder / 'lexicon.yaml'}: slang: {spelling!r} stands for both "
                        f"{spelled[spelling]!r} and {form!r}; keep one"
                    )


Model = TypeVar("Model", bound=BaseModel)


def _read(path: Path, model: type[Model]) -> Model:
    # The C parser is ten times faster; when anything is wrong, the slow one says in which line.
    try:
        return model.model_validate(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))
    except (OSError, yaml.YAMLError, ValidationError, UnicodeDecodeError):
        return load_yaml(path, model)
