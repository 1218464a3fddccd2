"""Shows the notifications of the embedded default on the terminal as they arrive."""

import asyncio
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from services.alerts.channels import SEPARATOR

_LOOK_SECONDS = 0.3
_LINES_SHOWN = 12


async def follow_notifications(path: Path, console: Console) -> None:
    """Print the beginning of every notification that is appended to the file from now on; until cancelled."""
    seen = len(_read_from(path, 0))
    while True:
        if news := await asyncio.to_thread(_read_from, path, seen):
            seen += len(news)
            for notification in split_notifications(news.decode("utf-8", "replace")):
                lines = notification.splitlines()
                shown = "\n".join(lines[:_LINES_SHOWN]) + ("\n..." if len(lines) > _LINES_SHOWN else "")
                console.print(Panel(Text(shown), title="Notification", border_style="yellow", expand=False))
        await asyncio.sleep(_LOOK_SECONDS)


def split_notifications(text: str) -> list[str]:
    """The single notifications of a notification file's text, oldest first."""
    return [part.strip() for part in text.split(SEPARATOR) if part.strip()]


def _read_from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read()
    except FileNotFoundError:
        return b""
