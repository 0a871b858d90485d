"""OpenAPI 3.1 from the declarations of the operations, for /api/v1/openapi.json and the tests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from mgmt_service.access import Entry, Fixed, Named, Operation

_PARAMETER = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "control": {"type": ["string", "null"]},
        "retriable": {"type": "boolean"},
    },
}


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """The document."""
    offered = [operation for operation in operations if operation.api]
    forms = [form for one in offered for form in (one.takes, one.query, one.gives) if _is_form(form)]
    schemas, components = msgspec.json.schema_components(
        list(dict.fromkeys(forms)), ref_template="#/components/schemas/{name}"
    )
    by_form = dict(zip(dict.fromkeys(forms), schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in offered:
        path = "/api/v1" + _PARAMETER.sub(r"{\1}", operation.path).rstrip("/")
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, by_form)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cinnabar management", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": PROBLEM},
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-cinnabar"},
                "token": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
            },
        },
    }


def _is_form(form: Any) -> bool:
    return isinstance(form, type) and issubclass(form, msgspec.Struct)


def _operation(operation: Operation, by_form: dict[Any, Any]) -> dict[str, Any]:
    access = operation.access
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(operation.path)
    ]
    if operation.query is not None:
        parameters += [
            {"name": field.encode_name, "in": "query", "required": field.required, "schema": {}}
            for field in msgspec.structs.fields(operation.query)
        ]
    answer = by_form.get(operation.gives, {})
    media = "application/octet-stream" if operation.gives is bytes else "application/json"
    refusals = {"401": access.entry is not Entry.ANYBODY, "403": True, "404": isinstance(access.scope, Named)}
    refusals |= {"409": True, "422": operation.takes is not None or operation.query is not None, "503": True}
    described: dict[str, Any] = {
        "operationId": operation.endpoint,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": {media: {"schema": answer}}},
            **{
                status: {
                    "description": "Refused; the problem says why.",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for status, possible in refusals.items()
                if possible
            },
        },
        "x-cinnabar-access": {
            "entry": access.entry.value,
            "roles": sorted(role.value for role in access.roles) if access.entry is Entry.ROLES else [],
            "scope": _scope(access.scope),
            "states": sorted(state.label for state in access.states),
            "recent": access.recent,
        },
        "security": [] if access.entry is Entry.ANYBODY else [{"session": [], "token": []}],
    }
    if operation.takes is not None:
        described["requestBody"] = {
            "required": True,
            "content": {
                media: {"schema": by_form[operation.takes]}
                for media in ("application/json", "application/x-www-form-urlencoded")
            },
        }
    return described


def _scope(rule: Any) -> str:
    match rule:
        case Fixed(scope):
            return str(scope)
        case Named(parameter, _):
            return f"of {parameter}"
        case _:
            return "the caller's"
