"""The OpenAPI document of the webhook."""

from typing import Any

import msgspec

from services.ingest.adapters.json_report import JsonReport

_SCHEMA = JsonReport.model_json_schema(ref_template="#/components/schemas/{model}")
_PARTS = _SCHEMA.pop("$defs", {})


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _retry(description: str) -> dict[str, Any]:
    header = {"Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}}
    return {**_problem(description), "headers": header}


_REFUSALS = {
    "400": _problem("The body is not of the format at all."),
    "401": _problem("The signature is missing, too old, or does not fit the raw body."),
    "404": _problem("No source of that name."),
    "405": _problem("Only POST is answered here."),
    "408": _problem("The body came too slowly."),
    "413": _problem("The body is too large."),
    "415": _problem("Wrong media type or content encoding."),
    "422": _problem("The report lacks something or has a wrong value; `errors` names each place."),
    "429": _retry("Too many failed signatures from this address."),
    "503": _retry("Not kept: overloaded, over the source's rate, or the store does not answer. Try again later."),
}
_SOURCE = {"name": "source", "in": "path", "required": True, "schema": {"type": "string"}, "description": "Its name."}
_SIGNED: list[dict[str, list[str]]] = [{"webhookId": [], "webhookTimestamp": [], "webhookSignature": []}]


def _header(name: str, description: str) -> dict[str, str]:
    return {"type": "apiKey", "in": "header", "name": name, "description": description}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


_DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Salingjaga: reports",
        "version": "1",
        "description": (
            "Programs sign after the Standard Webhooks specification (https://www.standardwebhooks.com). Sources of "
            "other adapters (KoboToolbox, WhatsApp, Twilio and others) post what they always post and prove themselves "
            "their own way; what of theirs is not understood is accepted and put aside."
        ),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "paths": {
        "/v1/reports/{source}": {
            "post": {
                "operationId": "postReport",
                "summary": "Hand in one report in the source's own format.",
                "parameters": [_SOURCE],
                "security": _SIGNED,
                "requestBody": {
                    "required": True,
                    "content": {
                        **_json({"$ref": "#/components/schemas/Report"}),
                        "application/x-www-form-urlencoded": {
                            "schema": {"type": "object", "description": "A message (Twilio, SMS gateways)."}
                        },
                        "text/plain": {"schema": {"type": "string", "description": "A news page (article sources)."}},
                        "text/html": {"schema": {"type": "string", "description": "A news page (article sources)."}},
                    },
                },
                "responses": {
                    "200": {"description": "Kept durably, or nothing to keep; in the words its service expects."},
                    "202": {
                        "description": "Kept durably.",
                        "content": _json({"$ref": "#/components/schemas/Accepted"}),
                    },
                    **_REFUSALS,
                },
            },
            "get": {
                "operationId": "getReport",
                "summary": "An SMS gateway's message as a query, or the handshake of a WhatsApp source.",
                "parameters": [_SOURCE],
                "responses": {
                    "200": {"description": "Kept durably, or the challenge."},
                    "401": _REFUSALS["401"],
                    "404": _REFUSALS["404"],
                    "405": _problem("This source takes nothing by GET."),
                    "429": _REFUSALS["429"],
                    "503": _REFUSALS["503"],
                },
            },
        },
        "/v1/reports/{source}/{secret}": {
            "post": {
                "operationId": "postReportWithSecret",
                "summary": "The same for a sender that can prove itself only by a secret in the URL.",
                "parameters": [_SOURCE, {**_SOURCE, "name": "secret", "description": "The source's secret."}],
                "responses": {
                    "200": {"description": "Kept durably, or nothing to keep."},
                    "202": {"description": "Kept durably."},
                    **_REFUSALS,
                },
            }
        },
        "/v1/reports/{source}/batch": {
            "post": {
                "operationId": "postBatch",
                "summary": "Hand in many reports, one a line; good lines are kept, bad ones are named.",
                "parameters": [_SOURCE],
                "security": _SIGNED,
                "requestBody": {
                    "required": True,
                    "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
                },
                "responses": {
                    "202": {
                        "description": "The good lines are kept durably.",
                        "content": _json({"$ref": "#/components/schemas/BatchAccepted"}),
                    },
                    **_REFUSALS,
                },
            }
        },
        "/v1/receipts/{receipt}": {
            "get": {
                "operationId": "getReceipt",
                "summary": "How far a report has come; nothing about its content.",
                "parameters": [
                    {"name": "receipt", "in": "path", "required": True, "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {
                        "description": "The receipt is known.",
                        "content": _json({"$ref": "#/components/schemas/ReceiptState"}),
                    },
                    "404": _problem("Not a receipt, or unknown."),
                    "503": _retry("Cannot look now."),
                },
            }
        },
    },
    "components": {
        "securitySchemes": {
            "webhookId": _header("webhook-id", "Your id of this request."),
            "webhookTimestamp": _header("webhook-timestamp", "Seconds since 1970."),
            "webhookSignature": _header("webhook-signature", "v1, and base64 HMAC-SHA256 of `id.timestamp.body`."),
        },
        "schemas": {
            "Report": _SCHEMA,
            **_PARTS,
            "Accepted": {
                "type": "object",
                "required": ["receipt", "status_url"],
                "properties": {
                    "receipt": {"type": "string"},
                    "status_url": {"type": "string"},
                    "repeated": {"type": "boolean", "description": "True when it was kept before."},
                },
            },
            "BatchAccepted": {
                "type": "object",
                "required": ["accepted", "repeated", "rejected", "receipts", "errors"],
                "properties": {
                    "accepted": {"type": "integer", "description": "Lines kept, repetitions included."},
                    "repeated": {"type": "integer", "description": "Lines among them that were kept before."},
                    "rejected": {"type": "integer"},
                    "receipts": {
                        "type": "array",
                        "items": {"type": ["string", "null"]},
                        "description": "One for each line that is not blank; null where it was rejected.",
                    },
                    "errors": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "line": {"type": "integer", "description": "From 1."},
                                "title": {"type": "string"},
                                "errors": {"$ref": "#/components/schemas/Problem/properties/errors"},
                            },
                        },
                    },
                },
            },
            "ReceiptState": {
                "type": "object",
                "required": ["receipt", "stage", "message"],
                "properties": {
                    "receipt": {"type": "string"},
                    "stage": {"enum": ["received", "normalised", "assessed", "archived", "quarantined"]},
                    "message": {"type": "string", "description": "For the reporter, in Indonesian."},
                },
            },
            "Problem": {
                "type": "object",
                "required": ["title", "status"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "errors": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
                        },
                    },
                },
            },
        },
    },
}

OPENAPI = msgspec.json.encode(_DOCUMENT)
"""The document, encoded."""
