"""The embedded ClickHouse, met as its users meet it: over HTTP, through unmodified clients, and when it dies."""

import asyncio
import datetime as dt
import decimal
import ipaddress
import json
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import pandas as pd
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

OFFICER = ("salingjaga", "kunci 'rahasia' ü")
ANALYST = ("analis", "baca-saja")
START_SECONDS = 60
STOP_SECONDS = 3.0


@dataclass
class Server:
    """The server as a process of its own, on a free port."""

    folder: Path
    port: int = 0
    process: "subprocess.Popen[str] | None" = None
    lines: "queue.Queue[str]" = field(default_factory=queue.Queue)
    http: httpx.Client = field(default_factory=httpx.Client)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        credentials = self.folder / "accounts.json"
        accounts = [
            {"user": OFFICER[0], "password": OFFICER[1], "access": "full"},
            {"user": ANALYST[0], "password": ANALYST[1], "access": "read_only"},
        ]
        credentials.write_text(json.dumps({"accounts": accounts}))
        credentials.chmod(0o600)
        (self.folder / "data").mkdir(exist_ok=True)
        self.process = launch(self.folder / "data", credentials, self.port)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        line = self.lines.get(timeout=START_SECONDS)
        ready = re.search(r"^ready: .* on http://127\.0\.0\.1:(\d+)", line)
        assert ready, line
        self.port = int(ready[1])
        self.http = httpx.Client(timeout=60, trust_env=False, verify=False)

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        lines = self.lines
        for line in self.process.stderr:
            lines.put(line)
        lines.put("")

    def end(self, number: signal.Signals) -> tuple[int, float]:
        """Send a signal; the exit status and how long it took."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(timeout=30), time.monotonic() - started

    def client(self, account: tuple[str, str] = OFFICER, **more: Any) -> Any:
        more = {"database": "salingjaga", "autogenerate_session_id": False, **more}
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username=account[0], password=account[1], **more
        )

    def post(self, sql: str | bytes, account: tuple[str, str] = OFFICER, **params: Any) -> httpx.Response:
        return self.http.post(self.url, content=sql, params=params, auth=account)


def launch(data: Path, credentials: Path, port: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "deploy.embedded.clickhouse", "--data-dir", str(data), "--port", str(port)]
    return subprocess.Popen(
        [*command, "--credentials", str(credentials)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def refusal(data: Path, credentials: Path, port: int) -> str:
    """What a server says that cannot start: one line, status 1."""
    process = launch(data, credentials, port)
    _, said = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 1
    assert said.count("\n") == 1, said
    return said.strip()


def until(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    server.post("CREATE DATABASE salingjaga").raise_for_status()
    server.post(
        "CREATE TABLE salingjaga.report_rows (id UInt64, text String) ENGINE = MergeTree ORDER BY id"
    ).raise_for_status()
    server.post(
        "INSERT INTO salingjaga.report_rows SELECT number, concat('laporan ', toString(number)) FROM numbers(100)"
    )
    server.post("CREATE VIEW salingjaga.reports AS SELECT * FROM salingjaga.report_rows").raise_for_status()
    server.post("CREATE TABLE default.secret (word String) ENGINE = MergeTree ORDER BY word").raise_for_status()
    server.post("INSERT INTO default.secret VALUES ('canary-in-another-database')").raise_for_status()
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server for one test, which may end it and start it again."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture
def table(server: Server) -> Iterator[str]:
    name = f"salingjaga.t_{uuid.uuid4().hex[:12]}"
    yield name
    server.post(f"DROP TABLE IF EXISTS {name}")


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("private") / "canary.txt"
    path.write_text("canary-in-a-file\n")
    return path


class TestClients:
    """clickhouse-connect, as it is."""

    @pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", True, False])
    def test_an_insert_of_many_blocks_arrives_whole_under_every_compression(
        self, server: Server, table: str, compress: str | bool
    ) -> None:
        server.post(f"CREATE TABLE {table} (id UInt64, text String) ENGINE = MergeTree ORDER BY id")
        client = server.client(compress=compress)
        summary = client.insert(table, [[n, f"teks {n}"] for n in range(20_000)], column_names=["id", "text"])
        assert summary.written_rows == 20_000
        assert client.query(f"SELECT count(), uniqExact(id), sum(id) FROM {table}").result_rows == [
            (20_000, 20_000, sum(range(20_000)))
        ]

    def test_every_type_comes_back_as_it_went_in(self, server: Server, table: str) -> None:
        columns = {
            "u": ("UInt256", 2**200),
            "i": ("Int8", -5),
            "f": ("Float64", 1.5),
            "dec": ("Decimal(18, 4)", decimal.Decimal("12.3456")),
            "s": ("String", "ünïcode 'quote' \\ \n\t\0 end"),
            "fs": ("FixedString(3)", b"abc"),
            "lc": ("LowCardinality(String)", "balangan"),
            "lcn": ("LowCardinality(Nullable(String))", None),
            "n": ("Nullable(Int32)", None),
            "d": ("Date", dt.date(2024, 11, 27)),
            "dt": ("DateTime('Asia/Jakarta')", dt.datetime(2024, 11, 27, 1, 2, 3, tzinfo=dt.UTC)),
            "dt64": ("DateTime64(3, 'UTC')", dt.datetime(2024, 11, 27, 1, 2, 3, 456000, tzinfo=dt.UTC)),
            "id": ("UUID", uuid.UUID(int=7)),
            "b": ("Bool", True),
            "e": ("Enum8('open' = 1, 'resolved' = 2)", "resolved"),
            "a": ("Array(LowCardinality(String))", ["x", "y"]),
            "aa": ("Array(Array(Int16))", [[1], [], [2, 3]]),
            "m": ("Map(String, UInt8)", {"a": 1}),
            "t": ("Tuple(UInt8, String)", (1, "x")),
            "ip": ("IPv4", ipaddress.IPv4Address("10.0.0.1")),
        }
        definition = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
        server.post(f"CREATE TABLE {table} ({definition}) ENGINE = MergeTree ORDER BY tuple()").raise_for_status()
        client = server.client(tz_mode="aware")
        client.insert(table, [[value for _, value in columns.values()]], column_names=list(columns))
        back = dict(zip(columns, client.query(f"SELECT * FROM {table}").result_rows[0], strict=True))
        for name, (_, value) in columns.items():
            assert back[name] == value, name

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("String", "it's \"quoted\" `and` \\back\\ \n\t\r ünï ' OR 1=1 --"),
            ("String", ""),
            ("Array(String)", ["it's", "new\nline", "back\\slash", ""]),
            ("Nullable(String)", None),
            ("Int64", -(2**62)),
            ("Float64", 2.5),
            ("UUID", uuid.UUID(int=5)),
            ("Date", dt.date(2024, 2, 29)),
            ("DateTime", dt.datetime(2024, 2, 29, 12, 0, 1)),  # noqa: DTZ001 - as the client returns it
            ("DateTime64(3)", dt.datetime(2024, 2, 29, 12, 0, 1, 250000)),  # noqa: DTZ001
            ("Array(UInt8)", [1, 2, 3]),
            ("Bool", True),
        ],
    )
    def test_a_parameter_arrives_as_it_was_given(self, server: Server, kind: str, value: Any) -> None:
        rows = server.client().query(f"SELECT {{p:{kind}}}", parameters={"p": value}).result_rows
        assert rows == [(value,)]

    def test_parameters_too_long_for_an_address_travel_in_a_form(self, server: Server) -> None:
        words = [f"kata ke-{n} 'kutip'\n" for n in range(5_000)]
        rows = server.client().query(
            "SELECT length({w:Array(String)}), {w:Array(String)}[5000]", parameters={"w": words}
        )
        assert rows.result_rows == [(5_000, words[-1])]

    def test_frames_blocks_and_raw_results_work(self, server: Server, table: str) -> None:
        client = server.client()
        client.command(f"CREATE TABLE {table} (id UInt64, text String) ENGINE = MergeTree ORDER BY id")
        frame = pd.DataFrame({"id": range(500), "text": [f"t{n}" for n in range(500)]})
        client.insert_df(table, frame)
        client.insert(table, [[500, 501], ["x", "y"]], column_names=["id", "text"], column_oriented=True)
        assert client.query_df(f"SELECT * FROM {table} WHERE id < 3 ORDER BY id")["text"].tolist() == ["t0", "t1", "t2"]
        with client.query_row_block_stream("SELECT number, toString(number) FROM numbers(300000)") as blocks:
            assert sum(len(block) for block in blocks) == 300_000
        assert client.raw_query("SELECT 1 AS a", fmt="JSONEachRow") == b'{"a":1}\n'
        assert json.loads(client.raw_query("SELECT 1 AS a FORMAT JSON"))["data"] == [{"a": 1}]
        with client.raw_stream("SELECT number FROM numbers(200000)", fmt="CSV") as stream:
            assert stream.read().count(b"\n") == 200_000
        written = client.raw_insert(table, ["id"], b'{"id": 900}\n{"id": 901}\n', fmt="JSONEachRow")
        assert written.written_rows == 2
        assert client.command(f"SELECT count() FROM {table}") == 504
        assert client.command("SELECT 1, 'b'") == ["1", "b"]
        assert client.query(f"SELECT * FROM {table} LIMIT 0").column_names == ("id", "text")
        assert client.ping()

    def test_a_query_tells_how_much_it_read(self, server: Server) -> None:
        result = server.client().query("SELECT * FROM report_rows")
        assert int(result.summary["read_rows"]) == 100
        assert int(result.summary["result_rows"]) == 100

    def test_a_query_brings_its_own_table(self, server: Server) -> None:
        data = ExternalData(
            file_name="wilayah", data=b"63.11\tBalangan\n64.71\tBalikpapan\n", structure=["kode String", "nama String"]
        )
        for account in (OFFICER, ANALYST):
            rows = server.client(account).query("SELECT nama FROM wilayah ORDER BY kode", external_data=data)
            assert rows.result_rows == [("Balangan",), ("Balikpapan",)]

    def test_errors_carry_their_number(self, server: Server) -> None:
        with pytest.raises(DatabaseError) as caught:
            server.client().query("SELECT * FROM tidak_ada")
        assert caught.value.code == 60

    def test_an_error_behind_rows_already_sent_is_not_read_as_the_end(self, server: Server) -> None:
        sql = "SELECT throwIf(number = 3000000, 'later') FROM numbers(4000000)"
        with pytest.raises(StreamFailureError, match="later"), server.client().query_row_block_stream(sql) as blocks:
            for _ in blocks:
                pass

    def test_what_a_session_sets_holds_for_it_alone(self, server: Server) -> None:
        one, other = (server.client(session_id=uuid.uuid4().hex) for _ in range(2))
        one.command("SET max_block_size = 777")
        assert one.command("SELECT getSetting('max_block_size')") == 777
        assert other.command("SELECT getSetting('max_block_size')") != 777
        assert server.client().command("SELECT getSetting('max_block_size')") != 777

    def test_the_database_of_one_client_is_not_that_of_another(self, server: Server) -> None:
        clients = [server.client(database=name) for name in ("salingjaga", "system", "default")]
        for _ in range(3):
            assert [client.command("SELECT currentDatabase()") for client in clients] == [
                "salingjaga",
                "system",
                "default",
            ]

    async def test_the_asynchronous_client_works_alike(self, server: Server, table: str) -> None:
        client = await clickhouse_connect.get_async_client(
            host="127.0.0.1", port=server.port, username=OFFICER[0], password=OFFICER[1], database="salingjaga"
        )
        try:
            await client.command(f"CREATE TABLE {table} (id UInt64, text String) ENGINE = MergeTree ORDER BY id")
            rows = [[n, f"it's {n}\n"] for n in range(20_000)]
            await client.insert(table, rows, column_names=["id", "text"])
            await client.raw_insert(table, ["id"], b'{"id": 20000}\n', fmt="JSONEachRow")
            counted = await client.query(
                f"SELECT count() FROM {table} WHERE text = {{t:String}} OR id > 19999", parameters={"t": rows[7][1]}
            )
            assert counted.result_rows == [(2,)]
            streamed = 0
            async with await client.query_row_block_stream(f"SELECT * FROM {table}") as blocks:
                async for block in blocks:
                    streamed += len(block)
            assert streamed == 20_001
            with pytest.raises(DatabaseError) as caught:
                await client.query("SELECT tidak_ada")
            assert caught.value.code == 47
        finally:
            await client.close()

    async def test_many_asynchronous_queries_at_once_each_get_their_own_answer(self, server: Server) -> None:
        client = await clickhouse_connect.get_async_client(
            host="127.0.0.1", port=server.port, username=OFFICER[0], password=OFFICER[1], autogenerate_session_id=False
        )
        try:
            answers = await asyncio.gather(*(client.command(f"SELECT {n}") for n in range(60)))
            assert answers == list(range(60))
        finally:
            await client.close()


class TestHttp:
    """The interface as curl sees it."""

    def test_health_pages_need_no_password(self, server: Server) -> None:
        for path in ("", "ping", "replicas_status"):
            assert server.http.get(server.url + path).text == "Ok.\n"
        assert server.http.get(server.url + "tidak").status_code == 404
        assert server.http.put(server.url).status_code == 405

    def test_a_query_may_stand_in_the_address_or_in_the_body(self, server: Server) -> None:
        answer = server.http.get(server.url, params={"query": "SELECT 1"}, auth=OFFICER)
        assert (answer.text, answer.status_code) == ("1\n", 200)
        assert answer.headers["X-ClickHouse-Format"] == "TabSeparated"
        assert answer.headers["X-ClickHouse-Timezone"] == "UTC"
        assert answer.headers["X-ClickHouse-Query-Id"]
        assert answer.headers["X-ClickHouse-Server-Display-Name"]
        assert "read_rows" in json.loads(answer.headers["X-ClickHouse-Summary"])
        assert server.post("SELECT 2").text == "2\n"
        assert server.post(b" + 1", query="SELECT 2").text == "3\n"
        assert server.post("SELECT 4", query_id="saya").headers["X-ClickHouse-Query-Id"] == "saya"

    @pytest.mark.parametrize(
        ("statement", "data"),
        [
            ("INSERT INTO {t} VALUES", b"(1, 'a'), (2, lower('B'))"),
            ("INSERT INTO {t} (id, text) FORMAT TabSeparated", b"1\ta\n2\tb"),
            ("INSERT INTO {t} FORMAT TabSeparated\n", b"1\ta\n2\tb\n"),
            ("insert into {t} /* FORMAT CSV */ format JSONEachRow", b'{"id":1,"text":"a"}{"id":2,"text":"b"}'),
            ("INSERT INTO {t} SETTINGS max_insert_threads=1 FORMAT CSV", b'1,"a"\n2,"b"\n'),
            ("INSERT INTO {t} SELECT number + 1, char(97 + number) FROM numbers(2)", b""),
            ("INSERT INTO {t} (id, text) (SELECT number + 1, char(97 + number) FROM numbers(2))", b""),
        ],
    )
    def test_rows_go_in_with_the_statement_in_the_address_or_before_them(
        self, server: Server, table: str, statement: str, data: bytes
    ) -> None:
        server.post(f"CREATE TABLE {table} (id UInt64, text String) ENGINE = MergeTree ORDER BY id")
        sql = statement.format(t=table)
        assert server.post(data, query=sql).status_code == 200
        assert server.post(sql.rstrip("\n").encode() + b"\n" + data).status_code == 200
        assert server.post(f"SELECT id, text, count() FROM {table} GROUP BY id, text ORDER BY id").text == (
            "1\ta\t2\n2\tb\t2\n"
        )

    def test_values_may_hold_parameters(self, server: Server, table: str) -> None:
        server.post(f"CREATE TABLE {table} (id UInt64, text String) ENGINE = MergeTree ORDER BY id")
        server.post(f"INSERT INTO {table} VALUES (1, {{t:String}})", param_t="it\\'s").raise_for_status()
        assert server.post(f"SELECT text FROM {table} FORMAT TSVRaw").text == "it's\n"

    @pytest.mark.parametrize("way", ["basic", "headers", "address"])
    def test_an_account_may_be_named_in_three_ways(self, server: Server, way: str) -> None:
        headers = {"X-ClickHouse-User": ANALYST[0], "X-ClickHouse-Key": ANALYST[1]} if way == "headers" else {}
        params = {"user": ANALYST[0], "password": ANALYST[1]} if way == "address" else {}
        answer = server.http.post(
            server.url,
            content="SELECT 1",
            headers=headers,
            params=params,
            auth=ANALYST if way == "basic" else None,
        )
        assert answer.text == "1\n"

    @pytest.mark.parametrize("account", [("salingjaga", "salah"), ("tidak-ada", ""), ("default", ""), None])
    def test_a_wrong_password_is_refused(self, server: Server, account: tuple[str, str] | None) -> None:
        answer = server.http.post(server.url, content="SELECT 1", auth=account)
        assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516")

    @pytest.mark.parametrize(
        ("sql", "params", "status", "code"),
        [
            ("SELEC 1", {}, 400, 62),
            ("", {}, 400, 62),
            ("-- nothing", {}, 400, 62),
            ("SELECT 1; SELECT 2", {}, 400, 62),
            ("DROP TABLE IF EXISTS x; SELECT 1", {}, 400, 62),
            ("SELECT * FROM tidak_ada", {}, 404, 60),
            ("SELECT tidak_ada", {}, 404, 47),
            ("SELECT tidak_ada()", {}, 404, 46),
            ("SELECT 1", {"database": "tidak_ada"}, 404, 81),
            ("SELECT 1", {"tidak_ada": "1"}, 404, 115),
            ("SELECT 1", {"max_threads; DROP TABLE x": "1"}, 404, 115),
            ("SELECT 1 FORMAT TidakAda", {}, 404, 73),
            ("SELECT {p:UInt8}", {}, 500, 456),
            ("SELECT {p:UInt8}", {"param_p": "x"}, 500, 457),
            ("SELECT count() FROM numbers(1e12) WHERE NOT ignore(number)", {"max_execution_time": "0.2"}, 408, 159),
            ("SELECT number FROM numbers(100) FORMAT JSON", {"max_result_rows": "10"}, 500, 396),
            ("SELECT 1", {"compress": "1"}, 501, 48),
            ("SELECT 1", {"decompress": "1"}, 501, 48),
            ("SELECT 1", {"role": "r"}, 501, 48),
            ("SELECT 1 INTO OUTFILE '/tmp/keluar'", {}, 501, 48),
            ("INSERT INTO salingjaga.report_rows FROM INFILE '/etc/passwd' FORMAT CSV", {}, 501, 48),
        ],
    )
    def test_errors_have_clickhouse_numbers_and_statuses(
        self, server: Server, sql: str, params: dict[str, str], status: int, code: int
    ) -> None:
        answer = server.post(sql, **params)
        assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
        assert answer.text.startswith(f"Code: {code}. DB::Exception: ")

    def test_a_get_changes_nothing(self, server: Server) -> None:
        for sql in ("DROP TABLE salingjaga.report_rows", "INSERT INTO salingjaga.report_rows VALUES (1, 'x')"):
            answer = server.http.get(server.url, params={"query": sql}, auth=OFFICER)
            assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
        assert server.post("SELECT count() FROM salingjaga.report_rows").text == "100\n"

    def test_totals_extremes_and_result_limits_hold_whatever_the_format(self, server: Server) -> None:
        totals = "SELECT number % 2 AS g, count() FROM numbers(10) GROUP BY g WITH TOTALS ORDER BY g"
        assert server.post(totals).text == "0\t5\n1\t5\n\n0\t10\n"
        assert server.post("SELECT number FROM numbers(3)", extremes=1).text == "0\n1\n2\n\n0\n2\n"
        limited = server.post("SELECT number FROM numbers(100)", max_result_rows=10)
        assert limited.headers["X-ClickHouse-Exception-Code"] == "396"
        within = "SELECT number FROM numbers(100) SETTINGS max_result_rows = 10"
        assert server.post(within).headers["X-ClickHouse-Exception-Code"] == "396"

    def test_settings_and_readonly_of_one_request_stick_to_nothing(self, server: Server, table: str) -> None:
        assert server.post("SELECT getSetting('max_block_size')", max_block_size=99, readonly=1).text == "99\n"
        assert server.post("SELECT getSetting('max_block_size')").text != "99\n"
        assert server.post(f"CREATE TABLE {table} (a UInt8) ENGINE = Memory").status_code == 200

    @pytest.mark.parametrize("name", ["JSON", "JSONCompact", "CSVWithNames", "TabSeparatedWithNamesAndTypes", "XML"])
    def test_formats_with_a_head_are_one_document_however_long(self, server: Server, name: str) -> None:
        sql = "SELECT number AS n FROM numbers(150000)"
        for answer in (server.post(sql, default_format=name), server.post(f"{sql} FORMAT {name} -- FORMAT CSV")):
            assert answer.headers["X-ClickHouse-Format"] == name
            if name.startswith("JSON"):
                assert answer.json()["rows"] == 150_000
            elif name == "XML":
                assert answer.text.count("<?xml") == 1
            else:
                lines = answer.text.splitlines()
                assert lines[0].strip('"') == "n"
                assert lines[-150_000:] == [str(n) for n in range(150_000)]
                assert len(lines) <= 150_002

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
    def test_an_answer_is_compressed_when_both_sides_want_it(self, server: Server, encoding: str) -> None:
        sql = "SELECT number FROM numbers(100000)"
        plain = server.post(sql)
        with httpx.Client(auth=OFFICER, trust_env=False, headers={"Accept-Encoding": encoding}) as client:
            asked = client.post(server.url, content=sql, params={"enable_http_compression": 1})
            not_asked = client.post(server.url, content=sql)
        assert asked.headers["Content-Encoding"] == encoding
        assert "Content-Encoding" not in not_asked.headers
        assert asked.content == not_asked.content == plain.content
        assert asked.num_bytes_downloaded < plain.num_bytes_downloaded / 2

    def test_frames_behind_one_another_are_all_stored(self, server: Server, table: str) -> None:
        import lz4.frame

        server.post(f"CREATE TABLE {table} (id UInt64) ENGINE = MergeTree ORDER BY id")
        frames = [lz4.frame.compress(b"".join(b"%d\n" % n for n in range(start, start + 8192))) for start in (0, 8192)]
        server.http.post(
            server.url,
            content=b"".join(frames),
            params={"query": f"INSERT INTO {table} FORMAT TSV"},
            auth=OFFICER,
            headers={"Content-Encoding": "lz4"},
        ).raise_for_status()
        assert server.post(f"SELECT count(), max(id) FROM {table}").text == "16384\t16383\n"

    def test_a_damaged_body_stores_nothing(self, server: Server, table: str) -> None:
        import zstandard

        server.post(f"CREATE TABLE {table} (id UInt64) ENGINE = MergeTree ORDER BY id")
        whole = zstandard.compress(b"".join(b"%d\n" % n for n in range(100_000)))
        insert = {"query": f"INSERT INTO {table} FORMAT TSV"}
        for body in (whole[:-10], whole[: len(whole) // 2], b"nonsense"):
            answer = server.http.post(
                server.url, content=body, params=insert, auth=OFFICER, headers={"Content-Encoding": "zstd"}
            )
            assert answer.headers["X-ClickHouse-Exception-Code"] == "271"
        unknown = server.http.post(
            server.url, content=whole, params=insert, auth=OFFICER, headers={"Content-Encoding": "br"}
        )
        assert unknown.headers["X-ClickHouse-Exception-Code"] == "89"
        assert server.post(f"SELECT count() FROM {table}").text == "0\n"

    def test_one_bad_row_refuses_the_whole_batch(self, server: Server, table: str) -> None:
        server.post(f"CREATE TABLE {table} (id UInt64) ENGINE = MergeTree ORDER BY id")
        rows = b"".join(b'{"id":%d}\n' % n for n in range(50_000)) + b'{"id":"bukan angka"}\n'
        answer = server.post(rows, query=f"INSERT INTO {table} FORMAT JSONEachRow")
        assert answer.headers["X-ClickHouse-Exception-Code"] == "27"
        assert server.post(f"SELECT count() FROM {table}").text == "0\n"

    def test_a_body_beyond_the_bound_is_refused_before_it_is_read(self, server: Server) -> None:
        import base64

        credentials = base64.b64encode(":".join(OFFICER).encode()).decode()
        head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\nContent-Length: 999999999\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(head.encode() + b"SELECT")
            assert b" 413 " in connection.recv(65536).split(b"\r\n")[0]

    def test_a_query_whose_client_has_gone_is_stopped(self, server: Server) -> None:
        mark = f"/* {uuid.uuid4().hex} */"
        running = f"SELECT count() FROM system.processes WHERE query LIKE '%{mark}%' AND query NOT LIKE '%system.proc%'"
        with pytest.raises(httpx.ReadTimeout):
            server.http.post(
                server.url,
                content=f"SELECT {mark} count() FROM numbers(1e12) WHERE NOT ignore(number)",
                auth=OFFICER,
                timeout=httpx.Timeout(10, read=0.5),
            )
        until(lambda: server.post(running).text == "0\n")


REFUSED = [
    "SELECT file('{path}')",
    "SELECT (SELECT arrayMap(file, ['{path}']))",
    "SELECT arrayMap(`file`, ['{path}'])",
    "SELECT * APPLY(file) FROM (SELECT '{path}' AS p)",
    "SELECT COLUMNS('p') APPLY(x -> file(x)) FROM (SELECT '{path}' AS p)",
    "WITH x -> file(x) AS f SELECT f('{path}')",
    "WITH file('{path}') AS f SELECT f",
    "SELECT FILE('{path}')",
    "SELECT 1 WHERE file('{path}') != ''",
    "SELECT number FROM numbers(3) ORDER BY number WITH FILL FROM length(file('{path}'))",
    "SELECT sum(number) OVER (PARTITION BY file('{path}')) FROM numbers(3)",
    "SELECT quantile(length(file('{path}')))(number) FROM numbers(3)",
    "SELECT * REPLACE (file('{path}') AS number) FROM numbers(1)",
    "SELECT number FROM numbers(1) LIMIT length(file('{path}'))",
    "SELECT number FROM numbers(length(file('{path}')))",
    "SELECT * FROM file('{path}', 'LineAsString')",
    "SELECT * FROM `{path}`",
    "SELECT * FROM '{path}'",
    "SELECT * FROM default.`{path}`",
    "SELECT 1 IN default.secret",
    "SELECT word FROM default.secret",
    "SELECT * FROM (SELECT word FROM default.secret)",
    "SELECT 1 UNION ALL SELECT length(word) FROM default.secret",
    "WITH s AS (SELECT * FROM default.secret) SELECT * FROM s",
    "SELECT (SELECT any(word) FROM default.secret)",
    "SELECT * FROM reports WHERE text IN (SELECT word FROM default.secret)",
    "SELECT 'canary-in-another-database' IN (default.secret)",
    "SELECT in('canary-in-another-database', default.secret)",
    "SELECT * FROM reports JOIN default.secret ON 1 = 1",
    "SELECT * FROM merge('default', 'secret')",
    "SELECT * FROM merge(REGEXP('.*'), 'secret')",
    "SELECT * FROM remote('127.0.0.1', default.secret)",
    "SELECT * FROM cluster('default', default.secret)",
    "SELECT * FROM loop(default.secret)",
    "SELECT * FROM eval('SELECT * FROM default.secret')",
    "SELECT * FROM python('word')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    "SELECT * FROM s3('http://127.0.0.1:1/a/b')",
    "SELECT * FROM executable('/bin/cat', 'TSV', 'a String')",
    "SELECT * FROM sqlite('{path}', 't')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'e String')",
    "SELECT * FROM redis('127.0.0.1:1', 'k', 'k String, v String')",
    "SELECT * FROM hdfs('hdfs://127.0.0.1:1/a', 'CSV', 'a String')",
    "SELECT * FROM azureBlobStorage('http://127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM remoteSecure('127.0.0.1', default.secret)",
    "SELECT * FROM fileCluster('default', '{path}', 'LineAsString')",
    "SELECT * FROM urlCluster('default', 'http://127.0.0.1:1/', 'CSV', 'a String')",
    "SELECT * FROM s3Cluster('default', 'http://127.0.0.1:1/a/b')",
    "SELECT * FROM odbc('DSN=a', 'b', 'c')",
    "SELECT * FROM system.query_log",
    "SELECT * FROM system.grants",
    "SELECT * FROM system.named_collections",
    "SELECT * FROM input('a String')",
    "SELECT * FROM view(SELECT word FROM default.secret)",
    "SELECT * FROM (EXPLAIN SELECT word FROM default.secret)",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT 1))",
    "SELECT * FROM dictionary('d')",
    "SELECT joinGet('default.j', 'a', 1)",
    "SELECT dictGet('default.d', 'a', 1)",
    "SELECT hasColumnInTable('127.0.0.1', 'u', 'p', 'default', 'secret', 'word')",
    "SELECT * FROM system.processes",
    "SELECT * FROM system.users",
    "SELECT * FROM system.server_settings",
    "SELECT * FROM system.disks",
    "SELECT sleep(3)",
    "SELECT sleepEachRow(1) FROM numbers(3)",
    "SELECT getServerPort('http_port')",
    "SELECT aiGenerate('x')",
    "SELECT addressToLine(1)",
    "SELECT 1 INTO OUTFILE '{path}.out'",
    "SELECT 1 INTO OUTFILE '{path}.out' FORMAT CSV",
    "EXPLAIN SELECT 1 INTO OUTFILE '{path}.out'",
    "SELECT 1 FORMAT Template",
    "SELECT 1 FORMAT CapnProto",
    "SELECT 1 SETTINGS max_result_rows = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 FORMAT JSON SETTINGS readonly = 0",
    "SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)",
    "INSERT INTO report_rows VALUES (1, 'x')",
    "INSERT INTO report_rows SELECT 1, 'x'",
    "INSERT INTO FUNCTION file('{path}.out') SELECT 1",
    "WITH 1 AS x INSERT INTO report_rows SELECT x, ''",
    "CREATE TABLE t (a UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE t (a UInt8)",
    "CREATE TABLE t ENGINE = File('CSV', '{path}') AS SELECT 1",
    "CREATE FUNCTION f AS x -> file(x)",
    "DROP TABLE report_rows",
    "TRUNCATE TABLE report_rows",
    "ALTER TABLE report_rows DELETE WHERE 1",
    "DELETE FROM report_rows WHERE 1",
    "UPDATE report_rows SET text = '' WHERE 1",
    "OPTIMIZE TABLE report_rows",
    "RENAME TABLE report_rows TO r",
    "EXCHANGE TABLES report_rows AND reports",
    "DETACH TABLE report_rows",
    "KILL QUERY WHERE 1",
    "SYSTEM FLUSH LOGS",
    "SYSTEM SHUTDOWN",
    "SET readonly = 0",
    "SET max_execution_time = 0",
    "USE default",
    "BACKUP DATABASE salingjaga TO File('{path}.zip')",
    "GRANT ALL ON *.* TO analis",
    "CHECK TABLE report_rows",
    "SHOW PROCESSLIST",
    "SHOW TABLES FROM default",
    "SHOW TABLES WHERE file('{path}') != ''",
    "SHOW COLUMNS FROM default.secret",
    "SHOW COLUMNS FROM secret FROM default",
    "SHOW COLUMNS FROM default.secret FROM salingjaga",
    "SHOW COLUMNS FROM reports WHERE file('{path}') != ''",
    "SHOW CREATE TABLE default.secret",
    "DESCRIBE TABLE default.secret",
    "DESCRIBE file('{path}', 'LineAsString')",
    "DESCRIBE (SELECT file('{path}'))",
    "EXISTS TABLE default.secret",
    "EXPLAIN SELECT file('{path}')",
    "EXPLAIN SELECT word FROM default.secret",
    "EXPLAIN AST INSERT INTO report_rows VALUES (1, 'x')",
    "EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:1', 'a', 'b', 'c', 'd') PARTITION BY 1",
    "SELECT 1; DROP TABLE report_rows",
    "SELECT 1; SELECT file('{path}')",
    "SHOW TABLES; DROP TABLE report_rows",
    "SELECT 1 /* ; */; INSERT INTO report_rows VALUES (1, 'x')",
    "SELECT `a\n  Literal 1`, file('{path}')",
    "SELECT 1 AS `a\n TableIdentifier reports` FROM default.secret",
]

ALLOWED = [
    "SELECT 1",
    "SELECT count(), max(id) FROM reports",
    "SELECT count() FROM salingjaga.report_rows",
    "select r.id, upper(r.text) as judul from reports r where r.id in (1, 2, 3) order by r.id desc limit 2",
    "FROM reports SELECT count()",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "WITH recent AS (SELECT * FROM reports WHERE id > 50) SELECT count() FROM recent",
    "SELECT id, row_number() OVER (PARTITION BY id % 3 ORDER BY id) AS n FROM reports QUALIFY n = 1",
    "SELECT a.id FROM reports AS a LEFT JOIN reports AS b USING (id) WHERE b.text LIKE '%file(%'",
    "SELECT quantiles(0.5, 0.9)(id), sumIf(id, id > 3), uniqExactIf(text, id < 3), argMax(text, id) FROM reports",
    "SELECT countDistinct(id), groupArrayDistinct(id % 2), avgOrNullIf(id, 0), sumMap([1], [2]) FROM reports",
    "SELECT toStartOfInterval(now(), INTERVAL 1 HOUR), dateDiff('day', today(), today() + 3), toDate('2024-11-27')",
    "SELECT arrayMap(x -> x * 2, range(5)), arrayJoin([1, 2]), mapKeys(map('a', 1)), tuple(1, 'a').1",
    "SELECT CASE WHEN id = 1 THEN 'satu' WHEN id = 2 THEN 'dua' ELSE 'lain' END, if(id > 1, 1, 2) FROM reports",
    "SELECT multiIf(id = 1, 'a', id = 2, 'b', 'c'), coalesce(NULL, 1), ifNull(NULL, 2), CAST(id AS Int8) FROM reports",
    "SELECT replaceRegexpAll(text, 'laporan', ''), splitByChar(' ', text), position(text, 'a'), text ILIKE 'L%' "
    "FROM reports",
    "SELECT JSONExtractString('{\"a\":\"b\"}', 'a'), toTypeName(1), formatReadableSize(1024), round(1.5), rand() % 2",
    "SELECT id FROM reports WHERE id = (SELECT max(id) FROM reports) AND EXISTS (SELECT 1 FROM reports)",
    "SELECT id % 2 AS g, count() FROM reports GROUP BY g WITH TOTALS HAVING count() > 1 ORDER BY g",
    "SELECT * EXCEPT (text) FROM reports ORDER BY ALL LIMIT 1 BY id LIMIT 3",
    "SELECT number FROM numbers(5) ORDER BY number WITH FILL TO 10 STEP 1",
    "SELECT id IN reports_ids FROM (SELECT 1 AS id, [1, 2] AS reports_ids)",
    "SELECT 'a (children 3)', 'baris\nbaru', '; DROP TABLE report_rows' -- a comment; with a semicolon",
    "SELECT " + "-(" * 200 + "1" + ")" * 200,
    "SELECT version(), timezone(), currentDatabase(), currentUser()",
    "SELECT name, value, readonly FROM system.settings LIMIT 3",
    "SELECT name FROM system.tables WHERE database = 'salingjaga'",
    "SELECT column_name FROM information_schema.columns WHERE table_schema = 'salingjaga'",
    "SHOW TABLES",
    "SHOW TABLES FROM salingjaga LIKE 'rep%'",
    "SHOW DATABASES",
    "SHOW COLUMNS FROM reports",
    "SHOW CREATE TABLE reports",
    "DESCRIBE TABLE reports",
    "DESC salingjaga.reports FORMAT JSON",
    "EXISTS TABLE reports",
    "EXPLAIN SELECT count() FROM reports",
    "EXPLAIN indexes = 1 SELECT * FROM report_rows WHERE id = 3",
    "EXPLAIN QUERY TREE SELECT 1",
    "SELECT * FROM reports LIMIT 3 FORMAT Pretty",
    "SELECT * FROM reports LIMIT 3 FORMAT Parquet",
    "SELECT * FROM reports LIMIT 3 FORMAT Vertical;",
]


class TestAnalyst:
    """The read-only account."""

    @pytest.mark.parametrize("sql", REFUSED)
    def test_nothing_but_reading_its_own_database_is_allowed(self, server: Server, canary: Path, sql: str) -> None:
        answer = server.post(sql.replace("{path}", str(canary)), ANALYST)
        assert answer.status_code >= 400, answer.text
        assert answer.headers["X-ClickHouse-Exception-Code"] in {"62", "164", "497", "36"}, answer.text
        assert "canary-in" not in answer.text.replace("canary-in-another-database'", "")
        assert [path.name for path in canary.parent.iterdir()] == [canary.name]

    def test_what_was_refused_has_changed_nothing(self, server: Server) -> None:
        assert server.post("SELECT count(), sum(id) FROM salingjaga.report_rows").text == "100\t4950\n"

    @pytest.mark.parametrize("sql", ALLOWED)
    def test_an_analysts_questions_are_answered(self, server: Server, sql: str) -> None:
        answer = server.post(sql, ANALYST)
        assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize(
        "params",
        [
            {"readonly": "0"},
            {"max_execution_time": "0"},
            {"max_execution_time": "3600"},
            {"max_memory_usage": "0"},
            {"max_result_rows": "0"},
            {"result_overflow_mode": "break"},
            {"max_threads": "64"},
            {"allow_introspection_functions": "1"},
            {"format_schema": "/etc/passwd"},
            {"format_template_row": "/etc/passwd"},
            {"output_format_schema": "/tmp/x"},
            {"additional_table_filters": "{'reports': '1'}"},
            {"additional_result_filter": "file('/etc/passwd') = ''"},
            {"database": "system"},
            {"default_format": "Template"},
            {"dialect": "kusto"},
            {"implicit_select": "1"},
        ],
    )
    def test_no_parameter_lifts_a_limit(self, server: Server, params: dict[str, str]) -> None:
        answer = server.post("SELECT 1", ANALYST, **params)
        assert answer.headers.get("X-ClickHouse-Exception-Code") in {"164", "497"}, answer.text

    def test_an_identifier_given_as_a_parameter_is_judged_too(self, server: Server) -> None:
        sql = "SELECT * FROM {d:Identifier}.{t:Identifier}"
        assert server.post(sql, ANALYST, param_d="default", param_t="secret").status_code == 403
        assert server.post(sql, ANALYST, param_d="salingjaga", param_t="reports").status_code == 200
        assert server.post("SELECT 'a' IN {t:Identifier}", ANALYST, param_t="default.secret").status_code >= 400

    def test_a_table_that_it_brings_cannot_evaluate_or_reach_anything(self, server: Server, canary: Path) -> None:
        def bring(structure: str, format_name: str, data: str) -> httpx.Response:
            return server.http.post(
                server.url,
                params={"query": "SELECT * FROM e", "e_structure": structure, "e_format": format_name},
                files={"e": ("e", data.encode())},
                auth=ANALYST,
            )

        assert bring("a String", "TSV", "x\n").text == "x\n"
        for structure, format_name, data in [
            ("a String", "Values", f"(file('{canary}'))"),
            (f"a String DEFAULT file('{canary}')", "TSV", "x"),
            (f"a String) ENGINE = File(CSV, '{canary}') --", "TSV", "x"),
            (f"a Enum8('((' = 1)) ENGINE = File(CSV, '{canary}'))", "TSV", "x"),
            ("a String ALIAS version()", "TSV", "x"),
        ]:
            answer = bring(structure, format_name, data)
            assert answer.status_code >= 400
            assert "canary-in-a-file" not in answer.text

    def test_its_results_time_and_memory_have_limits(self, server: Server) -> None:
        too_many = "SELECT number FROM numbers(1000001)"
        assert "Code: 396" in server.post(too_many, ANALYST).text[-500:]
        assert server.post(too_many, ANALYST, wait_end_of_query=1).headers["X-ClickHouse-Exception-Code"] == "396"
        slow = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(number)"
        assert server.post(slow, ANALYST, max_execution_time=1).headers["X-ClickHouse-Exception-Code"] == "159"
        greedy = server.post("SELECT length(groupArray(toString(number))) FROM numbers(100000000)", ANALYST)
        assert greedy.headers["X-ClickHouse-Exception-Code"] == "241"
        assert server.post("SELECT getSetting('max_execution_time'), getSetting('readonly')", ANALYST).text == "30\t1\n"

    def test_the_clients_connect_and_query_with_it(self, server: Server) -> None:
        client = server.client(ANALYST, database="__default__", autogenerate_session_id=True)
        assert client.query("SELECT count() FROM reports").result_rows == [(100,)]
        assert len(client.query_df("SELECT * FROM reports LIMIT {n:UInt8}", parameters={"n": 5})) == 5

    def test_slow_analysts_hold_up_neither_writers_nor_readers(self, server: Server, table: str) -> None:
        server.post(f"CREATE TABLE {table} (id UInt64) ENGINE = MergeTree ORDER BY id")
        slow = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(number)"
        answers: list[httpx.Response] = []

        def ask() -> None:
            answers.append(server.post(slow, ANALYST, max_execution_time=25))

        analysts = [threading.Thread(target=ask) for _ in range(6)]
        for thread in analysts:
            thread.start()
        running = (
            "SELECT count() FROM system.processes WHERE query LIKE '%1000000000000%' AND query NOT LIKE '%proces%'"
        )
        until(lambda: server.post(running).text == "2\n")
        for n in range(8):
            started = time.monotonic()
            server.post(f"{n}\n", query=f"INSERT INTO {table} FORMAT TSV").raise_for_status()
            assert server.post(f"SELECT count() FROM {table}").text == f"{n + 1}\n"
            assert time.monotonic() - started < 5
        assert not answers, "the analysts' queries should still run"
        server.post("KILL QUERY WHERE query LIKE '%1000000000000%' AND query NOT LIKE '%KILL%' SYNC")
        until(
            lambda: server.post("KILL QUERY WHERE query LIKE '%numbers(1000000000000)%' SYNC") and len(answers) == 6, 60
        )
        for thread in analysts:
            thread.join(10)


class TestDurability:
    """What was acknowledged is there, once, whatever happens."""

    def test_rows_that_a_constraint_refuses_are_not_acknowledged(self, own: Server) -> None:
        server = own
        server.post(
            "CREATE TABLE checked (n UInt32, CONSTRAINT small CHECK n < 10) ENGINE = MergeTree ORDER BY n"
        ).raise_for_status()
        refused = server.post("5\n50\n", query="INSERT INTO checked FORMAT TSV")
        assert refused.headers["X-ClickHouse-Exception-Code"] == "469"
        assert server.post("SELECT count() FROM checked").text == "0\n"

    def test_after_kill_9_every_acknowledged_batch_is_there_and_none_in_part(self, own: Server) -> None:
        server = own
        server.post(
            "CREATE TABLE rows (batch UInt32, n UInt32) ENGINE = MergeTree ORDER BY batch "
            "SETTINGS non_replicated_deduplication_window = 1000"
        ).raise_for_status()
        size = 5_000
        acknowledged: list[int] = []
        numbers = iter(range(1_000_000))
        lock = threading.Lock()

        def insert(batch: int) -> None:
            rows = "".join(f"{batch}\t{n}\n" for n in range(size))
            server.post(
                rows, query="INSERT INTO rows FORMAT TSV", insert_deduplication_token=f"batch-{batch}"
            ).raise_for_status()

        def write() -> None:
            while True:
                with lock:
                    batch = next(numbers)
                try:
                    insert(batch)
                except httpx.HTTPError:
                    return
                acknowledged.append(batch)

        for at_least in (8, 16, 24):
            writers = [threading.Thread(target=write) for _ in range(3)]
            for thread in writers:
                thread.start()
            until(lambda enough=at_least: len(acknowledged) >= enough, 60)
            server.end(signal.SIGKILL)
            for thread in writers:
                thread.join(30)
            server.start()
            stored = {
                int(batch): int(count)
                for batch, count in (
                    line.split("\t")
                    for line in server.post("SELECT batch, count() FROM rows GROUP BY batch").text.splitlines()
                )
            }
            assert set(acknowledged) <= set(stored)
            assert set(stored.values()) == {size}
        # A batch whose acknowledgement was lost is sent again, stored or not.
        attempted = next(numbers)
        for batch in range(attempted):
            insert(batch)
        assert (
            server.post("SELECT count(), uniqExact(batch, n) FROM rows").text
            == f"{attempted * size}\t{attempted * size}\n"
        )

    def test_without_a_token_equal_batches_count_once_where_a_window_is_set(self, server: Server, table: str) -> None:
        server.post(
            f"CREATE TABLE {table} (n UInt32) ENGINE = MergeTree ORDER BY n "
            "SETTINGS non_replicated_deduplication_window = 10"
        )
        for token in ("", "", "satu", "dua", "dua"):
            params = {"insert_deduplication_token": token} if token else {}
            server.post("1\n2\n", query=f"INSERT INTO {table} FORMAT TSV", **params).raise_for_status()
        assert server.post(f"SELECT count() FROM {table}").text == "6\n"

    def test_a_batch_sent_again_counts_once_also_after_a_restart(self, own: Server) -> None:
        server = own
        server.post(
            "CREATE TABLE rows (n UInt32, text String) ENGINE = MergeTree ORDER BY n "
            "SETTINGS non_replicated_deduplication_window = 100"
        ).raise_for_status()
        rows = [[n, "x" * 200] for n in range(40_000)]

        def send(token: str) -> None:
            client = server.client(database="default")
            client.insert("rows", rows, column_names=["n", "text"], settings={"insert_deduplication_token": token})
            lines = b"".join(b'{"n":%d,"text":"%s"}\n' % (n, text.encode()) for n, text in rows)
            client.raw_insert(
                "rows", insert_block=lines, fmt="JSONEachRow", settings={"insert_deduplication_token": token + "-json"}
            )

        send("satu")
        send("satu")
        assert server.post("SELECT count() FROM rows").text == "80000\n"
        assert server.end(signal.SIGTERM)[0] == 0
        server.start()
        send("satu")
        assert server.post("SELECT count() FROM rows").text == "80000\n"
        send("dua")
        assert server.post("SELECT count() FROM rows").text == "160000\n"

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_stops_at_once_while_queries_run_and_keeps_its_data(self, own: Server, number: signal.Signals) -> None:
        server = own
        server.post("CREATE TABLE kept (n UInt32) ENGINE = MergeTree ORDER BY n").raise_for_status()
        server.post("INSERT INTO kept VALUES (7)").raise_for_status()
        slow = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(number)"

        def ask(account: tuple[str, str]) -> None:
            try:
                server.post(slow, account)
            except httpx.HTTPError:
                return

        server.post("CREATE DATABASE salingjaga").raise_for_status()
        askers = [threading.Thread(target=ask, args=(account,)) for account in (OFFICER, OFFICER, ANALYST)]
        for thread in askers:
            thread.start()
        until(lambda: server.post("SELECT count() FROM system.processes WHERE elapsed > 0.1").text == "3\n")
        status, seconds = server.end(number)
        assert status == 0
        assert seconds < STOP_SECONDS
        for thread in askers:
            thread.join(10)
        server.start()
        assert server.post("SELECT n FROM kept").text == "7\n"
        status, seconds = server.end(number)
        assert (status, seconds < STOP_SECONDS) == (0, True)


class TestStart:
    """What it says when it cannot."""

    def test_a_folder_that_another_process_holds(self, server: Server) -> None:
        said = refusal(server.folder / "data", server.folder / "accounts.json", 0)
        assert "is in use by another process" in said
        assert server.post("SELECT 1").text == "1\n"

    def test_a_port_in_use(self, server: Server, tmp_path: Path) -> None:
        said = refusal(tmp_path, server.folder / "accounts.json", server.port)
        assert said == f"Port {server.port} on 127.0.0.1 is in use; stop what uses it or choose another."
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_missing(self, server: Server, tmp_path: Path) -> None:
        said = refusal(tmp_path / "tidak-ada", server.folder / "accounts.json", 0)
        assert said.endswith("does not exist; create it or name another with --data-dir.")

    def test_a_folder_that_cannot_be_written(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "store").write_text("in the way")
        said = refusal(tmp_path, server.folder / "accounts.json", 0)
        assert str(tmp_path) in said

    def test_a_disk_that_is_full(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "engine.xml").symlink_to("/dev/full")
        said = refusal(tmp_path, server.folder / "accounts.json", 0)
        assert said == f"The disk that holds {tmp_path} is full; free some space and start again."

    def test_credentials_that_others_can_read(self, server: Server, tmp_path: Path) -> None:
        credentials = tmp_path / "accounts.json"
        credentials.write_text((server.folder / "accounts.json").read_text())
        credentials.chmod(0o644)
        assert "is open to other users" in refusal(tmp_path, credentials, 0)

    def test_credentials_that_are_wrong(self, tmp_path: Path) -> None:
        credentials = tmp_path / "accounts.json"
        credentials.touch(mode=0o600)
        for text, complaint in [
            ("{", "is wrong at the file"),
            ('{"accounts": []}', "is wrong at accounts"),
            ('{"accounts": [{"user": "a", "password": "rahasia123", "access": "root"}]}', "accounts.0.access"),
        ]:
            credentials.write_text(text)
            said = refusal(tmp_path, credentials, 0)
            assert complaint in said
            assert "rahasia123" not in said
        assert "cannot be read" in refusal(tmp_path, tmp_path / "tidak-ada.json", 0)
