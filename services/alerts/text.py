"""Words of strangers made fit to be shown: no control or direction characters, no live links, bounded in length."""

import re
import unicodedata

QUOTE_CHARACTERS = 240

_LINK = re.compile(r"\b(ht)(tps?://)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s|\n")


def clean(text: str, limit: int) -> str:
    """One line of at most `limit` characters: no control or formatting characters, links made unclickable (`hxxp`)."""
    kept = text
    if not text.isprintable():
        unseen = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co")
        kept = "".join(" " if unicodedata.category(char) in unseen else char for char in text)
    kept = _LINK.sub(lambda match: f"hx{match[2].lower().replace('tp', 'xp', 1)}", " ".join(kept.split()))
    return kept if len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def quote(text: str, start: int, end: int) -> str:
    """The sentence of `text` around a span, cleaned; cut to its neighbourhood where it is long."""
    start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
    room = max(0, QUOTE_CHARACTERS - (end - start)) // 2
    before, after = text[max(0, start - room) : start], text[end : end + room]
    cut_before, cut_after = start - room > 0, end + room < len(text)
    if breaks := list(_SENTENCE_END.finditer(before)):
        before, cut_before = before[breaks[-1].end() :], False
    if found := _SENTENCE_END.search(after):
        after, cut_after = after[: found.start()], False
    if cut_before:
        before = "…" + before.partition(" ")[2]
    if cut_after:
        after = after.rpartition(" ")[0] + "…"
    return clean(before + text[start:end] + after, QUOTE_CHARACTERS + 2)
