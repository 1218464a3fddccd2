"""The bytes of ClickHouse's HTTP interface: compression, form fields, formats, and errors in the middle of a stream."""

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import lz4.frame  # type: ignore[import-untyped]
import zstandard

from deploy.embedded.clickhouse.errors import ClickHouseError, bad_argument

SLICE_BYTES = 64 * 1024
"""So much of a compressed body is decompressed at once, to keep memory flat whatever it expands to."""
PIECE_BYTES = 1024 * 1024
"""So much of a plain body or result is handed on at once."""

STREAMABLE_FORMATS = frozenset(
    {"native", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv", "rowbinary", "jsoneachrow", "jsonlines",
     "ndjson", "jsoncompacteachrow", "jsonstringseachrow", "tskv"}
)  # fmt: skip
"""Formats without a head or foot: the engine encodes each block on its own, and only these may be put end to end."""

_CONTENT_TYPES = {
    "json": "application/json; charset=UTF-8",
    "jsoncompact": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8; header=absent",
    "csvwithnames": "text/csv; charset=UTF-8; header=present",
    "native": "application/octet-stream",
    "rowbinary": "application/octet-stream",
    "parquet": "application/octet-stream",
    "arrow": "application/octet-stream",
    "arrowstream": "application/octet-stream",
}
_TEXT = "text/plain; charset=UTF-8"


def content_type(format_name: str) -> str:
    """The media type of an answer in that format."""
    lowered = format_name.lower()
    if lowered.startswith(("tabseparated", "tsv")):
        return "text/tab-separated-values; charset=UTF-8"
    return _CONTENT_TYPES.get(lowered, _TEXT)


class Decompressor(Protocol):
    """What zlib, lz4 and zstandard have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _zlib(window_bits: int) -> Callable[[], Any]:
    return lambda: zlib.decompressobj(window_bits)


_DECOMPRESSORS: Mapping[str, Callable[[], Any]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "gzip": _zlib(31),
    "deflate": _zlib(15),
}


def pieces(data: bytes) -> Iterator[bytes]:
    """The same bytes in pieces that are quickly handled one by one."""
    view = memoryview(data)
    return (bytes(view[start : start + PIECE_BYTES]) for start in range(0, len(view), PIECE_BYTES))


def decompress(encoding: str, body: bytes, limit_bytes: int) -> Iterator[bytes]:
    """The body without its Content-Encoding, piece by piece.

    A client may send one insert as several frames, one behind the other: all of them are read.

    Raises:
        ClickHouseError: 89 for an unknown encoding, 271 for bytes that are damaged or cut short, 36 beyond
            `limit_bytes`.
    """
    if encoding in {"", "identity"}:
        yield from pieces(body)
        return
    make = _DECOMPRESSORS.get(encoding)
    if make is None:
        known = ", ".join(_DECOMPRESSORS)
        raise ClickHouseError(
            89, "UNKNOWN_COMPRESSION_METHOD", f"Content-Encoding {encoding} is not known; this server reads {known}"
        )
    total = 0
    for piece in _frames(make, body, encoding):
        total += len(piece)
        if total > limit_bytes:
            raise bad_argument(f"The body is larger than {limit_bytes} bytes when decompressed; send smaller batches")
        yield piece


def _frames(make: Callable[[], Decompressor], body: bytes, encoding: str) -> Iterator[bytes]:
    position = 0
    while position < len(body):
        frame = make()
        while not frame.eof:
            if position == len(body):
                raise ClickHouseError(271, "CANNOT_DECOMPRESS", f"The {encoding} body ends in the middle of a frame")
            try:
                piece = frame.decompress(body[position : position + SLICE_BYTES])
            except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError) as error:
                raise ClickHouseError(271, "CANNOT_DECOMPRESS", f"The {encoding} body is damaged: {error}") from error
            position = min(position + SLICE_BYTES, len(body)) - (len(frame.unused_data or b"") if frame.eof else 0)
            if piece:
                yield piece


class Compressor(Protocol):
    """Compresses an answer as it is written."""

    def compress(self, data: bytes) -> bytes:
        """The compressed bytes that are ready; may be empty."""

    def flush(self) -> bytes:
        """The end of the stream; nothing may follow."""


class _Plain:
    def compress(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _Lz4:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._head = bytes(self._frame.begin())

    def compress(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.flush())


_COMPRESSORS: Mapping[str, Callable[[], Any]] = {
    "lz4": _Lz4,
    "zstd": lambda: zstandard.ZstdCompressor(level=1).compressobj(),
    "gzip": lambda: zlib.compressobj(1, zlib.DEFLATED, 31),
    "deflate": lambda: zlib.compressobj(1, zlib.DEFLATED, 15),
}


def choose_compressor(accept_encoding: str, *, enabled: bool) -> tuple[str, Compressor]:
    """Name and compressor for an answer: the cheapest that the client accepts, or `("", plain)` unless `enabled`."""
    if enabled:
        accepted = {part.partition(";")[0].strip().lower() for part in accept_encoding.split(",")}
        for name, make in _COMPRESSORS.items():
            if name in accepted:
                return name, make()
    return "", _Plain()


def exception_block(tag: str, body: bytes) -> bytes:
    """An error behind rows that are already on their way, marked with the tag that the answer's head announced."""
    message = body.rstrip(b"\n") + b"\n"
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (
        tag.encode(),
        message,
        len(message),
        tag.encode(),
    )


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """A table that a query brings along: rows in a format, and the structure they have."""

    name: str
    format: str
    structure: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body: text fields, and files by field name."""

    fields: Mapping[str, str]
    files: Mapping[str, bytes]


_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_PART_NAME = re.compile(rb';\s*name="([^"]*)"', re.IGNORECASE)
_PART_FILE = re.compile(rb";\s*filename\*?=", re.IGNORECASE)
MAX_PARTS = 200


def read_form(media_type: str, body: bytes) -> Form:
    """The parts of a multipart/form-data body. Raises `ClickHouseError` when it is not one."""
    boundary = _BOUNDARY.search(media_type)
    if not boundary:
        raise bad_argument("multipart/form-data without a boundary")
    mark = b"--" + boundary[1].encode()
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    parts = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(parts) > MAX_PARTS:
        raise bad_argument(f"more than {MAX_PARTS} form parts")
    for part in parts[1:]:
        if part.startswith(b"--"):
            break
        head, separator, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = _PART_NAME.search(head)
        if not separator or not name:
            raise bad_argument("a form part has no name")
        if _PART_FILE.search(head):
            files[name[1].decode()] = content
        else:
            fields[name[1].decode()] = content.decode(errors="replace")
    return Form(fields, files)


_TABLE_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_LITERAL = re.compile(r"'[^'\\]*'")
_COLUMN = re.compile(r"^\s*[A-Za-z_]\w*\s+[A-Za-z]\w*\s*(\(.*\))?\s*$", re.DOTALL)
_PLAIN_TYPE = re.compile(r"^[\w\s(),=.]*$")
_FORMAT_NAME = re.compile(r"^[A-Za-z0-9]+$")


def external_tables(files: Mapping[str, bytes], params: Mapping[str, str]) -> list[ExternalTable]:
    """The tables that come with a query, as ClickHouse's `NAME_structure`, `NAME_types` and `NAME_format` say."""
    tables = []
    for name, data in files.items():
        structure = params.get(f"{name}_structure", "")
        if not structure and (types := params.get(f"{name}_types")):
            structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(types.split(","), 1))
        format_name = params.get(f"{name}_format", "TabSeparated")
        if not _TABLE_NAME.match(name) or not _FORMAT_NAME.match(format_name):
            raise bad_argument("the name or format of an external table is not a plain word")
        if not structure:
            raise bad_argument(f"external table {name} has no {name}_structure")
        _check_structure(structure)
        tables.append(ExternalTable(name, format_name, structure, data))
    return tables


def _check_structure(structure: str) -> None:
    """It goes into a CREATE statement: names and types may pass, an engine, a default or a comment may not."""
    plain = _LITERAL.sub("0", structure)
    columns, depth, start = [], 0, 0
    for position, character in enumerate(plain):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
        if character == "," and depth == 0:
            columns.append(plain[start:position])
            start = position + 1
    columns.append(plain[start:])
    if depth != 0 or not _PLAIN_TYPE.match(plain) or not all(_is_column(column) for column in columns):
        raise bad_argument("the structure of an external table is a list of names and types: a UInt64, b String")


def _is_column(text: str) -> bool:
    if not _COLUMN.match(text):
        return False
    depth, closed = 0, False
    for character in text.rstrip():
        if closed:
            return False
        depth += {"(": 1, ")": -1}.get(character, 0)
        closed = character == ")" and depth == 0
    return True
