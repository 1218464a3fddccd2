"""Unexpected errors are told without their words."""

import io
import json
import logging

import pytest
import structlog

from shared.observability.faults import describe_fault
from shared.observability.logs import configure_logs

SECRET = "0812 3456 7890"


def _fail() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise RuntimeError(f"cannot read {SECRET}") from error


def test_a_fault_is_told_by_type_and_place_and_quotes_nothing() -> None:
    with pytest.raises(RuntimeError) as caught:
        _fail()
    words = describe_fault(caught.value)
    assert words.startswith("RuntimeError at ")
    assert "tests/unit/test_faults.py" in words
    assert "_fail" in words
    assert SECRET not in words


def test_a_logged_exception_quotes_nothing_whoever_logs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logs(service="uji")
        for logger in (structlog.get_logger(), logging.getLogger("pustaka")):
            try:
                _fail()
            except RuntimeError:
                logger.exception("gagal")
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["gagal", "gagal"]
    assert all(line["exception"].startswith("RuntimeError at ") for line in lines)
    assert SECRET not in stream.getvalue()
