"""The packet of an incident for Bawaslu's Form A (Formulir Model A, a supervisor's record of what was found).

Built from what analysts see: masked texts, no reporter, and no receipt, which is the reporter's own key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from deploy.handoff.chain import chained, digest, first_break
from shared.calendar import Calendar, Deadline
from shared.contracts import Kind, Regime
from shared.requirements import Shown, Standing, standing_of

FORMAT = "salingjaga-packet/1"

Row = Mapping[str, Any]


class NotAPacketError(Exception):
    """A document that is no packet; the message says why."""


def packet_of(
    reports: Sequence[Row],
    history: Sequence[Row],
    verdicts: Sequence[Row],
    *,
    calendar: Calendar,
    code_names: Mapping[str, str],
    time_zone: str,
    officer: str,
    made_at: datetime,
    report_id: UUID | None = None,
) -> dict[str, Any]:
    """The packet of one incident, as JSON values.

    Args:
        reports: rows of the view `reports` of the incident, at least one.
        history: rows of `alert_events` of the alerts that rest on them.
        verdicts: rows of `verdicts` about them.
        calendar: the terms of law.
        code_names: Indonesian names of the risk codes.
        time_zone: IANA zone of the place.
        officer: who makes the packet; may be empty, and is then written by hand.
        made_at: when.
        report_id: the report that the case is told by; default the one received first.

    The event counts as known from the first report of the incident on.
    """
    reports = sorted(reports, key=lambda row: (row["received_at"], str(row["report_id"])))
    lead = next((row for row in reports if row["report_id"] == report_id), reports[0])
    standing = _standing(lead, reports[0]["received_at"], calendar, time_zone)
    case = {
        "made_at": _time(made_at),
        "officer": officer,
        "form": standing.form,
        "report_id": str(lead["report_id"]),
        "incident_id": str(lead["incident_id"]),
        "regime": str(lead["regime"]),
        "stage": str(lead["stage"]),
        "time_zone": time_zone,
        "occurred_at": _time(lead["occurred_at"]),
        "known_at": _time(standing.known_at),
        "place": {
            "region_code": str(lead["region_code"]),
            "region_name": str(lead["region_name"]),
            "district_code": str(lead["district_code"]),
            "district_name": str(lead["district_name"]),
        },
        "title": str(lead["title"]),
        "description": str(lead["text"]),
        "notes": list(lead["notes"]),
        "kind": str(lead["kind"]),
        "status": str(lead["status"]),
        "severity": str(lead["severity"]),
        "violations": _findings(lead, code_names),
        "corroborations": len(reports) - 1,
        "distinct_senders": len({row["sender"] for row in reports if row["sender"]}),
        "requirements": [asdict(one) for one in standing.requirements],
        "legal_clock": {
            "if_known_when_first_reported": _deadline(standing.clock),
            "if_known_when_it_happened": _deadline(standing.earliest) if standing.earliest else None,
        },
    }
    chain = chained(
        [
            ("case", {"sha256": digest(case)}),
            *(("report", _report(row, code_names)) for row in reports),
            *(("alert_event", _event(row)) for row in sorted(history, key=_order)),
            *(("verdict", _verdict(row)) for row in sorted(verdicts, key=lambda row: row["at"])),
        ]
    )
    return {"format": FORMAT, "case": case, "chain": chain, "head": chain[-1]["hash"]}


def fault_of(document: object) -> str:
    """Where a packet does not hold; empty when nothing in it was altered.

    Raises:
        NotAPacketError: it is no packet at all.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise NotAPacketError(f"not a packet: `format` is not {FORMAT}")
    chain, case = document.get("chain"), document.get("case")
    if set(document) != {"format", "case", "chain", "head"} or not isinstance(chain, list) or not chain:
        raise NotAPacketError("not a whole packet: it has `format`, `case`, `chain` and `head`, and nothing else")
    if broken := first_break(chain):
        return f"entry {broken.position} {broken.reason}"
    if chain[-1]["hash"] != document["head"]:
        return f"the chain ends with entry {len(chain) - 1}, which is not the head: entries were cut off or added"
    try:
        if chain[0]["kind"] != "case" or chain[0]["content"] != {"sha256": digest(case)}:
            return "the case sheet (`case`) was altered; the chain of evidence and history holds"
    except (ValueError, RecursionError):
        return "the case sheet (`case`) was altered; it holds what a packet never holds"
    return ""


def _standing(row: Row, known_at: datetime, calendar: Calendar, time_zone: str) -> Standing:
    shown = Shown(
        regime=Regime(row["regime"]),
        received_at=row["received_at"],
        occurred_at=row["occurred_at"],
        reporter_known=bool(row["sender"]),
        region_code=row["region_code"],
        district_code=row["district_code"],
        text=row["text"],
        kind=Kind(row["kind"]),
        elements_seen={element for some in row["findings.elements_seen"] for element in some},
        elements_missing={element for some in row["findings.elements_missing"] for element in some},
        attachments=len(row["attachments"]),
    )
    return standing_of(shown, calendar, known_at=known_at, time_zone=time_zone)


def _findings(row: Row, code_names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "code": str(code),
            "name": code_names.get(code, str(code)),
            "risk": round(float(row["findings.risk"][place]), 4),
            "severity": str(row["findings.severity"][place]),
            "rule": str(row["findings.rule"][place]),
            "evidence": [
                {"start": start, "end": end, "text": text}
                for start, end, text in zip(
                    row["findings.evidence_start"][place],
                    row["findings.evidence_end"][place],
                    row["findings.evidence"][place],
                    strict=True,
                )
            ],
            "elements": {
                "seen": list(row["findings.elements_seen"][place]),
                "missing": list(row["findings.elements_missing"][place]),
            },
            "norms": [
                {"citation": citation, "verified": bool(verified)}
                for citation, verified in zip(
                    row["findings.norms"][place], row["findings.norms_verified"][place], strict=True
                )
            ],
        }
        for place, code in enumerate(row["findings.code"])
    ]


def _report(row: Row, code_names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "report_id": str(row["report_id"]),
        "source": str(row["source"]),
        "received_at": _time(row["received_at"]),
        "occurred_at": _time(row["occurred_at"]),
        "title": row["title"],
        "text": row["text"],
        "url": row["url"],
        "attachments": list(row["attachments"]),
        "attachment_hashes": list(row["attachment_hashes"]),
        "notes": list(row["notes"]),
        "findings": _findings(row, code_names),
        "reason": row["reason"],
        "classified_at": _time(row["classified_at"]),
        "rule_pack_version": str(row["rule_pack_version"]),
        "model_version": str(row["model_version"]),
    }


def _event(row: Row) -> dict[str, Any]:
    return {
        "alert_id": str(row["alert_id"]),
        "sequence": row["sequence"],
        "at": _time(row["at"]),
        "event": str(row["event"]),
        "state": str(row["state"]),
        "actor": row["actor"],
        "reason": row["reason"],
    }


def _verdict(row: Row) -> dict[str, Any]:
    return {
        "report_id": str(row["report_id"]),
        "code": str(row["code"]),
        "verdict": str(row["verdict"]),
        "officer_id": str(row["officer_id"]),
        "note": row["note"],
        "at": _time(row["at"]),
    }


def _order(row: Row) -> tuple[str, int]:
    return str(row["alert_id"]), row["sequence"]


def _deadline(deadline: Deadline) -> dict[str, Any]:
    return deadline.model_dump(mode="json")


def _time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
