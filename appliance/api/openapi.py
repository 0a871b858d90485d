"""OpenAPI 3.1 out of the endpoint table. Served at /v1/openapi.json, and the source of the reference in docs/api.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from appliance.api.endpoints import Body, Endpoint, Parameter
from appliance.api.errors import (
    AddressTooLong,
    BadCertificateHeader,
    Busy,
    HeadersTooLarge,
    MethodNotAllowed,
    RequestTimeout,
    StateForbids,
    TooLarge,
    TooManyRequests,
    UnknownCaller,
    UnsupportedMediaType,
    UnsupportedVersion,
)
from appliance.box.settings import LimitSettings
from appliance.box.states import STATES
from appliance.calls.problems import Problem
from appliance.errors import BadRequest, CinnabarError, InvalidMember

COMMON_ERRORS: tuple[type[CinnabarError], ...] = (
    BadRequest, RequestTimeout, HeadersTooLarge, StateForbids, Busy, CinnabarError
)  # fmt: skip
"""Errors that every endpoint can meet."""
ANY_REQUEST: tuple[type[CinnabarError], ...] = (
    MethodNotAllowed, AddressTooLong, TooManyRequests, UnsupportedVersion
)  # fmt: skip
"""Errors of requests that reach no endpoint."""
CALLER_ERRORS: tuple[type[CinnabarError], ...] = (UnknownCaller, BadCertificateHeader)
BODY_ERRORS: tuple[type[CinnabarError], ...] = (TooLarge, UnsupportedMediaType)
PROBLEM_MEDIA = "application/problem+json"


def errors_of(endpoint: Endpoint) -> list[type[CinnabarError]]:
    """Every error that an endpoint may answer, without repetition, by status."""
    errors = [*endpoint.errors, *COMMON_ERRORS]
    if "applications" in endpoint.listeners:
        # Also where no caller is needed: the front always brings a certificate there, and an unknown one is refused.
        errors += CALLER_ERRORS
    if endpoint.takes:
        errors += BODY_ERRORS
    if endpoint.query or any(body.schema is not None for body in endpoint.takes):
        errors.append(InvalidMember)
    return sorted(dict.fromkeys(errors), key=lambda error: (error.status, error.code))


def _schema_types(endpoints: Iterable[Endpoint]) -> list[type]:
    types: dict[type, None] = {Problem: None}
    for endpoint in endpoints:
        for body in [*endpoint.takes, *(body for answer in endpoint.answers for body in answer.bodies)]:
            if body.schema is not None:
                types[body.schema] = None
    return list(types)


def _content(bodies: Iterable[Body], references: dict[type, dict[str, Any]]) -> dict[str, Any]:
    return {body.media_type: {"schema": references[body.schema]} if body.schema is not None else {} for body in bodies}


def _parameter(parameter: Parameter, where: str) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": where,
        "required": where == "path",
        "description": parameter.description,
        "schema": {**parameter.schema, "example": parameter.example}
        | ({"pattern": f"^{parameter.pattern}$"} if parameter.schema.get("type") == "string" else {}),
    }


IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A UUIDv7 of the application's making. The same key with the same request is answered as before.",
    "schema": {
        "type": "string",
        "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    },
}


def _operation(endpoint: Endpoint, limits: LimitSettings, references: dict[type, dict[str, Any]]) -> dict[str, Any]:
    parameters = [_parameter(parameter, "path") for parameter in endpoint.parameters]
    parameters += [_parameter(parameter, "query") for parameter in endpoint.query]
    if endpoint.idempotent:
        parameters.append(IDEMPOTENCY_KEY)
    responses: dict[str, Any] = {}
    for answer in endpoint.answers:
        response: dict[str, Any] = {"description": answer.description}
        if answer.bodies:
            response["content"] = _content(answer.bodies, references)
        if answer.headers:
            response["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
            }
        responses[str(answer.status)] = response
    by_status: dict[int, list[type[CinnabarError]]] = {}
    for error in errors_of(endpoint):
        by_status.setdefault(error.status, []).append(error)
    for status, errors in by_status.items():
        responses[str(status)] = {
            "description": "; ".join(f"`{error.code}`: {error.title}" for error in errors),
            "content": {PROBLEM_MEDIA: {"schema": references[Problem]}},
        }
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": parameters,
        "responses": responses,
        "x-cinnabar-listeners": sorted(endpoint.listeners),
        "x-cinnabar-states": [state.label for state, rule in STATES.items() if endpoint.work in rule.allowed],
        "x-cinnabar-body-limit": endpoint.limit(limits),
    }
    if endpoint.needs_caller and "applications" in endpoint.listeners:
        operation["security"] = [{"clientCertificate": []}]
    if endpoint.takes:
        operation["requestBody"] = {"required": True, "content": _content(endpoint.takes, references)}
    return operation


def openapi_document(endpoints: Iterable[Endpoint], limits: LimitSettings) -> dict[str, Any]:
    """The whole document for some endpoints (one listener's, or all), with the sizes of these limits."""
    endpoints = list(endpoints)
    types = _schema_types(endpoints)
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    references = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, limits, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cinnabar local API",
            "version": "1",
            "description": "Seals, stamps, records and logs of one box.",
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"clientCertificate": {"type": "mutualTLS", "description": "A registered certificate."}},
        },
    }
