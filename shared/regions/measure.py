"""How well and how fast regions are resolved: `python -m shared.regions.measure FILE.jsonl`.

Each line of the file is an object with `text`, `expected` (a full name or null; `region_expected` is read as well), and
optionally `title`, `hint` and `district`.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from shared.regions.resolver import RegionResolver

_RUNS = 9
_LENGTH_OF_A_SHORT_REPORT = 300


def main(path: str) -> int:
    """Print misses, accuracy, load time in seconds, memory in megabytes and texts per second; status 0."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in Path(path).read_text("utf-8").splitlines() if line]
    before_megabytes = _peak_megabytes()
    begin = time.process_time()
    resolver = RegionResolver.load()
    load_seconds = time.process_time() - begin
    megabytes = _peak_megabytes() - before_megabytes
    right = districts_right = districts = 0
    for row in rows:
        region = resolver.resolve(row["text"], title=row.get("title", ""), hint=row.get("hint", ""))
        found, expected = region.name if region else None, row.get("expected", row.get("region_expected"))
        right += found == expected
        if "district" in row:
            districts += 1
            districts_right += (
                region is not None and region.district is not None and (region.district.name == row["district"])
            )
        if found != expected:
            sys.stdout.write(f"{found} instead of {expected}: {row['text'][:100]}\n")
    texts = [_padded(str(row["text"])) for row in rows]
    seconds = min(_timed(resolver, texts) for _ in range(_RUNS))
    sys.stdout.write(
        f"region {right}/{len(rows)}, district {districts_right}/{districts}\n"
        f"load {load_seconds:.2f} s, {megabytes:.0f} MB\n"
        f"{len(texts) / seconds:.0f} texts/s of {_LENGTH_OF_A_SHORT_REPORT} characters on one core\n"
    )
    return 0


def _padded(text: str) -> str:
    """The text drawn out to the length of a short report by words that name no region."""
    filler = " lalu saksi merekam peristiwa itu dan menyerahkan fotonya kepada petugas yang berjaga malam itu"
    return (text + filler * 4)[: max(len(text), _LENGTH_OF_A_SHORT_REPORT)]


def _timed(resolver: RegionResolver, texts: list[str]) -> float:
    begin = time.process_time()
    for text in texts:
        resolver.resolve(text)
    return time.process_time() - begin


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
