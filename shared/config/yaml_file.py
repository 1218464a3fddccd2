"""YAML configuration: read, validated, watched.

A mistake is reported with its file, line and cure. A running service keeps the last good version when a file is broken
while it runs.
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Generic, TypeVar

import structlog
import yaml
from pydantic import BaseModel, ValidationError

from shared.config.errors import ConfigError

log = structlog.get_logger()

FOLLOW_SECONDS = 2.0

Model = TypeVar("Model", bound=BaseModel)


def load_yaml(path: Path, model: type[Model]) -> Model:
    """The validated content of a file. Raises `ConfigError` naming file, line and what to change."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: the file is missing; copy it from deploy/config and adapt it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{path}{line}: not valid YAML: {problem}") from None
    except ValueError as error:
        # YAML turns a date into a day before any model sees it, and an impossible one into this.
        raise ConfigError(f"{path}{_place_of_impossible_date(text)}: {error}; mend the date") from None
    try:
        return model.model_validate(content or {})
    except ValidationError as error:
        problems = [
            f"{path}, line {_line_of(root, problem['loc'])}: "
            f"{'.'.join(str(part) for part in problem['loc']) or 'the file'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigError("\n".join(problems)) from None


def _place_of_impossible_date(text: str) -> str:
    for number, line in enumerate(text.splitlines(), start=1):
        for found in re.findall(r"\b\d{4}-\d{2}-\d{2}\b", line):
            try:
                date.fromisoformat(found)
            except ValueError:
                return f", line {number}: {found}"
    return ""


def _line_of(node: yaml.Node | None, location: Sequence[int | str]) -> int:
    """The line (from 1) of the innermost part of `location` that the file has."""
    line = 1
    for part in location:
        child: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, child = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            child = node.value[part]
            line = child.start_mark.line + 1
        if child is None:
            break
        node = child
    return line


class WatchedFile(Generic[Model]):
    """A YAML file that may change while a service runs.

    Args:
        path: the file; it must be good when the service starts (`ConfigError` otherwise).
        model: what it must contain.
    """

    def __init__(self, path: Path, model: type[Model]) -> None:
        self._path = path
        self._model = model
        self._seen = self._stamp()
        self.content: Model = load_yaml(path, model)

    def refresh(self) -> bool:
        """Read the file again if it has changed. Returns whether the content is new; a broken file changes nothing."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            self.content = load_yaml(self._path, self._model)
        except ConfigError as error:
            log.error("configuration_broken", problem=str(error), kept="the last good version")
            return False
        log.info("configuration_read", file=self._path.name)
        return True

    async def follow(self) -> None:
        """Read the file again whenever it changes; until cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            self.refresh()

    def _stamp(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_size)
