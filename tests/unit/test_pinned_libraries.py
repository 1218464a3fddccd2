"""What is installed is what was meant: every library pinned, every file known by its hash."""

import re
from pathlib import Path

LOCK = (Path(__file__).parents[2] / "requirements.txt").read_text(encoding="utf-8")
ENTRIES = [entry for entry in re.split(r"\n(?=[A-Za-z])", re.sub(r"(?m)^\s*#.*\n?", "", LOCK)) if entry.strip()]


def test_every_library_is_pinned_to_one_version_and_known_by_its_hashes() -> None:
    assert len(ENTRIES) > 50
    for entry in ENTRIES:
        first = entry.splitlines()[0]
        assert re.match(r"[A-Za-z0-9._-]+(\[[^\]]+\])?==[^\s;*]+", first), first
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), first


def test_no_library_comes_from_anywhere_but_the_index_of_whoever_installs() -> None:
    assert not re.search(r"(?m)^\s*(-i|--index-url|--extra-index-url|--find-links|-e)\b|://|git\+", LOCK)
