import os
from pathlib import Path

import pytest

from services.ingest.sources import Sources
from shared.config.errors import ConfigError
from shared.config.yaml_file import WatchedFile, load_yaml

GOOD = """sources:
  lapangan: {adapter: json, auth: {scheme: standard-webhooks, secret_env: SALINGJAGA_SECRET_X}, rate_per_minute: 600}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    os.utime(path, ns=(len(text), len(text)))
    return path


def test_the_published_shape_of_sources_is_read(tmp_path: Path) -> None:
    sources = load_yaml(write(tmp_path / "sources.yaml", GOOD), Sources)
    assert sources.sources["lapangan"].rate_per_minute == 600


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sources:\n  lapangan:\n    adapter: fax\n", ["line 3", "adapter", "there are json, article"]),
        ("sources:\n  Lapangan!: {}\n", ["line 2", "should match pattern"]),
        ("sources: [\n", ["line 2", "not valid YAML"]),
        (GOOD.replace("600", "-1"), ["line 2", "rate_per_minute", "greater than or equal to 1"]),
        ("sources: 2024-13-01\n", ["line 1", "month must be in 1..12"]),
        (GOOD + "typo: 1\n", ["line 3", "typo", "Extra inputs"]),
    ],
)
def test_a_mistake_is_reported_with_file_line_and_cure(tmp_path: Path, text: str, words: list[str]) -> None:
    path = write(tmp_path / "sources.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_yaml(path, Sources)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_a_running_service_keeps_the_last_good_version(tmp_path: Path) -> None:
    path = write(tmp_path / "sources.yaml", GOOD)
    watched = WatchedFile(path, Sources)
    write(path, "sources: [")
    assert watched.refresh() is False
    assert list(watched.content.sources) == ["lapangan"]
    write(path, GOOD.replace("lapangan:", "kobo:"))
    assert watched.refresh() is True
    assert list(watched.content.sources) == ["kobo"]
    assert watched.refresh() is False
