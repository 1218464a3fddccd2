"""Speaking to a person at a terminal."""

import sys
from typing import NoReturn

from rich.console import Console
from rich.text import Text

PIPED_WIDTH = 160
"""Columns of a table that goes into a file or a pipe, where no terminal says how wide it is."""

out = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True)


def fail(message: str) -> NoReturn:
    """Say what went wrong and leave with status 1."""
    err.print(Text.assemble(("Error: ", "bold red"), printable(message)), soft_wrap=True)
    raise SystemExit(1)


def printable(text: str) -> str:
    """The text without control characters, so that nothing stored in a report can command the terminal."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
