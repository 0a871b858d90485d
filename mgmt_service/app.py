"""The application: declarations made into routes, errors into pages and problems, templates with their filters."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import structlog
from flask import Flask, Response, g, redirect, render_template, request
from flask_babel import format_datetime, format_timedelta
from werkzeug.exceptions import HTTPException

from appliance.box.home import Home
from appliance.calls.problems import problem_of
from appliance.errors import CinnabarError, NotFound
from mgmt_service import headers, languages, navigation, outcomes, texts, words, words_letters
from mgmt_service.dispatch import SAID_COOKIE, Dispatcher, url_with
from mgmt_service.problems import PROBLEM_TYPE, NotSignedIn, ProofNeeded
from mgmt_service.services import Services
from mgmt_service.table import AREAS

LARGEST_REQUEST = 16 * 1024 * 1024
STATIC = Path(__file__).parent / "static"
THEMES = ("auto", "light", "dark")

log = structlog.get_logger("management")


def static_version() -> str:
    """Changes whenever a file does, so that browsers may keep files for ever."""
    found = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:12]


def create_app(home: Home, services: Services | None = None) -> Flask:
    """The service for the box in a home."""
    app = Flask(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_REQUEST, MAX_FORM_PARTS=2_000, MAX_FORM_MEMORY_SIZE=2 * 1024 * 1024)
    app.jinja_env.finalize = texts.finalize
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.url_map.redirect_defaults = False
    languages.install(app)
    words.install(app)
    words_letters.install(app)
    outcomes.install(app)
    app.jinja_env.filters.update(instant=instant, since=since, amount=amount)
    version = static_version()
    services = services or Services.at(home)
    app.extensions["cinnabar"] = Dispatcher(app, services, AREAS)
    app.jinja_env.globals.update(
        static=lambda name: f"/static/{version}/{name}", navigation=navigation.entries, said=_said
    )
    app.context_processor(_shell)
    headers.install(app)
    app.register_error_handler(CinnabarError, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)
    return app


def _shell() -> dict[str, Any]:
    """What every page shows."""
    context = g.get("context")
    theme = request.cookies.get("theme", "auto")
    return {
        "viewer": context.viewer if context is not None and context.session is not None else None,
        "session": context.session if context is not None else None,
        "box": context.services.settings() if context is not None else None,
        "state": context.state if context is not None else None,
        "theme": theme if theme in THEMES else "auto",
        "language": languages.TAGS[languages.chosen_language()],
        "languages": languages.LANGUAGES,
        "here": request.full_path if request.query_string else request.path,
    }


def _said() -> str:
    """What the act before this page has to say, once."""
    return str(words.SAID.get(request.cookies.get(SAID_COOKIE, ""), ""))


def _refused(error: CinnabarError) -> Response:
    if error.status >= 500:
        log.warning("request-failed", path=request.path, code=error.code, detail=str(error))
    if g.get("api", request.path.startswith("/api/")):
        body = msgspec.json.encode(problem_of(error))
        return Response(body, error.status, {"Retry-After": "5"} if error.retriable else {}, mimetype=PROBLEM_TYPE)
    if isinstance(error, NotSignedIn):
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.method == "GET":
            # A strict cookie does not come along with a link from elsewhere, such as the approval origin: ask again
            # from a page of ours.
            return Response(render_template("again.html"), 200, mimetype="text/html")
        if request.method == "GET":
            return redirect(url_with("/sign-in", next=request.full_path.rstrip("?")), 303)  # type: ignore[return-value]
    if isinstance(error, ProofNeeded):
        back = request.full_path.rstrip("?") if request.method == "GET" else _referring_path()
        return redirect(url_with("/prove", next=back), 303)  # type: ignore[return-value]
    page = render_template("error.html", error=error, problem=problem_of(error))
    return Response(page, error.status, {"Retry-After": "5"} if error.retriable else {}, mimetype="text/html")


def _referring_path() -> str:
    from urllib.parse import urlsplit  # noqa: PLC0415

    return urlsplit(request.referrer or "/").path or "/"


class _Http(CinnabarError):
    """An error of HTTP itself."""


def _http(error: HTTPException) -> Response:
    if error.code == 404:
        return _refused(NotFound("there is no page of this name"))
    made = _Http(error.description or error.name)
    made.code = (error.name or "error").lower().replace(" ", "-")  # type: ignore[misc]
    made.status, made.title = error.code or 500, error.name  # type: ignore[misc]
    response = _refused(made)
    if error.code == 405 and getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]
    return response


def _unexpected(error: Exception) -> Response:
    log.error("request-broke", path=request.path, exc_info=error)
    return _refused(CinnabarError("the service met an error that it did not expect; the box's log has it"))


def instant(value: int | float | str | datetime.datetime | None) -> str:
    """A time as the reader's language writes it, in UTC."""
    if value is None or value == "":
        return ""
    if isinstance(value, (int, float)):
        value = datetime.datetime.fromtimestamp(value, datetime.UTC)
    elif isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    return f"{format_datetime(value, 'yyyy-MM-dd HH:mm:ss')} UTC"


def since(seconds: float) -> str:
    """A span of time in words."""
    return str(format_timedelta(datetime.timedelta(seconds=max(0.0, seconds)), granularity="second", threshold=1.2))


def amount(value: float | None) -> str:
    """A number with its thousands apart."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"
