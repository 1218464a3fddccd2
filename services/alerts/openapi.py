"""The OpenAPI document of the officers' door."""

from typing import Any

import msgspec
from pydantic import TypeAdapter

from services.alerts.inbox import AlertSummary
from services.alerts.order import Act, Order

_REF = "#/components/schemas/{model}"
_ORDER = Order.model_json_schema(ref_template=_REF)
_ALERT = TypeAdapter(AlertSummary).json_schema(mode="serialization", ref_template=_REF)
_PARTS = _ORDER.pop("$defs", {}) | _ALERT.pop("$defs", {})


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _page(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/html": {"schema": {"type": "string"}}}}


def _retry(answer: dict[str, Any]) -> dict[str, Any]:
    header = {"Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}}
    return {**answer, "headers": header}


_REFUSALS = {
    "400": _problem("The body is no JSON, or ended early."),
    "401": _problem("No token, or one that is not accepted."),
    "403": _problem("The link is another alert's, or acts for its own officer only."),
    "404": _problem("Not an alert's id, or links are not in use here."),
    "405": _problem("Acts are posted."),
    "408": _problem("The body came too slowly."),
    "409": _problem("Not possible now: resolved, a silence that is not allowed, or no such finding."),
    "410": _problem("The alert was resolved long ago or never was, or the link has expired."),
    "413": _problem("The body is too large."),
    "415": _problem("The body is not sent as application/json."),
    "422": _problem("Something is missing or has a wrong value; `detail` says what."),
    "429": _retry(_problem("Too many failed tokens from this address.")),
    "503": _retry(_problem("Nothing was done: the store does not answer.")),
}
_PAGE_REFUSALS = {
    "403": _page("The link was altered or cut off, or its officer is not configured any more."),
    "404": _page("Links are not in use here."),
    "410": _page("The link has expired, or the alert was resolved long ago."),
    "429": _retry(_page("Too many failed links from this address.")),
    "503": _retry(_page("The store does not answer.")),
}
_FORM_REFUSALS = {
    "400": _page("The body ended early."),
    "408": _page("The body came too slowly."),
    "409": _page("Not possible now; the page says why."),
    "413": _page("The body is too large."),
    "415": _page("Not a form."),
    "422": _page("Something is missing or has a wrong value; the page says what."),
}

_SUMMARIES: dict[Act, str] = {
    "acknowledge": "Take the alert: nobody is told any more until something graver comes, or nothing follows.",
    "resolve": "Close the alert; those who were told of it are told.",
    "silence": "Send nothing of the alert for a time, at most `silences.longest_hours` of alerting.yaml.",
    "verdict": "Say whether a finding is right.",
}
_PARTICULARS: dict[Act, tuple[str, ...]] = {
    "acknowledge": ("actor", "reason"),
    "resolve": ("actor", "reason"),
    "silence": ("actor", "reason", "until", "hours"),
    "verdict": ("actor", "code", "verdict", "report_id", "note"),
}
_NEEDED: dict[Act, tuple[str, ...]] = {
    "acknowledge": (),
    "resolve": (),
    "silence": ("reason",),
    "verdict": ("code", "verdict"),
}


def _order(act: Act) -> dict[str, Any]:
    properties = {name: _ORDER["properties"][name] for name in _PARTICULARS[act]}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if _NEEDED[act]:
        schema["required"] = list(_NEEDED[act])
    if act == "silence":
        schema["anyOf"] = [{"required": ["until"]}, {"required": ["hours"]}]
    return schema


def _posting(act: Act) -> dict[str, Any]:
    answer = {"application/json": {"schema": {"$ref": "#/components/schemas/Alert"}}}
    return {
        "operationId": act,
        "summary": _SUMMARIES[act],
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
        ],
        "security": [{"token": []}],
        "requestBody": {"content": {"application/json": {"schema": _order(act)}}},
        "responses": {
            "200": {"description": "Done, or done before; the alert as it stands.", "content": answer},
            **_REFUSALS,
        },
    }


_TOKEN = [{"name": "token", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[a-z2-7]{64}$"}}]

_DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Salingjaga: alerts",
        "version": "1",
        "description": (
            "Programs and officers act on alerts. The bearer token is SALINGJAGA_ALERTS_TOKEN (then `actor` is needed) "
            "or the token of a notification's link (then its officer acts, on its alert). The same order again changes "
            "nothing."
        ),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "paths": {
        **{f"/v1/alerts/{{id}}/{act}": {"post": _posting(act)} for act in _SUMMARIES},
        "/a/{token}": {
            "get": {
                "operationId": "showAlert",
                "summary": "The page of a notification's link; looking changes nothing.",
                "parameters": _TOKEN,
                "responses": {"200": _page("The alert, in Indonesian."), **_PAGE_REFUSALS},
            },
            "post": {
                "operationId": "actOnPage",
                "summary": "A form of that page.",
                "parameters": _TOKEN,
                "requestBody": {
                    "required": True,
                    "content": {"application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/Form"}}},
                },
                "responses": {
                    "303": {"description": "Done, or done before; back to the page."},
                    **_FORM_REFUSALS,
                    **_PAGE_REFUSALS,
                },
            },
        },
    },
    "components": {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            **_PARTS,
            "Alert": _ALERT,
            "Form": {
                "type": "object",
                "required": ["act"],
                "properties": {
                    "act": {"enum": list(_SUMMARIES)},
                    **{name: one for name, one in _ORDER["properties"].items() if name != "actor"},
                },
            },
            "Problem": {
                "type": "object",
                "required": ["type", "title", "status"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string", "description": "What to change."},
                },
            },
        },
    },
}

OPENAPI = msgspec.json.encode(_DOCUMENT)
"""The document, encoded."""
