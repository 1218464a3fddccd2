"""Compression, forms and errors in the bytes of ClickHouse's HTTP interface."""

import gzip
import json
import zlib
from pathlib import Path

import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard
from clickhouse_connect.driver.compression import get_compressor
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.embedded.clickhouse import wire
from deploy.embedded.clickhouse.accounts import Accounts
from deploy.embedded.clickhouse.errors import ClickHouseError, StartError

COMPRESS = {
    "lz4": lz4.frame.compress,
    "zstd": zstandard.compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
    "": bytes,
}
DECOMPRESS = {
    "lz4": lz4.frame.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


def unpack(encoding: str, body: bytes, limit: int = 10**9) -> bytes:
    return b"".join(wire.decompress(encoding, body, limit))


@pytest.mark.parametrize("encoding", COMPRESS)
@settings(max_examples=25)
@given(blocks=st.lists(st.binary(max_size=5_000), max_size=6))
def test_frames_behind_one_another_are_all_read(encoding: str, blocks: list[bytes]) -> None:
    assert unpack(encoding, b"".join(COMPRESS[encoding](block) for block in blocks)) == b"".join(blocks)


@pytest.mark.parametrize("encoding", COMPRESS)
def test_a_frame_far_larger_than_one_slice_is_read(encoding: str) -> None:
    data = b"".join(b"%d," % n for n in range(300_000))
    assert unpack(encoding, COMPRESS[encoding](data) * 2) == data * 2


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
def test_what_is_cut_short_or_damaged_is_an_error_not_an_end(encoding: str) -> None:
    whole = COMPRESS[encoding](b"".join(b"%d," % n for n in range(50_000)))
    for body in (whole[:-1], whole[: len(whole) // 2], whole + whole[:20], b"nonsense" * 10):
        with pytest.raises(ClickHouseError) as caught:
            unpack(encoding, body)
        assert caught.value.code == 271


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
def test_a_body_that_swells_is_given_up(encoding: str) -> None:
    with pytest.raises(ClickHouseError, match="larger than 1000000 bytes"):
        unpack(encoding, COMPRESS[encoding](bytes(10_000_000)), limit=1_000_000)


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(ClickHouseError, match="br is not known"):
        unpack("br", b"x")


@pytest.mark.parametrize("encoding", DECOMPRESS)
@settings(max_examples=25)
@given(blocks=st.lists(st.binary(max_size=3_000), max_size=5))
def test_an_answer_is_one_frame_of_what_the_client_accepts(encoding: str, blocks: list[bytes]) -> None:
    name, compressor = wire.choose_compressor(f"br;q=1.0, {encoding}", enabled=True)
    packed = b"".join(compressor.compress(block) for block in blocks) + compressor.flush()
    assert name == encoding
    assert DECOMPRESS[encoding](packed) == b"".join(blocks)


def test_an_answer_is_plain_unless_both_sides_want_more() -> None:
    assert wire.choose_compressor("gzip", enabled=False)[0] == ""
    assert wire.choose_compressor("br", enabled=True)[0] == ""
    assert wire.choose_compressor("gzip, lz4, zstd", enabled=True)[0] == "lz4"


def test_the_clients_own_frames_are_read() -> None:
    compressor = get_compressor("lz4")
    packed = b"".join(compressor.compress_block(b"%d" % n * 9_000) for n in range(5)) + (compressor.flush() or b"")
    assert unpack("lz4", packed) == b"".join(b"%d" % n * 9_000 for n in range(5))


def form(*parts: tuple[str, bytes]) -> bytes:
    body = b"".join(
        b"--X\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return body + b"--X--\r\n"


def test_a_form_gives_back_texts_and_files_byte_for_byte() -> None:
    binary = bytes(range(256)) + b"\r\n--Y\r\n"
    read = wire.read_form(
        "multipart/form-data; boundary=X",
        form(('name="query"', "SELECT 'ü'\r\n".encode()), ('name="t"; filename="a"', binary), ('name="e"', b"")),
    )
    assert read.fields == {"query": "SELECT 'ü'\r\n", "e": ""}
    assert read.files == {"t": binary}


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("multipart/form-data", form(('name="a"', b"x"))),
        ("multipart/form-data; boundary=X", form(("nameless", b"x"))),
        ("multipart/form-data; boundary=X", form(*[('name="a"', b"x")] * 300)),
    ],
)
def test_what_is_no_form_is_refused(media_type: str, body: bytes) -> None:
    with pytest.raises(ClickHouseError):
        wire.read_form(media_type, body)


@pytest.mark.parametrize(
    "structure",
    [
        "a UInt8",
        "a UInt64, b String",
        "d DateTime64(3, 'Asia/Jakarta'), e Enum8('a (' = 1, 'b' = 2)",
        "t Tuple(a Array(Nullable(String)), b Map(String, UInt8)) , c Decimal(18, 4)",
    ],
)
def test_a_structure_is_names_and_types(structure: str) -> None:
    assert wire.external_tables({"t": b""}, {"t_structure": structure})[0].structure == structure


@pytest.mark.parametrize(
    "structure",
    [
        "",
        "a",
        "a String DEFAULT version()",
        "a String ALIAS file(x)",
        "a String MATERIALIZED (1)",
        "a String CODEC(ZSTD)",
        "a String) ENGINE = Memory",
        "a String) ENGINE = URL(x",
        "a Enum8('((' = 1)) ENGINE = URL(x))",
        "a String -- x",
        "a String /* x */",
        "a String; DROP TABLE t",
        "a Enum8('x\\' = 1)",
        "a Enum8('x = 1)",
        "`a b` String",
        "a Array(String) DEFAULT (1)",
    ],
)
def test_a_structure_holds_nothing_else(structure: str) -> None:
    with pytest.raises(ClickHouseError):
        wire.external_tables({"t": b""}, {"t_structure": structure})


def test_types_alone_name_their_columns_by_number() -> None:
    (table,) = wire.external_tables({"t": b"1\tx"}, {"t_types": "UInt8,String", "t_format": "TSV"})
    assert (table.structure, table.format, table.data) == ("_1 UInt8, _2 String", "TSV", b"1\tx")


@pytest.mark.parametrize("name", ["a b", "a;DROP", "1a", "a.b", ""])
def test_a_table_that_is_brought_has_a_plain_name(name: str) -> None:
    with pytest.raises(ClickHouseError):
        wire.external_tables({name: b""}, {f"{name}_structure": "a UInt8"})


@pytest.mark.parametrize(
    ("text", "code", "name", "message"),
    [
        (
            "Code: 60. DB::Exception: Unknown table x. (UNKNOWN_TABLE) (version 26.9.2.1 (official build))",
            60,
            "UNKNOWN_TABLE",
            "Unknown table x.",
        ),
        (
            "Streaming insert append failed: Code: 27. DB::ParsingException: Cannot parse: (at row 2)\n: While "
            "executing JSONEachRow. (CANNOT_PARSE_INPUT_ASSERTION_FAILED) (version 26.9.2.1)",
            27,
            "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
            "Cannot parse: (at row 2)\n: While executing JSONEachRow.",
        ),
        ("something else", 1002, "UNKNOWN_EXCEPTION", "something else"),
        ("", 1002, "UNKNOWN_EXCEPTION", "the engine gave no reason"),
    ],
)
def test_the_engines_errors_are_taken_apart(text: str, code: int, name: str, message: str) -> None:
    error = ClickHouseError.from_engine(text)
    assert (error.code, error.name, error.message) == (code, name, message)
    assert error.body("26.9") == f"Code: {code}. DB::Exception: {message} ({name}) (version 26.9)\n".encode()


def accounts(folder: Path) -> Accounts:
    path = folder / "accounts.json"
    path.write_text(json.dumps({"accounts": [{"user": "a", "password": "p:w ü", "access": "full"}]}))
    path.chmod(0o600)
    return Accounts.read(path)


@pytest.mark.parametrize(
    ("headers", "params"),
    [
        ({"x-clickhouse-user": "a"}, {}),
        ({"x-clickhouse-user": "a", "x-clickhouse-key": "p:w"}, {}),
        ({"authorization": "Basic !!!"}, {}),
        ({"authorization": "Bearer a"}, {}),
        ({"authorization": "Basic YQ=="}, {}),
        ({}, {"user": "a", "password": ""}),
        ({}, {"user": "tidak-ada", "password": "\0"}),
        ({}, {}),
    ],
)
def test_no_half_of_a_password_lets_anybody_in(headers: dict[str, str], params: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ClickHouseError) as caught:
        accounts(tmp_path).authenticate(headers, params)
    assert (caught.value.code, caught.value.status) == (516, 403)


def test_a_password_shows_in_no_description_of_the_accounts(tmp_path: Path) -> None:
    known = accounts(tmp_path)
    assert "p:w" not in repr(known)
    assert known.authenticate({}, {"user": "a", "password": "p:w ü"}).user == "a"


def test_accounts_open_to_others_are_refused(tmp_path: Path) -> None:
    accounts(tmp_path)
    (tmp_path / "accounts.json").chmod(0o640)
    with pytest.raises(StartError, match="chmod 600"):
        Accounts.read(tmp_path / "accounts.json")
