"""What a request's SQL is: an INSERT with data behind it, a query with a result, or an order.

ClickHouse takes data in the same bytes as the statement, so the end of the statement has to be found without touching
what follows: it may be binary.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"""
    (?P<space>\s+ | --[^\n]* | //[^\n]* | \#[ !][^\n]*)
  | (?P<comment>/\*)
  | (?P<string>'(?:[^'\\]|\\.|'')*')
  | (?P<name>`(?:[^`\\]|\\.|``)*` | "(?:[^"\\]|\\.|"")*")
  | (?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<word>[A-Za-z_][\w$]*)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_MARK = re.compile(rb"/\*|\*/")
_FILE_WORD = re.compile(rb"\b(?:out|in)file\b", re.IGNORECASE)
_FORMAT_WORD = re.compile(rb"\bformat\b", re.IGNORECASE)
_AFTER_FORMAT = re.compile(rb"[ \t\f\r]*\n?")

SELECTS = frozenset({"select", "with", "from", "("})
"""First words of a statement whose result the engine can hand out block by block."""
ANSWERS = SELECTS | {"show", "describe", "desc", "explain", "exists", "check", "kill"}
"""First words of a statement that has a result."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement.

    Attributes:
        text: the statement; of an INSERT with data only what stands before FORMAT or VALUES.
        verb: its first word, in lower case; `(` for a query in parentheses.
        format: the input format of an INSERT with data, else the format that the text asks for. Empty when none.
        takes_data: an INSERT whose rows follow in `data` and behind it.
        data: the first bytes of those rows.
        settings_at: where in the text of such an INSERT its SETTINGS begin; its end when it has none.
    """

    text: bytes
    verb: str
    format: str = ""
    takes_data: bool = False
    data: bytes = b""
    settings_at: int = 0

    @property
    def has_result(self) -> bool:
        """Whether a client expects rows, were it none."""
        return self.verb in ANSWERS

    @property
    def is_select(self) -> bool:
        """Whether the engine can stream its result."""
        return self.verb in SELECTS


def parse(sql: bytes) -> Statement:
    """The statement at the start of `sql`, with the first bytes of its data if it is an INSERT that takes some."""
    tokens = _tokens(sql)
    verb = next((sql[start:end] for _, start, end in tokens), b"").lower().decode("latin-1")
    if verb == "insert":
        return _insert(sql, tokens)
    return Statement(sql, verb, _result_format(sql))


def names_a_file(sql: bytes) -> bool:
    """Whether it says INTO OUTFILE or FROM INFILE, which a server leaves to the client."""
    if not _FILE_WORD.search(sql):
        return False
    previous = b""
    for kind, start, end in _tokens(sql):
        word = sql[start:end].lower() if kind == "word" else b""
        if (previous, word) in {(b"into", b"outfile"), (b"from", b"infile")}:
            return True
        previous = word
    return False


def _tokens(sql: bytes) -> Iterator[tuple[str, int, int]]:
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            return
        position = match.end()
        kind = match.lastgroup or ""
        if kind == "comment":
            position = _comment_end(sql, position)
        elif kind != "space":
            yield ("heredoc" if kind == "tag" else kind), match.start(), position


def _comment_end(sql: bytes, position: int) -> int:
    depth = 1
    while depth:
        mark = _COMMENT_MARK.search(sql, position)
        if mark is None:
            return len(sql)
        depth += 1 if mark[0] == b"/*" else -1
        position = mark.end()
    return position


def _insert(sql: bytes, tokens: Iterator[tuple[str, int, int]]) -> Statement:
    depth = 0
    in_name = False
    previous = ""
    settings_at: int | None = None
    for kind, start, end in tokens:
        piece = sql[start:end]
        if piece == b"(":
            depth += 1
        elif piece == b")":
            depth -= 1
        word = piece.lower().decode("latin-1") if kind == "word" else ""
        if word in {"select", "with"} and (depth == 0 or previous == "("):
            return Statement(sql, "insert", _result_format(sql))
        if depth == 0 and word and not in_name:
            if word == "settings" and settings_at is None:
                settings_at = start
            if word == "values":
                return Statement(sql[:start], "insert", "Values", True, sql[end:], settings_at or start)
            if word == "format" and (named := next(tokens, None)) is not None and named[0] == "word":
                data = _AFTER_FORMAT.match(sql, named[2])
                name = sql[named[1] : named[2]].decode("latin-1")
                rows = sql[data.end() if data else named[2] :]
                return Statement(sql[:start], "insert", name, True, rows, settings_at or start)
        # A table may be called `values` or `format`: what follows INTO or a dot is a name, not a keyword.
        in_name = word == "into" or (word in {"table", "function"} and previous == "into") or piece == b"."
        previous = word or piece.decode("latin-1")
    return Statement(sql, "insert")


def _result_format(sql: bytes) -> str:
    if not _FORMAT_WORD.search(sql):
        return ""
    found = ""
    previous = b""
    for kind, start, end in _tokens(sql):
        word = sql[start:end] if kind == "word" else b""
        if previous == b"format" and word:
            found = word.decode("latin-1")
        elif found and word.lower() == b"settings":
            break
        elif sql[start:end] != b";":
            # Something follows: that was a column or an alias called `format`.
            found = ""
        previous = word.lower()
    return found
