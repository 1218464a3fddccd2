"""`salingjaga packet`: a case for Bawaslu's Form A as JSON and as a page to print; `packet verify` checks one."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.console import err, fail, out, printable
from deploy.cli.query import run_query
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption, Target, find_target
from deploy.handoff.packet import NotAPacketError, fault_of, packet_of
from deploy.handoff.page import page_of
from services.alerts.zones import zone_info, zone_of
from services.classify.pack import RulePack
from shared.bus.receipts import parse_receipt
from shared.calendar import Calendar
from shared.settings import get_settings

MOST_REPORTS = 500
"""Reports of one incident in one packet; a wave of forwarded messages beyond it adds paper and no evidence."""

# Reports are found by their key, which the inner query reads narrow columns for: FINAL over whole rows would read all.
# No reporter and no receipt is asked for; `sender`, a keyed hash, is counted and not passed on.
_REPORTS = """
SELECT report_id, incident_id, source, received_at, occurred_at, title, text, region_code, region_name, district_code,
    district_name, regime, stage, kind, status, severity, findings.code, findings.risk, findings.severity,
    findings.rule, findings.evidence, findings.evidence_start, findings.evidence_end, findings.elements_seen,
    findings.elements_missing, findings.norms, findings.norms_verified, reason, sender, url, attachments,
    attachment_hashes, notes, rule_pack_version, model_version, classified_at
FROM report_rows FINAL
WHERE report_id IN (SELECT report_id FROM report_rows WHERE incident_id = {incident:UUID})
    AND incident_id = {incident:UUID}
ORDER BY report_id != {lead:UUID}, received_at, report_id LIMIT {most:UInt32}
"""
_BY_ID = "SELECT report_id, incident_id FROM report_rows FINAL WHERE report_id = {id:UUID}"
_BY_RECEIPT = """
SELECT report_id, incident_id FROM report_rows FINAL
WHERE report_id IN (
    SELECT report_id FROM report_rows WHERE receipt = {receipt:String}
    UNION ALL SELECT report_id FROM report_rows WHERE has(parts, {receipt:String})
)
"""
_BY_INCIDENT = """
SELECT report_id, incident_id FROM report_rows FINAL
WHERE report_id IN (SELECT report_id FROM report_rows WHERE incident_id = {id:UUID}) AND incident_id = {id:UUID}
ORDER BY received_at, report_id LIMIT 1
"""
_HISTORY = """
SELECT alert_id, sequence, at, event, state, actor, reason FROM alert_events
WHERE alert_id IN (SELECT alert_id FROM alert_events WHERE hasAny(report_ids, {reports:Array(UUID)}))
"""
_VERDICTS = """
SELECT report_id, code, verdict, officer_id, note, at FROM verdicts WHERE has({reports:Array(UUID)}, report_id)
"""


def packet(
    subject: Annotated[
        str | None, typer.Argument(metavar="REPORT_ID|RECEIPT|verify", help="The report, or `verify` and a FILE.")
    ] = None,
    file: Annotated[Path | None, typer.Argument(help="With `verify`: the packet as JSON.")] = None,
    incident: Annotated[str, typer.Option(help="The incident instead of one of its reports.")] = "",
    officer: Annotated[str, typer.Option(help="Who hands over; left open for the pen when not given.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write the page to print (the browser makes the PDF).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The packet as one JSON document.")] = False,
    head: Annotated[str, typer.Option(help="With `verify`: the last hash as it stands on the paper.")] = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Make the packet of a report for Bawaslu's Form A, or verify one."""
    if subject == "verify":
        if file is None:
            raise typer.BadParameter("name the file: salingjaga packet verify FILE")
        verify(file, head)
        return
    if file is not None or bool(subject) == bool(incident):
        raise typer.BadParameter("give a report's id or receipt, or --incident ID, or verify FILE")
    document = _made(find_target(data_dir), subject or "", incident, officer)
    if html:
        try:
            html.write_text(page_of(document), encoding="utf-8")
        except OSError as error:
            fail(f"{html}: {error.strerror}")
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    else:
        _print(document, html)


def verify(file: Path, head: str) -> None:
    """Say whether a packet is as it was made; leaves with status 1 and the first place that is not."""
    try:
        document = json.loads(file.read_bytes())
        fault = fault_of(document)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    except (ValueError, RecursionError):
        fail(f"{file}: not JSON; the packet is what `salingjaga packet ... --json` printed, not its page")
    except NotAPacketError as error:
        fail(f"{file}: {error}")
    if fault:
        fail(f"{file}: {fault}")
    if head and head.strip().lower() != document["head"]:
        fail(
            f"{file}: agrees with itself, and is not the packet whose last hash is {head}: "
            f"its own is {document['head']}"
        )
    out.print(f"{len(document['chain'])} entries hold; last hash {document['head']}", highlight=False, soft_wrap=True)
    if not head:
        out.print("Compare it with the paper, or give it as --head.")


def _made(target: Target, subject: str, incident: str, officer: str) -> dict[str, Any]:
    report_id, incident_id = _found(target, subject, incident)
    reports = _rows(target, _REPORTS, {"incident": str(incident_id), "lead": str(report_id), "most": MOST_REPORTS + 1})
    if len(reports) > MOST_REPORTS:
        reports = reports[:MOST_REPORTS]
        err.print(f"The incident has more than {MOST_REPORTS} reports; the packet holds the first {MOST_REPORTS}.")
    ids = {"reports": [str(row["report_id"]) for row in reports]}
    region = next((row["region_code"] for row in reports if row["report_id"] == report_id), "")
    return packet_of(
        reports,
        _rows(target, _HISTORY, ids),
        _rows(target, _VERDICTS, ids),
        calendar=Calendar.load(get_settings().config_file("calendar.yaml")),
        code_names={rule.code: rule.name for rule in RulePack.load().codes.codes},
        time_zone=zone_info(zone_of(region)).key,
        officer=officer,
        made_at=datetime.now(UTC),
        report_id=report_id,
    )


def _found(target: Target, subject: str, incident: str) -> tuple[UUID, UUID]:
    if receipt := parse_receipt(subject):
        found = _rows(target, _BY_RECEIPT, {"receipt": receipt})
    else:
        try:
            id_ = UUID(incident or subject)
        except ValueError:
            fail(f"{incident or subject!r} is neither an id nor a receipt (SJ-XXXX-XXXX-XXXX-XXXX)")
        found = _rows(target, _BY_INCIDENT if incident else _BY_ID, {"id": str(id_)})
    if not found:
        fail(
            f"No stored report of {incident or subject}. A report stands in ClickHouse some seconds after its receipt; "
            "how far it is: GET /v1/receipts/RECEIPT"
        )
    return found[0]["report_id"], found[0]["incident_id"]


def _rows(target: Target, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns, rows = run_query(target, sql, parameters)
    return [dict(zip(columns, map(_aware, row), strict=True)) for row in rows]


def _aware(value: Any) -> Any:
    # The driver gives times of a UTC column without their zone.
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _print(document: Mapping[str, Any], html: Path | None) -> None:
    case = document["case"]
    table = Table("syarat", "keadaan", "keterangan")
    for one in case["requirements"]:
        table.add_row(one["name"], str(one["answer"]), Text(printable(one["why"])))
    out.print(f"{case['form']} {case['report_id']}, {case['corroborations']} corroborations", highlight=False)
    out.print(table)
    clock = case["legal_clock"]["if_known_when_first_reported"]
    out.print(f"Complaint possible until {clock['due_at']} ({clock['citation']})", highlight=False)
    out.print(f"Last hash {document['head']}", highlight=False, soft_wrap=True)
    if html:
        out.print(f"Page written to {html}; print it from a browser, or save it there as PDF.", highlight=False)
