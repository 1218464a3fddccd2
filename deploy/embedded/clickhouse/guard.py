"""What an analyst may ask.

The engine has no users and no grants, and `readonly=1` still lets a query read a local file or end another's query. So
a read-only statement is parsed by the engine itself (`EXPLAIN AST`, which runs nothing) and every node of the tree must
be one that is known to be harmless: what is not on a list is refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from deploy.embedded.clickhouse.engine import Handle
from deploy.embedded.clickhouse.errors import ClickHouseError, bad_argument, denied, syntax
from deploy.embedded.clickhouse.statement import SELECTS, Statement
from deploy.embedded.clickhouse.wire import ExternalTable

SYSTEM_TABLES = frozenset(
    {"system." + name for name in
     ("one", "numbers", "numbers_mt", "zeros", "settings", "databases", "tables", "columns", "functions",
      "data_type_families", "formats", "table_functions", "time_zones", "build_options", "keywords")}
    | {"information_schema." + name for name in ("schemata", "tables", "columns", "views")}
)  # fmt: skip
"""What a client reads when it connects or offers names to complete: names, types and limits, no contents."""

TABLE_FUNCTIONS = frozenset({"numbers", "numbers_mt", "zeros", "zeros_mt", "generateseries", "generate_series"})

EXTERNAL_FORMATS = frozenset({"tabseparated", "tsv", "csv", "csvwithnames", "jsoneachrow", "native", "rowbinary"})
"""Input formats of a table that a query brings along. Values is not one: it evaluates expressions."""

FORMATS = frozenset(
    {"native", "null", "rowbinary", "rowbinarywithnames", "rowbinarywithnamesandtypes", "arrow", "arrowstream",
     "parquet", "orc", "avro", "msgpack", "markdown", "xml", "vertical", "values", "sqlinsert", "lineasstring",
     "rawblob", "tskv"}
)  # fmt: skip
FORMAT_FAMILIES = ("tabseparated", "tsv", "csv", "json", "pretty", "ndjson")
"""Output formats that need no file: Template, CapnProto and Protobuf read a schema from one."""

FREE_SETTINGS = frozenset(
    {"date_time_output_format", "date_time_input_format", "session_timezone", "join_use_nulls", "group_by_use_nulls",
     "extremes", "max_block_size", "output_format_decimal_trailing_zeros", "cast_string_to_dynamic_use_inference",
     "limit", "offset", "final", "union_default_mode", "prefer_column_name_to_alias", "http_zlib_compression_level",
     "output_format_arrow_string_as_string", "output_format_parquet_string_as_string", "send_progress_in_http_headers",
     "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close", "enable_http_compression"}
)  # fmt: skip
FREE_SETTING_FAMILIES = (
    "output_format_json_", "output_format_csv_", "output_format_tsv_", "output_format_pretty_",
    "output_format_native_", "format_csv_", "format_tsv_",
)  # fmt: skip
"""Settings by which an analyst shapes an answer; none lifts a limit or opens a file."""
LOWERED_SETTINGS: Mapping[str, int] = {"max_execution_time": 30, "max_result_rows": 1_000_000, "max_threads": 1}
"""Limits that an analyst may set lower than they are, never higher and never to 0, which means none."""
READONLY_VALUES = frozenset({"1", "2"})

_FUNCTION_CATEGORIES = frozenset(
    {"Arithmetic", "Arrays", "Bit", "Bitmap", "Comparison", "Conditional", "Dates and Times", "Distance", "Encoding",
     "Financial", "Geo", "Geo Polygon", "Hash", "IP Address", "JSON", "Logical", "Map", "Mathematical", "Null",
     "Random Number", "Rounding", "String", "String Replacement", "String Search", "String Splitting", "Time Window",
     "Tuple", "Type Conversion", "URL", "UUID"}
)  # fmt: skip
_MORE_FUNCTIONS = frozenset(
    {"bar", "bytesize", "countdigits", "currentdatabase", "currentuser", "currentschemas", "defaultvalueoftypename",
     "dumpcolumnstructure", "displayname", "exists", "finalizeaggregation", "formatreadabledecimalsize",
     "formatreadablequantity", "formatreadablesize", "formatreadabletimedelta", "getsetting", "getsubcolumn",
     "grouping", "identity", "ignore", "isconstant", "isdecimaloverflow", "lambda", "materialize", "neighbor", "nested",
     "parsetimedelta", "rownumberinallblocks", "rownumberinblock", "runningaccumulate", "runningdifference",
     "runningdifferencestartingwithfirstvalue", "throwif", "tocolumntypename", "totypename", "transform", "untuple",
     "uptime", "version", "visiblewidth", "_cast", "casewithexpression", "variantelement", "varianttype", "revision"}
)  # fmt: skip
_REFUSED_FUNCTIONS = frozenset({"formatrow", "formatrownonewline"})
_COMBINATORS = (
    "simplestate", "ordefault", "resample", "foreach", "distinct", "ornull", "argmin", "argmax", "merge", "state",
    "array", "tuple", "map", "if",
)  # fmt: skip

_VERBS = SELECTS | {"explain", "describe", "desc", "exists", "show"}
_NAMED_TABLE_ROOTS = frozenset({"ExistsTableQuery", "ExistsViewQuery", "ShowCreateTableQuery", "ShowCreateViewQuery"})
_ROOTS = _NAMED_TABLE_ROOTS | {"SelectWithUnionQuery", "Explain", "DescribeQuery"}
_NODES = frozenset(
    {"SelectWithUnionQuery", "SelectQuery", "SelectIntersectExceptQuery", "ExpressionList", "Subquery", "Literal",
     "Identifier", "Function", "Asterisk", "QualifiedAsterisk", "ColumnsTransformerList", "ColumnsExceptTransformer",
     "ColumnsReplaceTransformer", "ColumnsReplaceTransformer::Replacement", "ColumnsRegexpMatcher",
     "ColumnsListMatcher", "QualifiedColumnsRegexpMatcher", "QualifiedColumnsListMatcher", "TablesInSelectQuery",
     "TablesInSelectQueryElement", "TableExpression", "TableIdentifier", "TableJoin", "ArrayJoin", "SampleRatio",
     "OrderByElement", "StorageOrderBy", "WithElement", "WindowDefinition", "WindowListElement", "InterpolateElement",
     "Explain", "DescribeQuery"}
)  # fmt: skip
_IN = re.compile(r"^(?:global)?(?:not)?(?:null)?in(?:ignoreset)?$", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?", re.ASCII)
_SHOW = re.compile(
    r"""^\s*SHOW\s+(?:FULL\s+)?(?P<what>DATABASES|TABLES|COLUMNS|FIELDS|SETTINGS|FUNCTIONS)
        (?:\s+(?:FROM|IN)\s+`?(?P<first>\w+)`?(?:\.`?(?P<second>\w+)`?)?)?
        (?:\s+(?:FROM|IN)\s+`?(?P<third>\w+)`?)?
        (?:\s+(?:NOT\s+)?I?LIKE\s+'[^'\\]*')?
        (?:\s+LIMIT\s+\d+)?(?:\s+FORMAT\s+(?P<format>\w+))?\s*;?\s*$""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
_LINE = re.compile(r"^(?P<indent> *)(?P<text>.*?)(?: \(children (?P<children>\d+)\))?$")
_ALIAS = re.compile(r" \(alias .*\)$")


@dataclass(slots=True)
class Node:
    """One node of a syntax tree: what it is, and what it is called."""

    kind: str
    name: str
    children: list["Node"] = field(default_factory=list)

    def walk(self) -> Iterator["Node"]:
        """This node and all below it."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


class Guard:
    """Judges the statements of read-only accounts. Holds the engine's function names, hence one per engine."""

    def __init__(self, handle: Handle) -> None:
        rows = handle.query(
            "SELECT lower(name), lower(alias_to), categories, is_aggregate, origin FROM system.functions"
        ).data.decode()
        self._known: set[str] = set()
        self._allowed: set[str] = set(_MORE_FUNCTIONS)
        self._aggregates: set[str] = set()
        aliases: list[tuple[str, str]] = []
        for row in rows.splitlines():
            name, target, category, is_aggregate, origin = row.split("\t")
            self._known.add(name)
            if target:
                aliases.append((name, target))
            elif origin == "System" and is_aggregate == "1":
                self._aggregates.add(name)
            elif origin == "System" and category in _FUNCTION_CATEGORIES and name not in _REFUSED_FUNCTIONS:
                self._allowed.add(name)
        for name, target in aliases:
            if target in self._aggregates:
                self._aggregates.add(name)
            elif target in self._allowed:
                self._allowed.add(name)

    def check(self, handle: Handle, statement: Statement, database: str, params: Mapping[str, str]) -> None:
        """Raise `ClickHouseError` unless the statement only reads what lies in `database`.

        `handle` is a read-only session whose current database is `database`.
        """
        try:
            text = statement.text.decode()
        except UnicodeDecodeError as error:
            raise syntax("The statement is not UTF-8") from error
        if statement.verb == "insert":
            raise ClickHouseError(164, "READONLY", "Cannot execute query in readonly mode")
        if statement.verb not in _VERBS:
            raise denied("This account may only read: SELECT, EXPLAIN, DESCRIBE, EXISTS, SHOW TABLES and the like")
        # EXPLAIN AST in front of two statements would explain the first and run the second.
        count = handle.count_statements(statement.text)
        if count > 1:
            raise syntax("Multi-statements are not allowed")
        if statement.verb == "show" and (show := _SHOW.match(text)):
            self._check_show(show, database)
            return
        tree = read_tree(handle.query(f"EXPLAIN AST {text}", "TabSeparatedRaw", params).data.decode())
        if tree.kind not in _ROOTS:
            raise denied(f"{tree.kind} is not allowed for this account")
        self._check_root(tree)
        if tree.kind in _NAMED_TABLE_ROOTS:
            _check_table(".".join(tree.name.split()), database)
        else:
            self._check_tree(tree, database)

    def _check_show(self, show: re.Match[str], database: str) -> None:
        if show["format"]:
            check_format(show["format"])
        what = show["what"].lower()
        if what == "tables":
            named = show["first"]
            if show["second"] or show["third"] or (named and named.lower() not in {database.lower(), "system"}):
                raise denied(f"This account sees the database {database} only")
        elif what in {"columns", "fields"}:
            if show["second"] and show["third"]:
                raise denied("Name the database once")
            owner = show["third"] or (show["first"] if show["second"] else database)
            table = show["second"] or show["first"] or ""
            _check_table(f"{owner}.{table}", database)

    def _check_root(self, root: Node) -> None:
        if root.kind == "Explain":
            # EXPLAIN's own settings, such as `indexes = 1`, change what it prints and nothing else.
            root.children = [child for child in root.children if child.kind != "Set"]
            if [child.kind for child in root.children if child.kind != "Identifier"] != ["SelectWithUnionQuery"]:
                raise denied("This account may only EXPLAIN a SELECT")
        for child in root.children:
            if child.kind == "Identifier" and root.kind not in _NAMED_TABLE_ROOTS:
                check_format(child.name)
            elif child.kind == "Literal":
                raise denied("INTO OUTFILE writes a file on the server; let the client save the answer instead")

    def _check_tree(self, root: Node, database: str) -> None:
        table_expressions: set[int] = set()
        for node in root.walk():
            if node.kind == "Set":
                raise denied("A SETTINGS clause is not allowed here; give settings with the request")
            if node.kind == "ColumnsApplyTransformer":
                raise denied("APPLY is not allowed here; write the function out for each column")
            if node.kind not in _NODES:
                raise denied(f"{node.kind} is not allowed for this account")
            if node.kind == "SelectWithUnionQuery" and node is not root and len(node.children) != 1:
                raise denied("FORMAT and INTO OUTFILE are not allowed inside of a statement")
            if node.kind == "TableIdentifier":
                _check_table(node.name, database)
            elif node.kind == "Identifier":
                self._check_identifier(node)
            elif node.kind == "TableExpression":
                table_expressions.update(id(child) for child in node.children)
            elif node.kind == "Function" and id(node) in table_expressions:
                if node.name.lower() not in TABLE_FUNCTIONS:
                    raise denied(f"The table function {node.name} is not allowed for this account")
            elif node.kind == "Function":
                self._check_function(node.name)
                if _IN.match(node.name):
                    _check_in(node, database)

    def _check_function(self, name: str) -> None:
        lowered = name.lower()
        if lowered in self._allowed or self._is_aggregate(lowered):
            return
        raise denied(f"The function {name} is not allowed for this account")

    def _check_identifier(self, node: Node) -> None:
        """`arrayMap(file, paths)` names a function where a column could stand."""
        last = node.name.rpartition(".")[2].strip("`").lower()
        if last in self._known and last not in self._allowed and not self._is_aggregate(last):
            raise denied(f"The name {node.name} is not allowed for this account: it is a function")

    def _is_aggregate(self, lowered: str) -> bool:
        while lowered not in self._aggregates:
            suffix = next((ending for ending in _COMBINATORS if lowered.endswith(ending)), None)
            if suffix is None or suffix == lowered:
                return False
            lowered = lowered.removesuffix(suffix)
        return True


def allowed_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Those of `settings` that an analyst's session takes over; what only repeats `readonly` falls away.

    Raises:
        ClickHouseError: 164 for a setting that this account may not change.
    """
    taken = {}
    for name, value in settings.items():
        if name == "readonly" and value in READONLY_VALUES:
            continue
        highest = LOWERED_SETTINGS.get(name)
        lower = highest is not None and value.isascii() and value.isdigit() and 0 < int(value) <= highest
        if not lower and name not in FREE_SETTINGS and not name.startswith(FREE_SETTING_FAMILIES):
            raise ClickHouseError(164, "READONLY", f"Cannot modify '{name}' setting in readonly mode")
        taken[name] = value
    return taken


def check_external(tables: Iterable[ExternalTable]) -> None:
    """Raise `ClickHouseError` for a table whose data the engine would evaluate or read with a file's help."""
    for table in tables:
        if table.format.lower() not in EXTERNAL_FORMATS:
            raise denied(f"The format {table.format} is not allowed for an external table of this account")


def _check_table(name: str, database: str) -> None:
    if not _PLAIN_NAME.fullmatch(name):
        raise denied(f"The table {name!r} is not allowed for this account")
    owner, _, _table = name.rpartition(".")
    if owner in {"", database} or name.lower() in SYSTEM_TABLES:
        return
    raise denied(f"This account reads the database {database} only, not {name}")


def _check_in(node: Node, database: str) -> None:
    """`x IN name` reads a table when a table has that name."""
    arguments = node.children[0].children if node.children else []
    for argument in arguments[1:]:
        if argument.kind == "Identifier":
            _check_table(argument.name, database)


def check_format(name: str) -> None:
    """Raise `ClickHouseError` for an output format that could read a file."""
    lowered = name.lower()
    if lowered not in FORMATS and not lowered.startswith(FORMAT_FAMILIES):
        raise denied(f"The format {name} is not allowed for this account")


def read_tree(text: str) -> Node:
    """The tree that EXPLAIN AST printed. Raises `ClickHouseError` unless every node has the children that it says."""
    path: list[Node] = []
    expected: list[tuple[Node, int]] = []
    for line in text.rstrip("\n").split("\n"):
        match = _LINE.match(line)
        depth = len(match["indent"]) if match else 0
        if match is None or depth > len(path) or (depth == 0 and path):
            raise _unreadable()
        kind, _, rest = match["text"].partition(" ")
        node = Node(kind, _ALIAS.sub("", rest))
        expected.append((node, int(match["children"] or 0)))
        del path[depth:]
        if path:
            path[-1].children.append(node)
        path.append(node)
    if any(not node.kind or len(node.children) != count for node, count in expected):
        raise _unreadable()
    return path[0]


def _unreadable() -> ClickHouseError:
    # A quoted name with a line break in it can look like a node of the tree.
    return bad_argument("This statement has names that cannot be checked; use names without line breaks")
