"""What is remembered of short strings."""

import pytest

from services.classify import remembered
from services.classify.remembered import Remembered


def test_a_string_is_made_into_something_once_and_all_are_forgotten_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remembered, "MOST", 2)
    made: list[str] = []
    upper = Remembered(lambda string: (made.append(string), string.upper())[1])
    assert [upper[string] for string in ("a", "b", "a", "c", "a")] == ["A", "B", "A", "C", "A"]
    assert made == ["a", "b", "c", "a"]


def test_a_long_string_is_not_kept() -> None:
    length = Remembered(len)
    assert length["x" * 10_000] == 10_000
    assert not length
