"""What the service calls things, in the reader's language: states, causes, roles, scopes, what acts say when done."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from flask import Flask
from flask_babel import lazy_gettext as _
from flask_babel import ngettext
from markupsafe import Markup

from mgmt_service.roles import AUDIT, OFFICERS
from mgmt_service.scripts import GROUPS
from mgmt_service.texts import visible

SAID: Final[dict[str, Any]] = {
    "signed-in": _("You are signed in."),
    "signed-out": _("You are signed out. You can close this page."),
    "passkey-made": _("Your passkey is made. You sign in with it from now on."),
    "passkey-removed": _("The passkey is removed, and every session that it opened has ended."),
    "reader-named": _("The reader is named."),
    "reader-dismissed": _("The reader is dismissed, at once."),
    "link-made": _("The link is made."),
    "drafted": _("The proposal is with the keymaster. Nothing happens before it is signed."),
    "executing": _("The keymaster has begun. This page follows it."),
    "signed-out-everywhere": _("All your sessions have ended."),
    "export-begun": _("The export has begun. This page follows it."),
    "export-cancelled": _("The export is told to stop."),
}
"""Key of the cookie to the sentence: the cookie can choose one of these and say nothing else."""

STATES: Final = {
    "operational": _("Operational"),
    "degraded": _("Degraded"),
    "read-only": _("Read-only"),
    "locked": _("Locked"),
    "unprovisioned": _("Unprovisioned"),
    "failed": _("Failed"),
    "tampered": _("Tampered"),
}
STATE_MEANINGS: Final = {
    "operational": _("Everything works."),
    "degraded": _("The box works; a part of it does not."),
    "read-only": _("The disk has no room for a record, so nothing is signed."),
    "locked": _("The box signs nothing until it is unlocked."),
    "unprovisioned": _("There is no box in this home yet."),
    "failed": _("A process that the box cannot do without does not stay up."),
    "tampered": _("A tamper signal came. The box has dropped its secrets."),
}
STATE_TONES: Final = {
    "operational": "good",
    "degraded": "warn",
    "read-only": "warn",
    "locked": "bad",
    "unprovisioned": "bad",
    "failed": "bad",
    "tampered": "bad",
}
CAUSES: Final = {
    "process-down": (
        _("A process is down"),
        _("It is started again by itself. If it stays down, look at the box's log."),
    ),
    "clock-not-shown": (
        _("The clock is not shown to be right"),
        _("Time-stamps are refused until it is. Look at the time source."),
    ),
    "token-unavailable": (_("A key cannot sign now"), _("Look at the HSM and at the keys below.")),
    "disk-low": (_("The disk is getting full"), _("Archive or prune sealed segments before it is full.")),
    "disk-full": (_("The disk is full"), _("Make room: nothing is signed before there is.")),
    "history-unproven": (
        _("The box's history is not yet shown to be the only one"),
        _("At the console, run: cinnabar log resume"),
    ),
    "starting": (_("The box is starting"), _("Wait a moment.")),
    "stopping": (_("The box is stopping"), _("Start it at its console.")),
    "not-provisioned": (_("There is no box in this home"), _("At the console, run: cinnabar provision")),
    "restart-loop": (_("A process ends again and again"), _("Look at the box's log at its console.")),
    "tamper-signal": (_("A tamper signal came"), _("Have the box examined; a ceremony brings it back.")),
    "officers-locked": (_("Officers locked the box"), _("Write an unlock ceremony.")),
}
"""Cause to what it is and what to do."""
ROLES: Final = {
    "officer": _("Officer"),
    "auditor": _("Auditor"),
    "supervisor": _("Supervisor"),
    "overseer": _("Overseer of letters"),
    "approver": _("Approver of letters"),
}


CEREMONY_STATES: Final = {
    "unsigned": (_("Not signed yet"), "warn"),
    "open": (_("Open"), "warn"),
    "approved": (_("Approved"), "good"),
    "executing": (_("At work"), "warn"),
    "executed": (_("Executed"), "good"),
    "failed": (_("Failed"), "bad"),
    "rejected": (_("Rejected"), "bad"),
    "expired": (_("Expired"), "plain"),
}
VERBS: Final = {
    "request": _("asked for it"),
    "approve": _("approved"),
    "reject": _("rejected"),
    "take-away": _("ordered it"),
    "accept": _("accepted"),
}
EVENTS: Final = {
    "submitted": _("Handed in"),
    "statement": _("An officer’s signed word"),
    "begun": _("Execution began"),
    "step": _("A step"),
    "ended": _("Execution ended"),
    "executed": _("Executed"),
    "failed": _("Failed"),
    "rejected": _("Rejected"),
    "expired": _("Expired"),
}
DEEDS: Final = {
    "content-read": _("Content was shown"),
    "export-begun": _("Export begun"),
    "export-made": _("Export made"),
    "export-failed": _("Export failed"),
    "export-not-made": _("Export not made"),
    "segment-exported": _("Segment archived"),
    "enrol-tenant": _("Tenant entered"),
    "enrol-application": _("Application entered"),
    "enrol-certificate": _("Certificate entered"),
    "certificate-held": _("Certificate put on hold"),
    "certificate-released": _("Certificate released"),
    "certificate-revoked": _("Certificate revoked"),
    "active": _("Let work again"),
    "suspended": _("Suspended"),
    "revoked": _("Revoked"),
    "set-quota": _("Quota set"),
    "set-letter-terms": _("Limits or fees of letters set"),
    "issuing-stopped": _("Issuing of a kind stopped"),
    "issuing-resumed": _("Issuing of a kind resumed"),
    "limit-warning": _("Early warning of a limit"),
    "share-warning": _("Early warning of concentration"),
    "governed": _("Ceremonies decide from now on"),
    "key-active": _("Key begun"),
    "key-suspended": _("Key suspended"),
    "key-deactivated": _("Key deactivated"),
    "key-compromised": _("Key compromised"),
    "key-destroyed": _("Key destroyed"),
    "key-ended": _("Key ended by itself"),
    "keys-unexplained": _("Objects that nobody explained were found"),
    "ledger-begun": _("The key ledger was begun"),
    "founding": _("Founding"),
    "bundle": _("Record bundle made"),
}
"""What administrative records, and ceremonies' records that are no step, say was done."""
QUESTION_STATES: Final = {
    "asked": _("not answered yet"),
    "answered": _("answered"),
    "timed-out": _("nobody answered in time"),
    "given-up": _("given up"),
}
"""Of what the console is asked during a ceremony."""
CHANGES: Final = {
    "key": _("Key"),
    "in-use": _("Use of key"),
    "tenants": _("Tenants"),
    "tokens": _("Tokens"),
    "authorities": _("Authorities"),
    "registered-name": _("Registered name of"),
    "standby": _("Token that stands by for"),
    "version": _("Version of the constitution"),
    "officers": _("Officers of"),
    "threshold": _("Threshold of"),
    "recovery": _("Recovery roster of"),
    "credentials": _("Approval keys of"),
    "witnesses": _("Witnesses of the log of"),
    "cosignatures": _("How many must cosign the log of"),
    "algorithm-end": _("End of"),
    "log": _("Log of"),
}
ACTIONS: Final = {
    "amend-constitution": _("Change the officers"),
    "initialise-token": _("Make a token"),
    "generate-key": _("Make a key"),
    "request-certificate": _("Request a certificate"),
    "import-certificate": _("Import a certificate"),
    "issue-certificate": _("Issue a certificate"),
    "activate-key": _("Begin to use a key"),
    "rotate-key": _("Put a key in another’s place"),
    "resume-key": _("Resume a key"),
    "declare-compromised": _("Declare a key compromised"),
    "destroy-key": _("Destroy a key"),
    "destroy-release-key": _("Destroy a release key"),
    "make-message-key": _("Make a key of messages"),
    "make-uniqueness-key": _("Make a key of uniqueness"),
    "back-up-keys": _("Back up keys"),
    "restore-keys": _("Restore keys"),
    "set-standby": _("Let a token stand by"),
    "end-standby": _("Take a standby token out"),
    "create-authority": _("Make a certification authority"),
    "set-profile": _("Set a certificate profile"),
    "authorise-enrolment": _("Authorise an enrolment"),
    "revoke-certificate": _("Revoke a certificate"),
    "release-certificate": _("Release a certificate"),
    "create-tenant": _("Make a tenant"),
    "rename-tenant": _("Change a tenant’s registered name"),
    "set-quota": _("Set a quota"),
    "resume-tenant": _("Resume a tenant"),
    "create-federation": _("Make a federation"),
    "admit-to-federation": _("Admit a tenant to a federation"),
    "join-federation": _("Join a federation"),
    "leave-federation": _("Leave a federation"),
    "enrol-application": _("Enrol an application"),
    "enrol-certificate": _("Enrol a certificate"),
    "resume-application": _("Resume an application"),
    "set-approval-policy": _("Set an approval policy"),
    "install-kind": _("Install a kind of letter"),
    "set-letter-terms": _("Set limits or fees of letters"),
    "resume-issuing": _("Let a kind be issued again"),
    "register-seal": _("Register a seal"),
    "withdraw-seal": _("Withdraw a seal"),
    "install-adapter": _("Install an adapter for filings"),
    "set-witnesses": _("Set the witnesses of a log"),
    "renew-logs": _("Renew the logs under another hash"),
    "set-algorithm-ends": _("Say until when algorithms may be relied on"),
    "set-partner": _("Set a partner"),
    "approve-update": _("Approve an update"),
    "recover-from-tamper": _("Recover from tamper"),
    "unlock": _("Unlock the box"),
    "suspend-key": _("Suspend a key"),
    "deactivate-key": _("Deactivate a key"),
    "hold-certificate": _("Hold a certificate"),
    "suspend-application": _("Suspend an application"),
    "stop-issuing": _("Stop issuing a kind of letter"),
    "suspend-tenant": _("Suspend a tenant"),
    "lock": _("Lock the box"),
    "stop": _("Stop the box"),
}


KINDS: Final = {
    "stamp": _("Time-stamp"),
    "seal": _("Seal"),
    "batch-stamp": _("Batch of time-stamps"),
    "pdf-seal": _("Seal on a PDF"),
    "court": _("Package for a court"),
    "letter": _("Event of a letter"),
    "message": _("Partner’s message"),
    "filing": _("Filing with an authority"),
    "administration": _("Administration"),
    "ceremony": _("Ceremony"),
    "box-leaf": _("Leaf over all tenants"),
    "log-head": _("Head of a log"),
}
EXPORT_STATES: Final = {
    "running": (_("Under way"), "warn"),
    "made": (_("Ready"), "good"),
    "failed": (_("Failed"), "bad"),
    "cancelled": (_("Stopped"), "plain"),
}
KEY_STATES: Final = {
    "pre-active": (_("Not in use yet"), "plain"),
    "active": (_("Active"), "good"),
    "suspended": (_("Suspended"), "warn"),
    "deactivated": (_("Deactivated"), "warn"),
    "compromised": (_("Compromised"), "bad"),
    "destroyed": (_("Destroyed"), "plain"),
    "retired": (_("Retired"), "plain"),
}
"""Of keys, tenants and applications."""
CERTIFICATE_STATES: Final = {
    "in-force": (_("In force"), "good"),
    "active": (_("In force"), "good"),
    "held": (_("On hold"), "warn"),
    "suspended": (_("On hold"), "warn"),
    "revoked": (_("Revoked"), "bad"),
}
SEAL_TYPES: Final = {
    "official": _("The institution’s own seal"),
    "contract": _("Seal for contracts"),
    "finance": _("Seal for finance"),
    "guarantee": _("Seal for guarantees"),
    "legal-representative": _("Seal of the legal representative"),
}
ANCHOR_STATES: Final = {
    "due": (_("Due"), "plain"),
    "submitted": (_("Submitted to the ledger"), "plain"),
    "mined": (_("In a block, not final yet"), "plain"),
    "final": (_("Final"), "good"),
    "superseded": (_("Covered by a later anchor"), "plain"),
    "failed": (_("Failed"), "bad"),
}
ANCHOR_STRENGTHS: Final = {"proven": _("proven"), "attested": _("attested, not proven")}
PURPOSES: Final = {
    "seal": _("Seals"),
    "stamp": _("Time-stamps"),
    "log": _("Log heads"),
    "authority": _("Certificates"),
    "ocsp": _("Certificate status"),
    "release": _("Opening of veiled values"),
    "account": _("Ledger account"),
}
NEXT: Final = {
    "rotate": _("Rotate"),
    "certify": _("Issue a certificate"),
    "request": _("Request a certificate elsewhere"),
    "import": _("Import a certificate"),
    "activate": _("Begin to use it"),
    "back-up": _("Back up"),
    "resume": _("Resume"),
    "suspend": _("Suspend"),
    "deactivate": _("Deactivate"),
    "destroy": _("Destroy"),
    "compromised": _("Declare compromised"),
    "another-authority": _("Make another authority"),
    "hold": _("Put on hold"),
    "release": _("Lift the hold"),
    "revoke": _("Revoke for ever"),
    "rename-tenant": _("Change the registered name"),
    "set-quota": _("Set the quota"),
    "suspend-tenant": _("Suspend the tenant"),
    "resume-tenant": _("Resume the tenant"),
    "enrol-application": _("Enrol an application"),
    "authorise-enrolment": _("Authorise an enrolment"),
    "set-approval-policy": _("Write an approval policy"),
    "missing-policies": _("Set the approval policies that its kinds ask for"),
    "install-kind": _("Install a kind of letter"),
    "register-seal": _("Register a seal"),
    "withdraw-seal": _("Withdraw it"),
    "install-adapter": _("Install an adapter for filings"),
    "set-witnesses": _("Set the witnesses of its log"),
    "set-partner": _("Set a partner"),
    "enrol-certificate": _("Add a certificate"),
    "permissions": _("Change its permissions"),
    "suspend-application": _("Suspend it"),
    "resume-application": _("Resume it"),
}
"""Ceremonies that can follow, as links say them."""
KEY_WEAKNESSES: Final = {
    "its value can be read in the clear": _("its value can be read in the clear"),
    "it can be wrapped by any key": _("it can be wrapped by any key"),
    "its value was once outside this token in a way that this box does not use": _(
        "its value was once outside this token in a way that this box does not use"
    ),
    "it can be used without a login": _("it can be used without a login"),
    "it ends with the session": _("it ends with the session"),
    "it does not sign": _("it does not sign"),
    "it makes no message authentication codes": _("it makes no message authentication codes"),
    "it does not agree on secrets": _("it does not agree on secrets"),
    "it can also sign": _("it can also sign"),
    "it can also encrypt": _("it can also encrypt"),
    "it can also wrap keys": _("it can also wrap keys"),
    "it can also sign with message recovery": _("it can also sign with message recovery"),
    "it can also decrypt": _("it can also decrypt"),
    "it can also unwrap keys": _("it can also unwrap keys"),
    "it can also derive keys": _("it can also derive keys"),
    "its attributes can be changed": _("its attributes can be changed"),
    "it can be copied with other attributes": _("it can be copied with other attributes"),
}
"""What a token tells of a key, as the keymaster says it; the same in the reader's language."""
WEAKNESS_NAMES: Final = {
    "not-sensitive": _("its value can be read in the clear"),
    "extractable": _("it can be wrapped by any key"),
    "was-exposed": _("its value was once outside this token in a way that this box does not use"),
    "not-private": _("it can be used without a login"),
    "not-stored": _("it ends with the session"),
    "cannot-sign": _("it does not sign"),
    "cannot-mac": _("it makes no message authentication codes"),
    "cannot-agree": _("it does not agree on secrets"),
    "sign": _("it can also sign"),
    "encrypt": _("it can also encrypt"),
    "wrap": _("it can also wrap keys"),
    "sign-recover": _("it can also sign with message recovery"),
    "decrypt": _("it can also decrypt"),
    "unwrap": _("it can also unwrap keys"),
    "derive": _("it can also derive keys"),
    "modifiable": _("its attributes can be changed"),
    "copyable": _("it can be copied with other attributes"),
}
"""The same by the names that the workers' health has for them."""
BOX_WEAKNESSES: Final = {
    "rehearsal": (_("Rehearsal"), _("What this box signs is for rehearsal, now and for ever.")),
    "clock-unverified": (
        _("The clock is nobody’s word"),
        _("Times are the system clock’s, which nobody vouches for. Set a time source that can be shown to be right."),
    ),
    "weak-keys-allowed": (
        _("Weak keys are allowed"),
        _("The settings let tokens use keys that are weaker than this box makes them."),
    ),
    "exports-in-home": (
        _("Checkpoints stay on this disk"),
        _("They are exported into the home and are lost, or rolled back, with it. Export them to another machine."),
    ),
    "pins-on-disk": (
        _("PINs stand on the disk in clear"),
        _("Who takes the disk has them. At the console, “cinnabar pins seal” seals them to the machine."),
    ),
    "so-pins-on-box": (
        _("Security officers’ PINs stand in the home"),
        _("No process needs them. Take them away, and keep them where the officers do."),
    ),
    "users-shared": (
        _("Processes that open tokens share one user"),
        _("Whoever takes one of them over has the others’ files too. It takes an HSM other than SoftHSM to part them."),
    ),
    "weak-key": (
        _("A weak key is in use"),
        _("It can do more than sign, or could be read out. Its own page says which; make it anew."),
    ),
    "few-open-files": (
        _("The front may open few files"),
        _("It takes fewer connections, and who opens many shuts others out. Start it as root, or raise LimitNOFILE."),
    ),
    "documents-on-network": (
        _("Document workers are on the network"),
        _("They could not leave it. Start the box as root, outside a container that forbids it."),
    ),
    "documents-unconfined": (
        _("Document workers are not confined"),
        _("They are not held to the system calls, or the files, that they need: it takes seccomp and Landlock."),
    ),
    "users-not-separate": (
        _("Processes share one user"),
        _("Whoever takes one process over has the others’ files too. The box’s log says why."),
    ),
}
"""Label to what it is and what to do; the box's own sentence is shown for what is not here."""
ATTRIBUTES: Final = {
    "made_here": (_("Made inside this token"), True),
    "sensitive": (_("Its value cannot be read"), True),
    "always_sensitive": (_("Its value could never be read"), True),
    "extractable": (_("It can leave the token, wrapped"), False),
    "never_extractable": (_("It could never leave the token"), True),
    "wrap_with_trusted": (_("It leaves under a trusted wrapping key only"), True),
    "modifiable": (_("Its attributes can be changed"), False),
    "copyable": (_("It can be copied with other attributes"), False),
}
"""Of a key in its token; and whether `yes` is the stronger answer."""
MEASURES: Final = {
    "signatures": _("Signatures"),
    "stamps": _("Time-stamps"),
    "storage_bytes": _("Bytes stored"),
}
INDICATIONS: Final = {
    "TOTAL-PASSED": (_("Passed"), "good"),
    "INDETERMINATE": (_("Cannot be decided"), "warn"),
    "TOTAL-FAILED": (_("Failed"), "bad"),
}
"""EN 319 102-1; of a whole report, of a file and of a part."""
OUTCOMES: Final = {
    "passed": (_("holds"), "good"),
    "undecided": (_("cannot be decided"), "warn"),
    "failed": (_("does not hold"), "bad"),
    "note": (_("note"), "plain"),
}
"""Of one check."""
SETTINGS_PARTS: Final = {
    "general": _("The box"),
    "ledgers": _("Ledgers"),
    "tokens": _("Tokens"),
    "tenants": _("Tenants"),
    "units": _("Time-stamping units"),
    "seal_keys": _("Seal keys"),
    "logs": _("Logs"),
    "witnesses": _("Witnesses of the logs"),
    "authorities": _("Authorities"),
    "federations": _("Federations"),
    "clock": _("Clock"),
    "limits": _("Limits"),
    "records": _("Records"),
    "documents": _("Document workers"),
    "audit": _("Audit"),
    "users": _("Users of the processes"),
    "front": _("Listeners"),
}
VISITS: Final = {
    "signed-in": (_("Signed in"), "good"),
    "signed-out": (_("Signed out"), "plain"),
    "signed-out-everywhere": (_("Signed out everywhere"), "plain"),
    "enrolled": (_("Made the first passkey"), "good"),
    "proved": (_("Showed the passkey again"), "plain"),
    "passkey-added": (_("Added a passkey"), "warn"),
    "passkey-removed": (_("Removed a passkey"), "warn"),
    "refused": (_("Refused"), "bad"),
}


def days(number: int) -> str:
    """A number of days in words; below none, how long ago."""
    if number < 0:
        return str(ngettext("%(num)s day ago", "%(num)s days ago", -number))
    return str(ngettext("%(num)s day", "%(num)s days", number))


def query_of(asked: Any) -> str:
    """A search without its cursor, as the query of an address."""
    members = msgspec.to_builtins(asked)
    kept = {name: "on" if value is True else value for name, value in members.items() if value and name != "cursor"}
    return urlencode(kept)


def action_name(tag: str) -> Any:
    """An action as people call it."""
    return ACTIONS.get(tag, tag)


def scope_name(scope: str) -> str:
    """A scope as people call it."""
    if scope == "box":
        return str(_("the box"))
    return visible(scope.partition("/")[2])


def word(table: dict[str, Any], key: str) -> Any:
    """A key's word; the key itself where there is none."""
    return table.get(key, key)


def wbr(text: str) -> Markup:
    """A long hexadecimal text in groups of eight, which may break between them."""
    parts = [visible(text)[at : at + 8] for at in range(0, len(text), 8)]
    return Markup("<wbr>").join(parts)


def install(app: Flask) -> None:
    app.jinja_env.filters.update(scope_name=scope_name, wbr=wbr, action_name=action_name, days=days)
    app.jinja_env.globals.update(
        ANCHOR_STATES=ANCHOR_STATES,
        ANCHOR_STRENGTHS=ANCHOR_STRENGTHS,
        CEREMONY_STATES=CEREMONY_STATES,
        VERBS=VERBS,
        EVENTS=EVENTS,
        QUESTION_STATES=QUESTION_STATES,
        CHANGES=CHANGES,
        SCRIPT_GROUPS=GROUPS,
        OFFICERS=OFFICERS,
        STATES=STATES,
        STATE_MEANINGS=STATE_MEANINGS,
        STATE_TONES=STATE_TONES,
        CAUSES=CAUSES,
        ROLES=ROLES,
        KINDS=KINDS,
        EXPORT_STATES=EXPORT_STATES,
        KEY_STATES=KEY_STATES,
        CERTIFICATE_STATES=CERTIFICATE_STATES,
        PURPOSES=PURPOSES,
        SEAL_TYPES=SEAL_TYPES,
        NEXT=NEXT,
        KEY_WEAKNESSES=KEY_WEAKNESSES,
        WEAKNESS_NAMES=WEAKNESS_NAMES,
        BOX_WEAKNESSES=BOX_WEAKNESSES,
        ATTRIBUTES=ATTRIBUTES,
        MEASURES=MEASURES,
        INDICATIONS=INDICATIONS,
        OUTCOMES=OUTCOMES,
        SETTINGS_PARTS=SETTINGS_PARTS,
        VISITS=VISITS,
        AUDIT_ROLES=AUDIT,
        query_of=query_of,
        word=word,
    )
