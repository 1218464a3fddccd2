"""Shows the notifications of the embedded default on the terminal as they arrive."""

import asyncio
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

_LOOK_SECONDS = 0.3


async def follow_notifications(path: Path, console: Console) -> None:
    """Print whatever is appended to the notification file from now on; until cancelled."""
    seen = len(_read_from(path, 0))
    while True:
        if news := await asyncio.to_thread(_read_from, path, seen):
            seen += len(news)
            text = news.decode("utf-8", "replace").strip()
            console.print(Panel(Text(text), title="Notification", border_style="yellow", expand=False))
        await asyncio.sleep(_LOOK_SECONDS)


def _read_from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read()
    except FileNotFoundError:
        return b""
