"""The rules of approval before there is a constitution: given at the console, for the first enrolments and founding.

A rehearsal box has rules of its own making until it is given others; a production box takes no passkey before it was
told which models it may be, who makes them, and under which origin. What holds stands in the first constitution, and
so under the words that officers compare; from then on only a ceremony changes it.
"""

from __future__ import annotations

import base64
import binascii
import re

from appliance.box.home import Home
from appliance.box.management_front import approval_name, approval_origin
from appliance.box.settings import BoxSettings
from appliance.ceremonies import DocumentRefused, decode, encode
from appliance.ceremonies.constitution import LONGEST_HOURS, ApprovalRules, check_rules
from appliance.certificate_reading import read_certificate
from appliance.errors import Conflict
from appliance.files import sync_directory, write_file
from appliance.keymaster.context import Room

_MODEL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILE = "rules.json"


def rules_before_founding(home: Home, settings: BoxSettings) -> ApprovalRules:
    """Those that were given; on a rehearsal box else any authenticator, on the approval origin as it is served now.

    Raises DocumentRefused where a production box was given none."""
    try:
        return decode((home.keymaster / _FILE).read_bytes(), ApprovalRules)
    except FileNotFoundError:
        pass
    if not settings.rehearsal:
        raise DocumentRefused("this production box has no rules of approval yet: cinnabar console rules")
    return made_rules(home, settings, backup_eligible=True)


def made_rules(
    home: Home,
    settings: BoxSettings,
    *,
    models: list[str] | None = None,
    makers: list[bytes] | None = None,
    origins: list[str] | None = None,
    hours: int = LONGEST_HOURS,
    backup_eligible: bool = False,
) -> ApprovalRules:
    """Rules for the box's own approval name. `makers`: root certificates, DER."""
    roots = [base64.b64encode(one).decode() for one in makers or []]
    return ApprovalRules(
        rp_id=approval_name(settings),
        origins=origins or [approval_origin(home, settings)],
        models=models or [],
        attestation_roots=roots,
        backup_eligible=backup_eligible,
        longest_hours=hours,
    )


def give_rules(room: Room, rules: ApprovalRules) -> None:
    """Let these rules hold until the founding. Raises DocumentRefused; Conflict once there is a passkey, or a
    constitution."""
    constitutions = room.constitutions
    if constitutions.refusal is None and constitutions.founded:
        raise Conflict("the box has a constitution: a ceremony changes its rules")
    if any(one.credential.kind == "passkey" for one in room.candidates.all()):
        raise Conflict("passkeys were made under the rules that hold: discard their candidates first")
    check_given(rules, room.settings)
    write_file(room.home.keymaster / _FILE, encode(rules), 0o600)
    sync_directory(room.home.keymaster)


def check_given(rules: ApprovalRules, settings: BoxSettings) -> None:
    """Whether a box of these settings could be founded by these rules. Raises DocumentRefused."""
    name = approval_name(settings)
    origin = re.compile(rf"https://{re.escape(name)}(?::[1-9][0-9]{{0,4}})?")
    if rules.rp_id != name or not all(origin.fullmatch(one) for one in rules.origins):
        raise DocumentRefused(f"the box's approval pages are served as https://{name}, and under no other name")
    check_rules(rules, settings.rehearsal)
    for model in rules.models:
        if _MODEL.fullmatch(model) is None:
            raise DocumentRefused(f"{model[:80]!r} is no AAGUID in its text form, lower-case")
    for root in rules.attestation_roots:
        try:
            read_certificate(base64.b64decode(root, validate=True))
        except (ValueError, binascii.Error):
            raise DocumentRefused("a maker's root certificate cannot be read") from None
    if len(set(rules.models)) != len(rules.models) or len(set(rules.attestation_roots)) != len(rules.attestation_roots):
        raise DocumentRefused("a model or a maker stands twice")
