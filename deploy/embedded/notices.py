"""Shows the notifications of the embedded default on the terminal as they arrive."""

import asyncio
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

_LOOK_SECONDS = 0.3


async def follow_notifications(path: Path, console: Console) -> None:
    """Print whatever is appended to the notification file from now on; until cancelled."""
    seen = path.stat().st_size if path.exists() else 0
    while True:
        if path.exists() and path.stat().st_size > seen:
            with path.open("rb") as file:
                file.seek(seen)
                news = file.read()
            seen += len(news)
            text = news.decode("utf-8", "replace").strip()
            console.print(Panel(Text(text), title="Notification", border_style="yellow", expand=False))
        await asyncio.sleep(_LOOK_SECONDS)
