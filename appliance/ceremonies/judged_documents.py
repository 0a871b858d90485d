"""The documents of a record bundle, read and fit to each other in form; what they say is judged elsewhere. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.ceremonies import bundle as form
from appliance.ceremonies.bundle import Records, Statements, Transcript
from appliance.ceremonies.canonical import decode, digest
from appliance.ceremonies.chain import VERSION_BYTES, ConstitutionVersion
from appliance.ceremonies.errors import BundleRefused
from appliance.ceremonies.proposal import Proposal, read_proposal
from appliance.ceremonies.statements import ReceivedStatement
from appliance.evidence.findings import Refusal, SubIndication
from appliance.quoting import quote


@dataclass(frozen=True)
class Documents:
    """The bundle's documents, each in its canonical form."""

    members: Mapping[str, bytes]
    proposal: Proposal
    digest: str
    statements: list[ReceivedStatement]
    chain: list[ConstitutionVersion]
    transcript: Transcript
    records: Records
    own: Records


def read_documents(content: bytes) -> Documents:
    """Raises BundleRefused, DocumentRefused."""
    members = form.unpack(content)
    if form.read_member(members, form.MIMETYPE) != form.ASIC_E:
        raise BundleRefused("the container is not an ASiC-E")
    text = form.read_member(members, form.PROPOSAL)
    proposal = read_proposal(text)
    chain: list[ConstitutionVersion] = []
    while (name := f"{form.CONSTITUTION}{len(chain) + 1}.json") in members:
        chain.append(decode(members[name], ConstitutionVersion, limit=VERSION_BYTES))
    transcript = decode(form.read_member(members, form.TRANSCRIPT), Transcript)
    found = Documents(
        members,
        proposal,
        digest(text),
        decode(form.read_member(members, form.STATEMENTS), Statements).statements,
        chain,
        transcript,
        decode(form.read_member(members, form.RECORDS), Records, limit=form.BUNDLE_BYTES),
        decode(form.read_member(members, form.BUNDLE_RECORD), Records, limit=form.BUNDLE_BYTES),
    )
    fixed = {
        *(form.MIMETYPE, form.MANIFEST, form.PROPOSAL, form.STATEMENTS, form.TRANSCRIPT, form.RECORDS),
        *(*form.SCRIPTS.values(), form.PRINTED, form.BUNDLE_RECORD),
        *(f"{form.CONSTITUTION}{number + 1}.json" for number in range(len(chain))),
        *(output.file for step in transcript.steps for output in step.outputs if output.file),
    }
    if len(found.statements) != len(transcript.said):
        raise BundleRefused("the transcript tells of more or fewer statements than the officers made")
    if set(members) != fixed:
        odd = sorted(set(members) ^ fixed)[0]
        raise BundleRefused(f"{quote(odd)} is missing, or does not belong into it")
    return found


_OF_SIGNATURES = frozenset(("succession", "statements", "quorum", "amendment"))
"""Checks of what officers signed; the others are of what the documents say."""


def failed(name: str, text: str) -> Refusal:
    """A check by its name, and why it failed."""
    signed = name in _OF_SIGNATURES
    return Refusal(name, SubIndication.SIG_CRYPTO_FAILURE if signed else SubIndication.HASH_FAILURE, text)


def changed(name: str, text: str) -> Refusal:
    """A check by its name, and what is not as it was recorded."""
    return Refusal(name, SubIndication.HASH_FAILURE, text)


def at_time(time_us: int) -> datetime.datetime:
    """Of microseconds since the epoch."""
    return datetime.datetime.fromtimestamp(time_us / 1_000_000, datetime.UTC)


def decided_at(transcript: Transcript) -> datetime.datetime:
    """When the decision was judged: at the beginning of the last execution, or when officers or time ended it."""
    executed = transcript.state in {"executed", "failed"} and transcript.attempts
    return at_time(transcript.attempts[-1].begun if executed else transcript.ended)
