"""Coming in and going out: sign-in with a passkey, the first passkey by a one-time link, proof, preferences."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import msgspec
from flask import Response, g, redirect, request

from appliance.errors import CinnabarError, Unavailable
from mgmt_service import passkeys, rates
from mgmt_service.access import Access, Area, Entry, Next
from mgmt_service.dispatch import Context, local_path, said
from mgmt_service.languages import COOKIE as LANGUAGE_COOKIE
from mgmt_service.languages import LANGUAGES
from mgmt_service.people import Passkey
from mgmt_service.problems import SignInRefused
from mgmt_service.sessions import COOKIE, KNOWN_COOKIE, KNOWN_SECONDS, VISIT_COOKIE

area = Area("entry")
ANYBODY = Access(entry=Entry.ANYBODY)
SIGNED_IN = Access(entry=Entry.SIGNED_IN)
YEAR = 365 * 86_400


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    next: str = "/"


class SignInPage(msgspec.Struct, frozen=True):
    next: str


class Options(msgspec.Struct, frozen=True):
    """For navigator.credentials."""

    options: dict[str, Any]


class Assertion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What navigator.credentials.get gave, as JSON."""

    credential: dict[str, Any]
    next: str = "/"


class Creation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What navigator.credentials.create gave, as JSON."""

    credential: dict[str, Any]
    label: str = ""


class PasskeyLine(msgspec.Struct, frozen=True):
    id: str
    label: str
    made: int
    used: int | None
    this: bool
    """Whether this session was opened with it."""


class Me(msgspec.Struct, frozen=True):
    """Who is signed in, and how."""

    person: str
    name: str
    roles: list[tuple[str, str]]
    """(role, scope)"""
    session_ends: int
    proven: bool
    passkeys: list[PasskeyLine]
    approval_link: str
    """Where the person makes her passkey for approvals; empty where she has one, or none can be made now."""


class EnrolPage(msgspec.Struct, frozen=True):
    name: str
    person: str
    code: str


class PasskeyName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    passkey: str


class Preferences(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    language: str | None = None
    theme: str | None = None
    next: str = "/"


def see_other(path: str) -> Response:
    """Go on at a path of this service."""
    response: Response = redirect(local_path(path), 303)  # type: ignore[assignment]
    return response


def _count(context: Context, rate: rates.Rate) -> None:
    """Count an attempt of this browser, if it is known, else of its address. Raises TooMany."""
    known = request.cookies.get(KNOWN_COOKIE)
    if known is not None and context.services.sessions.remembers(known):
        context.services.rates.take(rates.KNOWN, hashlib.sha256(known.encode()).hexdigest())
    else:
        context.services.rates.take(rate, context.address)


def set_session(context: Context, response: Response, cookie: str) -> Response:
    """Give the browser its session; and one that is not known yet the cookie that it is known by."""
    sessions = context.services.sessions
    if not sessions.remembers(request.cookies.get(KNOWN_COOKIE)):
        known = sessions.remember()
        response.set_cookie(
            KNOWN_COOKIE, known, max_age=KNOWN_SECONDS, secure=True, httponly=True, samesite="Strict", path="/"
        )
    response.set_cookie(COOKIE, cookie, secure=True, httponly=True, samesite="Strict", path="/")
    response.delete_cookie(VISIT_COOKIE, secure=True, httponly=True, samesite="Strict", path="/")
    return response


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), mimetype="application/json")


def _asked(context: Context, options: Any) -> Response:
    """Options with a fresh challenge, and the cookie that knows it."""
    visit, challenge = context.services.sessions.ask(request.cookies.get(VISIT_COOKIE))
    response = _json(Options(options(challenge)))
    response.set_cookie(VISIT_COOKIE, visit, max_age=300, secure=True, httponly=True, samesite="Strict", path="/")
    return response


@area.read("/sign-in", access=ANYBODY, gives=SignInPage, query=Where, template="entry/sign_in.html", api=False)
def sign_in(context: Context, query: Where) -> SignInPage | Response:
    """The page to sign in on."""
    where = local_path(query.next)
    if context.session is not None:
        return see_other(where)
    return SignInPage(where)


@area.act("/sign-in/options", access=ANYBODY, gives=Options, page=False)
def sign_in_options(context: Context) -> Response:
    """A challenge to sign in with."""
    _count(context, rates.ADDRESS)
    return _asked(context, lambda challenge: passkeys.request_options(context.site, challenge))


@area.act("/sign-in", access=ANYBODY, takes=Assertion, page=False)
def sign_in_with(context: Context, body: Assertion) -> Response:
    """Sign in with a passkey's answer to the challenge; begins a new session."""
    services = context.services
    _count(context, rates.ADDRESS)
    passkey = _verified(context, body.credential)
    cookie = services.sessions.open(passkey.person, passkey.id, context.session.key if context.session else None)
    services.people.note(passkey.person, "signed-in", context.address, passkey.label)
    return said(set_session(context, _json(Next(local_path(body.next))), cookie), "")


def _verified(context: Context, credential: dict[str, Any], person: str | None = None) -> Passkey:
    """The known passkey that this assertion proves, of `person` where one is given. Raises SignInRefused, TooMany."""
    services = context.services
    challenge = services.sessions.asked(request.cookies.get(VISIT_COOKIE))
    identifier = passkeys.credential_id(credential)
    passkey = services.people.passkey(identifier)
    if challenge is None:
        raise SignInRefused("the challenge is too old: try once more")
    if passkey is None or (person is not None and passkey.person != person):
        raise SignInRefused("this passkey is not known here")
    try:
        count = passkeys.verify_assertion(context.site, credential, challenge, passkey)
        services.people.used_passkey(passkey.id, count)
        if not _may_come_in(context, passkey.person):
            raise SignInRefused("this person has left")
    except SignInRefused:
        services.people.note(passkey.person, "refused", context.address, passkey.label)
        raise
    return passkey


def _may_come_in(context: Context, person: str) -> bool:
    """Whoever was an officer or a reader and is none any more does not come in."""
    known = context.services.people.person(person)
    if known is None:
        return False
    if not known.seated:
        return True
    try:
        constitution = context.services.desk.in_force()
    except Unavailable:
        return True  # without roles; nothing but the own page is shown
    return (
        constitution is None or constitution.person(person) is not None or bool(context.services.people.readers(person))
    )


@area.read("/enrol/<code>", access=ANYBODY, gives=EnrolPage, template="entry/enrol.html", api=False)
def enrol(context: Context, code: str) -> EnrolPage:
    """The page on which a new person makes her sign-in passkey."""
    _count(context, rates.LINK)
    person = context.services.people.invited(code)
    return EnrolPage(person.name, person.id, code)


@area.act("/enrol/<code>/options", access=ANYBODY, gives=Options, page=False)
def enrol_options(context: Context, code: str) -> Response:
    """A challenge to make the first passkey with."""
    services = context.services
    _count(context, rates.LINK)
    person = services.people.invited(code)
    known, box = services.people.passkeys(person.id), services.settings().name
    return _asked(
        context,
        lambda challenge: passkeys.creation_options(context.site, box, person.id, person.name, known, challenge),
    )


@area.act("/enrol/<code>", access=ANYBODY, takes=Creation, page=False)
def enrol_with(context: Context, code: str, body: Creation) -> Response:
    """Keep the first passkey, use the link up, and sign in."""
    services = context.services
    _count(context, rates.LINK)
    services.people.invited(code)
    made = _made(context, body)
    person = services.people.enrol(code, made.id, made.public_key, made.sign_count, _label(body.label))
    services.people.note(person.id, "enrolled", context.address, _label(body.label))
    cookie = services.sessions.open(person.id, made.id, context.session.key if context.session else None)
    return said(set_session(context, _json(Next("/me")), cookie), "passkey-made")


def _made(context: Context, body: Creation) -> passkeys.MadePasskey:
    challenge = context.services.sessions.asked(request.cookies.get(VISIT_COOKIE))
    if challenge is None:
        raise SignInRefused("the challenge is too old: try once more")
    return passkeys.verify_creation(context.site, body.credential, challenge)


def _label(text: str) -> str:
    return text.strip()[:80] or "passkey"


@area.read("/me", access=SIGNED_IN, gives=Me, template="entry/me.html")
def me(context: Context) -> Me:
    """Who I am here: my roles, my passkeys, my session."""
    session, services = context.signed_in, context.services
    return Me(
        person=context.viewer.person,
        name=context.viewer.name,
        roles=sorted((role.value, scope) for role, scope in context.viewer.roles),
        session_ends=session.ends(),
        proven=session.proven(time.time()),
        passkeys=[
            PasskeyLine(one.id, one.label, one.made, one.used, one.id == session.passkey)
            for one in services.people.passkeys(context.viewer.person)
        ],
        approval_link="",
    )


@area.act("/me/approval-passkey", access=SIGNED_IN)
def approval_passkey(context: Context) -> Next | Response:
    """Go to the keymaster's own page to make a passkey for approvals."""
    viewer = context.viewer
    code = context.services.desk.call(lambda client: client.invite(viewer.person, viewer.name))
    where = f"{approval_origin(context)}/enrol/{code}"
    return Next(where) if g.api else redirect(where, 303)  # type: ignore[return-value]


def approval_origin(context: Context) -> str:
    """Where the keymaster's pages are, on the port that this service is seen on."""
    host, separator, port = context.site.origin.removeprefix("https://").partition(":")
    return f"https://approve.{host}{separator}{port}"


@area.act("/me/passkeys/options", access=Access(entry=Entry.SIGNED_IN, recent=True), gives=Options, page=False)
def passkey_options(context: Context) -> Response:
    """A challenge to make a further passkey with."""
    services, viewer = context.services, context.viewer
    known, box = services.people.passkeys(viewer.person), services.settings().name
    return _asked(
        context,
        lambda challenge: passkeys.creation_options(context.site, box, viewer.person, viewer.name, known, challenge),
    )


@area.act("/me/passkeys", access=Access(entry=Entry.SIGNED_IN, recent=True), takes=Creation, page=False)
def add_passkey(context: Context, body: Creation) -> Response:
    """Keep a further passkey."""
    made = _made(context, body)
    context.services.people.add_passkey(
        context.viewer.person, made.id, made.public_key, made.sign_count, _label(body.label),
        by=context.signed_in.passkey,
    )  # fmt: skip
    context.services.people.note(context.viewer.person, "passkey-added", context.address, _label(body.label))
    return said(_json(Next("/me")), "passkey-made")


@area.act("/me/passkeys/remove", access=Access(entry=Entry.SIGNED_IN, recent=True), takes=PasskeyName)
def remove_passkey(context: Context, body: PasskeyName) -> Next:
    """Take one of my passkeys away."""
    people, person = context.services.people, context.viewer.person
    label = next((one.label for one in people.passkeys(person) if one.id == body.passkey), "")
    people.remove_passkey(person, body.passkey, by=context.signed_in.passkey)
    people.note(person, "passkey-removed", context.address, label)
    return Next("/me", "passkey-removed")


@area.read("/prove", access=SIGNED_IN, gives=SignInPage, query=Where, template="entry/prove.html", api=False)
def prove(context: Context, query: Where) -> SignInPage:
    """The page on which the passkey is shown again before a sensitive act."""
    return SignInPage(local_path(query.next))


@area.act("/prove/options", access=SIGNED_IN, gives=Options, page=False)
def prove_options(context: Context) -> Response:
    """A challenge to show the passkey again with."""
    known = context.services.people.passkeys(context.viewer.person)
    return _asked(context, lambda challenge: passkeys.request_options(context.site, challenge, known))


@area.act("/prove", access=SIGNED_IN, takes=Assertion, page=False)
def prove_with(context: Context, body: Assertion) -> Response:
    """Show the passkey again; goes on in a new session in place of this one."""
    passkey = _verified(context, body.credential, context.viewer.person)
    cookie = context.services.sessions.open(passkey.person, passkey.id, context.signed_in.key)
    context.services.people.note(passkey.person, "proved", context.address, passkey.label)
    return set_session(context, _json(Next(local_path(body.next))), cookie)


@area.act("/sign-out", access=ANYBODY)
def sign_out(context: Context) -> Response:
    """End this session."""
    if context.session is not None:
        context.services.sessions.end(context.session.key)
        context.services.people.note(context.session.person, "signed-out", context.address)
    response = _json(Next("/sign-in", "signed-out")) if g.api else see_other("/sign-in")
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict", path="/")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return said(response, "signed-out")


@area.act("/sign-out/everywhere", access=SIGNED_IN)
def sign_out_everywhere(context: Context) -> Response:
    """End all my sessions, on every machine."""
    context.services.sessions.end_all(context.viewer.person)
    context.services.people.note(context.viewer.person, "signed-out-everywhere", context.address)
    response = _json(Next("/sign-in")) if g.api else see_other("/sign-in")
    return said(response, "signed-out-everywhere")


@area.act("/preferences", access=ANYBODY, takes=Preferences, api=False)
def preferences(context: Context, body: Preferences) -> Response:
    """Choose a language, or light or dark."""
    response = see_other(body.next)
    chosen = {LANGUAGE_COOKIE: body.language if body.language in LANGUAGES else None}
    chosen["theme"] = body.theme if body.theme in {"auto", "light", "dark"} else None
    for name, value in chosen.items():
        if value is not None:
            response.set_cookie(name, value, max_age=YEAR, secure=True, httponly=True, samesite="Lax", path="/")
    return response


__all__ = ["CinnabarError", "approval_origin", "area"]
