"""From declarations to routes: every request goes through `answer`, which holds the rule of access first."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from flask import Flask, Response, current_app, g, redirect, render_template, request

from appliance.box.states import State, StateReport
from appliance.ceremonies import Constitution
from appliance.errors import CinnabarError, NotAuthorised, NotFound, Unavailable
from mgmt_service import forms, sessions
from mgmt_service.access import Access, Area, Entry, Named, Next, Operation, Verdict, judge
from mgmt_service.passkeys import Site
from mgmt_service.problems import CrossSite, NotSignedIn, ProofNeeded, StateForbids
from mgmt_service.roles import Viewer, viewer_of
from mgmt_service.services import Services
from mgmt_service.sessions import Session

API = "/api/v1"
JSON = "application/json"


@dataclass(frozen=True)
class Context:
    """What a handler knows of the request that it answers."""

    services: Services
    viewer: Viewer
    session: Session | None
    site: Site
    address: str
    """The peer's IP address, as the front tells it."""
    state: StateReport
    constitution: Constitution | None

    @property
    def signed_in(self) -> Session:
        """The session, where the operation's access has made sure of one."""
        if self.session is None:
            raise NotSignedIn
        return self.session


NOBODY = Viewer("", "", frozenset())


def state_of(report: StateReport) -> State:
    return State[report.state.upper().replace("-", "_")]


def local_path(path: str | None) -> str:
    """A path of this service to go to, `/` for anything else: no other site, no scheme, no control character."""
    if not path or len(path) > 2_000 or not path.startswith("/") or path.startswith(("//", "/\\")):
        return "/"
    parts = urlsplit(path)
    printable = all(character.isprintable() and character != "\\" for character in path)
    return path if printable and not parts.scheme and not parts.netloc else "/"


class Dispatcher:
    """Answers the declared operations of an application."""

    def __init__(self, app: Flask, services: Services, areas: Iterable[Area]) -> None:
        self.services = services
        self.operations = [operation for area in areas for operation in area.operations]
        for operation in self.operations:
            if operation.page:
                self._route(app, operation, operation.path, operation.endpoint, api=False)
            if operation.api:
                self._route(app, operation, f"{API}{operation.path.rstrip('/')}", f"api:{operation.endpoint}", api=True)
        undeclared = {rule.endpoint for rule in app.url_map.iter_rules()} - {
            name for operation in self.operations for name in (operation.endpoint, f"api:{operation.endpoint}")
        }
        if undeclared:
            raise TypeError(f"routes without declared access: {', '.join(sorted(undeclared))}")

    def _route(self, app: Flask, operation: Operation, path: str, endpoint: str, *, api: bool) -> None:
        def view(**parameters: str) -> Response:
            g.api = api
            return self.answer(operation, parameters, api=api)

        methods = ["GET"] if operation.method == "GET" else ["POST"]
        app.add_url_rule(path or "/", endpoint, view, methods=methods, provide_automatic_options=False)

    def answer(self, operation: Operation, parameters: dict[str, str], *, api: bool) -> Response:
        g.operation = operation
        context = self._context(operation)
        g.context = context
        if operation.method == "POST":
            self._refuse_cross_site(context)
        self._enforce(operation, context, parameters)
        arguments: dict[str, Any] = dict(parameters)
        if operation.takes is not None:
            arguments["body"] = forms.read_body(request, operation.takes)
        if operation.query is not None:
            arguments["query"] = forms.read_query(request, operation.query)
        result = operation.handler(context, **arguments)
        if isinstance(result, Response):
            return result
        return (
            self._as_json(result)
            if api or (operation.template is None and not isinstance(result, Next))
            else (self._as_page(operation, context, result))
        )

    def _context(self, operation: Operation) -> Context:
        services = self.services
        name = services.settings().front.management_name
        host = request.host
        if host.rpartition(":")[0] not in {name, ""} and host != name:
            raise NotFound("this service has one name")
        site = Site(name, f"https://{host}")
        session = self._session(operation.access)
        viewer, constitution = NOBODY, None
        if session is not None:
            viewer, constitution = self._viewer(session, operation.access)
            if viewer is NOBODY:
                session = None
        address = request.headers.get("X-Cinnabar-Address", "")
        return Context(services, viewer, session, site, address, services.state(), constitution)

    def _session(self, access: Access) -> Session | None:
        """None where nobody needs one: what pages fetch by themselves and anybody gets, a style sheet, waits for no
        database."""
        if access.entry is Entry.ANYBODY and not access.touches:
            return None
        cookie = request.cookies.get(sessions.COOKIE)
        return self.services.sessions.find(cookie, touch=access.touches) if cookie else None

    def _viewer(self, session: Session, access: Access) -> tuple[Viewer, Constitution | None]:
        """Whoever the session is of; NOBODY, and no session left, where she has lost all that she was."""
        person = self.services.people.person(session.person)
        if person is None:
            self.services.sessions.end_all(session.person)
            return NOBODY, None
        try:
            constitution = self.services.desk.in_force()
        except Unavailable:
            if access.entry is Entry.ROLES:
                raise
            return Viewer(person.id, person.name, frozenset()), None
        approving = self.services.desk.approving() if constitution is not None else {}
        viewer = viewer_of(person.id, person.name, constitution, self.services.people.readers(person.id), approving)
        if viewer.roles and not person.seated:
            self.services.people.seat(person.id)
        elif person.seated and not viewer.roles and constitution is not None:
            self.services.sessions.end_all(person.id)
            return NOBODY, None
        return viewer.within(self.services.people.reach(session.passkey)), constitution

    def _refuse_cross_site(self, context: Context) -> None:
        """Origin and Fetch Metadata of every changing request, and the session's token where there is one."""
        if request.headers.get("Origin") != context.site.origin:
            raise CrossSite("its origin is another one, or is not told")
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise CrossSite("it was sent by another site")
        if context.session is not None:
            token = request.headers.get("X-CSRF-Token")
            if token is None and request.mimetype != JSON:
                token = request.form.get("csrf")
            if token is None or not hmac.compare_digest(token.encode(), context.session.csrf.encode()):
                raise CrossSite("its token is missing or not this session's")

    def _enforce(self, operation: Operation, context: Context, parameters: dict[str, str]) -> None:
        access = operation.access
        viewer = context.viewer if context.session is not None else None
        scopes: frozenset[str] | None = None
        needs_scope = viewer is not None and viewer.scopes(access.roles)
        if isinstance(access.scope, Named) and access.entry is Entry.ROLES and needs_scope:
            try:
                scopes = access.scope.find(self.services, parameters[access.scope.parameter])
            except NotFound:
                scopes = None
        proven = context.session is not None and context.session.proven(time.time())
        match judge(access, viewer, scopes, state_of(context.state), proven=proven):
            case Verdict.ALLOWED:
                return
            case Verdict.SIGN_IN:
                raise NotSignedIn("there is no session, or it has ended")
            case Verdict.NO_ROLE:
                raise NotAuthorised("this is for people with another role")
            case Verdict.UNKNOWN:
                raise NotFound("there is no such thing, or it is not yours")
            case Verdict.STATE:
                causes = ", ".join(context.state.causes) if context.session is not None else ""
                raise StateForbids(f"the box is {context.state.state}" + (f": {causes}" if causes else ""))
            case Verdict.PROOF:
                raise ProofNeeded("this act needs your passkey again")

    @staticmethod
    def _as_json(result: Any) -> Response:
        return Response(msgspec.json.encode(result), mimetype=JSON)

    @staticmethod
    def _as_page(operation: Operation, context: Context, result: Any) -> Response:
        if isinstance(result, Next):
            return said(redirect(local_path(result.next), 303), result.said)  # type: ignore[arg-type]
        page = Response(render_template(operation.template or "", it=result, context=context), mimetype="text/html")
        if SAID_COOKIE in request.cookies:
            page.delete_cookie(SAID_COOKIE, secure=True, httponly=True, samesite="Strict", path="/")
        return page


SAID_COOKIE = "__Host-cinnabar-said"


def said(response: Response, message: str) -> Response:
    """Let the next page say this once: a key of mgmt_service.words.SAID, so that no link can make it say anything."""
    if message:
        response.set_cookie(SAID_COOKIE, message, max_age=60, secure=True, httponly=True, samesite="Strict", path="/")
    return response


def url_with(path: str, **query: str) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def dispatcher() -> Dispatcher:
    """Of the current application."""
    found: Dispatcher = current_app.extensions["cinnabar"]
    return found


__all__ = ["API", "CinnabarError", "Context", "Dispatcher", "dispatcher", "local_path", "said", "state_of", "url_with"]
