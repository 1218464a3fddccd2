"""Finding what a sender has and never arrived."""

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from deploy.cli.exports import UnreadableExportError, fetch_export, read_export
from deploy.cli.reconcile import expected_of, headers_of
from deploy.cli.send import RefusedError
from services.ingest.adapters import ADAPTERS
from services.ingest.sources import Source
from services.ingest.submission import Submission
from tests.channels import posted

NOW = datetime(2024, 11, 21, tzinfo=UTC)
KOBO = Source.model_validate({"adapter": "kobo", "auth": {"scheme": "basic", "secret_env": "SALINGJAGA_SECRET_KOBO"}})
ODK = Source.model_validate(
    {
        "adapter": "odk",
        "auth": {"scheme": "static-header", "header": "X-API-Key", "secret_env": "SALINGJAGA_SECRET_ODK"},
    }
)
ODK_ROW = {
    "__id": "uuid:5f1c3c1e-6c0e-4a7b-9a0e-111111111111",
    "__system": {"submissionDate": "2024-11-20T03:00:00.000Z", "submitterName": "App"},
    "kronologi": "Kades membagikan amplop & sembako <di balai desa>",
    "lokasi": {"titik": {"type": "Point", "coordinates": [115.48, -2.33, 0]}},
    "meta": {"instanceID": "uuid:5f1c3c1e-6c0e-4a7b-9a0e-111111111111"},
}


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_what_kobo_exports_has_the_receipt_of_what_its_webhook_posted(tmp_path: Path) -> None:
    body = posted("kobo")
    [read] = ADAPTERS["kobo"].read(body, KOBO.fields)
    arrived = Submission.new(
        source="kobo", adapter="kobo", external_id=read.external_id, content=read.content, body=body, received_at=NOW
    )
    export = written(tmp_path / "kobo.json", {"count": 1, "next": None, "results": [json.loads(body)]})
    assert set(expected_of("kobo", KOBO, read_export(export, "kobo"), NOW)) == {arrived.receipt}


def test_what_odk_exports_has_the_receipt_of_what_its_webhook_posted(tmp_path: Path) -> None:
    body = posted("odk")
    [read] = ADAPTERS["odk"].read(body, ODK.fields)
    arrived = Submission.new(
        source="odk", adapter="odk", external_id=read.external_id, content=read.content, body=body, received_at=NOW
    )
    export = written(tmp_path / "odk.json", {"value": [{**ODK_ROW, "__id": json.loads(body)["id"]}]})
    assert set(expected_of("odk", ODK, read_export(export, "odk"), NOW)) == {arrived.receipt}


def test_an_odk_row_becomes_the_report_that_its_form_was(tmp_path: Path) -> None:
    [exported] = read_export(written(tmp_path / "odk.json", {"value": [ODK_ROW]}), "odk")
    draft = ADAPTERS["odk"].draft(exported.body, ODK.fields)
    assert draft.text == "Kronologi: Kades membagikan amplop & sembako <di balai desa>"
    assert draft.coordinates == (-2.33, 115.48)
    assert exported.submitted_at == datetime(2024, 11, 20, 3, tzinfo=UTC)


def test_the_same_submission_twice_in_an_export_is_expected_once(tmp_path: Path) -> None:
    export = written(tmp_path / "odk.json", {"value": [ODK_ROW, ODK_ROW]})
    assert len(expected_of("odk", ODK, read_export(export, "odk"), NOW)) == 1


@pytest.mark.parametrize(
    ("adapter", "content", "words"),
    [
        ("kobo", "a,b\n1,2", "not JSON"),
        ("kobo", '{"detail": "Not found."}', "`results`"),
        ("odk", "[1, 2]", "list of submissions"),
        ("odk", '{"value": [{"kronologi": "x"}]}', "submission 1: it has no `__id`"),
        ("telegram", "[]", "not of telegram"),
    ],
)
def test_a_file_that_is_no_export_is_refused_with_its_reason(
    tmp_path: Path, adapter: str, content: str, words: str
) -> None:
    path = tmp_path / "export.json"
    path.write_text(content)
    with pytest.raises(UnreadableExportError, match=words):
        read_export(path, adapter)


def test_a_source_is_proven_in_its_own_way() -> None:
    assert headers_of(KOBO, "kobo:rahasia") == {"authorization": "Basic a29ibzpyYWhhc2lh"}
    assert headers_of(ODK, "rahasia") == {"X-API-Key": "rahasia"}
    with pytest.raises(RefusedError, match="SALINGJAGA_SECRET_ODK"):
        headers_of(ODK, "")


def served(pages: dict[str, tuple[int, object]], asked: list[httpx.Request]) -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        status, document = pages[str(request.url)]
        return httpx.Response(status, json=document)

    return httpx.Client(transport=httpx.MockTransport(answer))


def test_an_api_is_read_page_by_page_with_its_token() -> None:
    first, second = "https://kobo.example/data.json", "https://kobo.example/data.json?start=1"
    asked: list[httpx.Request] = []
    pages: dict[str, tuple[int, object]] = {
        first: (200, {"next": second, "results": [{"_uuid": "a"}]}),
        second: (200, {"next": None, "results": [{"_uuid": "b"}]}),
    }
    read = [one for page in fetch_export(served(pages, asked), first, "kobo", "rahasia") for one in page]
    assert [json.loads(one.body)["_uuid"] for one in read] == ["a", "b"]
    assert [request.headers["authorization"] for request in asked] == ["Token rahasia"] * 2


def test_the_token_goes_to_no_other_host() -> None:
    first = "https://odk.example/Submissions"
    asked: list[httpx.Request] = []
    pages: dict[str, tuple[int, object]] = {
        first: (200, {"value": [], "@odata.nextLink": "https://lain.example/Submissions"})
    }
    with pytest.raises(UnreadableExportError, match="lies elsewhere"):
        list(fetch_export(served(pages, asked), first, "odk", "rahasia"))
    assert [str(request.url) for request in asked] == [first]


def test_a_page_that_names_itself_as_the_next_one_ends_the_reading() -> None:
    first = "https://kobo.example/data.json"
    pages: dict[str, tuple[int, object]] = {first: (200, {"next": first, "results": [{"_uuid": "a"}]})}
    assert len(list(fetch_export(served(pages, []), first, "kobo", "rahasia"))) == 1


def test_a_refused_token_is_told_with_its_cure() -> None:
    first = "https://kobo.example/data.json"
    with pytest.raises(UnreadableExportError, match="HTTP 401; check the address and the token"):
        list(fetch_export(served({first: (401, {})}, []), first, "kobo", "rahasia"))
