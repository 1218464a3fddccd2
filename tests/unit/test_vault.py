"""Sealing submissions: what opens, what does not, and what a rotation changes."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.config.errors import ConfigError
from shared.settings import Settings
from shared.vault.envelope import CannotOpenError, Envelope, Opener, Sealer, binding_of
from shared.vault.keys import KeyRing, parse_keys, read_key_file, rotate
from tests.keys import MASTER_KEYS, a_ring

BINDING = binding_of("SJ-AAAA-BBBB-CCCC-DDDD", "lapangan")
NOW = datetime(2024, 11, 25, tzinfo=UTC)


def other_keys() -> str:
    return "lain:" + base64.b64encode(bytes(32)).decode()


def opened(raw: bytes, ring: KeyRing, binding: bytes = BINDING) -> bytes:
    return Opener(ring).open(Envelope.read(raw), binding)


def test_what_was_sealed_opens_byte_for_byte() -> None:
    sealer = Sealer(a_ring())
    for body in (b"", b"\x00\xff", b"nomor 0812 3456 7890" * 1000):
        sealed = sealer.seal(body, BINDING)
        assert opened(sealed, a_ring()) == body
        assert not body or body not in sealed
        assert Envelope.read(sealed).to_bytes() == sealed


def test_the_same_body_never_looks_the_same_twice() -> None:
    sealer = Sealer(a_ring())
    assert len({sealer.seal(b"sama", BINDING) for _ in range(100)}) == 100


def test_a_body_opens_under_its_own_receipt_and_source_only() -> None:
    sealed = Sealer(a_ring()).seal(b"isi", BINDING)
    for other in (binding_of("SJ-AAAA-BBBB-CCCC-DDDE", "lapangan"), binding_of("SJ-AAAA-BBBB-CCCC-DDDD", "berita")):
        with pytest.raises(CannotOpenError, match="not of this receipt"):
            opened(sealed, a_ring(), other)


def test_any_changed_byte_is_noticed() -> None:
    sealed = Sealer(a_ring()).seal(b"isi laporan", BINDING)
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(CannotOpenError):
            opened(changed, a_ring())


@pytest.mark.parametrize("raw", [b"", b"\x01", b"\x01\x03uji", b'{"text": "terang"}', b"\x00" * 200])
def test_bytes_that_are_no_envelope_are_named_as_such(raw: bytes) -> None:
    with pytest.raises(CannotOpenError, match="not sealed"):
        Envelope.read(raw)


def test_a_missing_key_is_named_with_the_cure() -> None:
    sealed = Sealer(a_ring()).seal(b"isi", BINDING)
    with pytest.raises(CannotOpenError, match=r"master key uji, which is not in the key ring.*put that key back"):
        opened(sealed, a_ring(other_keys()))


def test_a_key_of_the_same_name_but_another_value_is_not_mistaken_for_damage_of_the_body() -> None:
    sealed = Sealer(a_ring()).seal(b"isi", BINDING)
    with pytest.raises(CannotOpenError, match="data key does not open"):
        opened(sealed, a_ring(other_keys().replace("lain", "uji")))


def test_a_writer_takes_a_new_data_key_every_hour_and_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = rotate(path, NOW)
    now = 0.0
    ring = KeyRing(Settings(key_file=path))
    sealer = Sealer(ring, clock=lambda: now)

    def key_of_next() -> tuple[bytes, str]:
        key = Envelope.read(sealer.seal(b"isi", BINDING)).key
        return key.id, key.master_key_id

    start = key_of_next()
    assert start == key_of_next()
    now = 3_601.0
    later = key_of_next()
    assert later[0] != start[0]
    second = rotate(path, NOW)
    ring.refresh()
    rotated = key_of_next()
    assert (start[1], later[1], rotated[1]) == (first, first, second)
    assert rotated[0] != later[0]


def test_after_a_rotation_old_seals_open_and_a_reader_that_lags_behind_reads_the_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    rotate(path, NOW)
    lagging = KeyRing(Settings(key_file=path))
    old = Sealer(lagging).seal(b"lama", BINDING)
    rotate(path, NOW)
    new = Sealer(KeyRing(Settings(key_file=path))).seal(b"baru", BINDING)
    assert opened(new, lagging) == b"baru"
    assert opened(old, KeyRing(Settings(key_file=path))) == b"lama"


def test_a_data_key_wrapped_anew_opens_with_the_new_master_key_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    rotate(path, NOW)
    sealed = Envelope.read(Sealer(KeyRing(Settings(key_file=path))).seal(b"isi", BINDING))
    second = rotate(path, NOW)
    rewrapped = Opener(KeyRing(Settings(key_file=path))).rewrap(sealed.key)
    value = base64.b64encode(read_key_file(path).keys[second]).decode()
    only_new = a_ring(f"{second}:{value}")
    assert Opener(only_new).open(Envelope(rewrapped, sealed.sealed), BINDING) == b"isi"


def test_a_key_file_that_breaks_while_a_service_runs_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = rotate(path, NOW)
    ring = KeyRing(Settings(key_file=path))
    path.write_text("{")
    ring.refresh()
    assert ring.current.active == first
    path.unlink()
    ring.refresh()
    assert ring.current.active == first


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    rotate(path, NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_key_file(path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "salingjaga keys new"),
        ("abc", "ID:BASE64"),
        ("a:!!!", "not base64"),
        ("a:" + base64.b64encode(b"pendek").decode(), "6 bytes"),
        ("x" * 65 + ":" + base64.b64encode(bytes(32)).decode(), "1 to 64"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_without_being_quoted(value: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        KeyRing(Settings(master_keys=SecretStr(value)))
    assert "cGVuZGVr" not in str(error.value)


def test_the_first_key_of_the_environment_is_the_active_one() -> None:
    keys = parse_keys(f"{other_keys()} {MASTER_KEYS}")
    assert keys.active == "lain"
    assert list(keys.keys) == ["lain", "uji"]
