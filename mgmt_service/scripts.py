"""Templates of ceremonies: which actions, in which order, and which of their members are one and the same. Data only.

A template is a convenience of this page: what is approved is the proposal, which says everything by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from flask_babel import lazy_gettext as _

from appliance.ceremonies import actions as kinds
from appliance.ceremonies.actions import Action
from mgmt_service.ordering import MOST

ACTIONS: Final[dict[str, type[msgspec.Struct]]] = {str(kind.__struct_config__.tag): kind for kind in Action.__args__}
"""Every action by its tag."""


@dataclass(frozen=True)
class Step:
    """One action. `shared`: member to the template's shared field; `fixed`: members that the template decides."""

    action: type[msgspec.Struct]
    shared: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    preset: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        return str(self.action.__struct_config__.tag)


@dataclass(frozen=True)
class Script:
    slug: str
    title: Any
    about: Any
    steps: tuple[Step, ...]
    shared: tuple[str, ...] = ()
    """Shared fields, in order; named as the members that take them."""
    amends: bool = False
    """Ends with a change of officers, which is written on a form of its own."""
    box_only: bool = False
    group: str = "keys"


_KEY = {"tenant": "tenant", "key": "key"}
_SUCCESSOR = {"tenant": "tenant", "key": "successor"}
_ROTATE = Step(kinds.RotateKey, _KEY | {"successor": "successor"}, preset={"overlap_hours": 72})
_RELEASE = {
    "purpose": "release", "scheme": "ecdh-p256", "for_backup": False, "signature_limit": None, "applications": [],
}  # fmt: skip

SCRIPTS: Final = (
    Script(
        "seal-key",
        _("Give a tenant a seal key"),
        _("Makes a key in the tenant’s token, certifies it by an authority of the box, and begins to seal with it."),
        (
            Step(kinds.GenerateKey, _KEY | {"token": "token"}, {"purpose": "seal"}, {"scheme": "ecdsa-p256-sha256"}),
            Step(kinds.IssueCertificate, _KEY, preset={"authority": "seal-ca", "days": 365}),
            Step(kinds.ActivateKey, _KEY, fixed={"public": False, "policies": []}),
        ),
        ("tenant", "token", "key"),
    ),
    Script(
        "rotate-a-key",
        _("Rotate a key"),
        _("Makes a successor, certifies it, and puts it in the old key’s place; both work for the overlap."),
        (
            Step(
                kinds.GenerateKey,
                _SUCCESSOR | {"token": "token"},
                preset={"scheme": "ecdsa-p256-sha256", "purpose": "seal"},
            ),
            Step(kinds.IssueCertificate, _SUCCESSOR, preset={"authority": "seal-ca", "days": 365}),
            _ROTATE,
        ),
        ("tenant", "token", "key", "successor"),
    ),
    Script(
        "back-up-keys",
        _("Back up keys"),
        _("Wraps keys that were made for backup under a new key, which is split among custodians."),
        (Step(kinds.BackUpKeys),),
    ),
    Script(
        "restore-keys",
        _("Restore keys from a backup"),
        _("Brings keys back from a backup file into a token; the custodians enter their shares at the console."),
        (Step(kinds.RestoreKeys),),
    ),
    Script(
        "set-standby",
        _("Let a second token stand by"),
        _("Lets a token into which keys were restored sign for the first one while that is gone."),
        (Step(kinds.SetStandby),),
    ),
    Script(
        "end-standby",
        _("Take a standby token out"),
        _("Lets a token stand by for another no longer; its keys stay in it."),
        (Step(kinds.EndStandby),),
    ),
    Script(
        "new-authority",
        _("New certification authority"),
        _("Makes a key in the box’s token, a root certificate that it signs itself, and begins to certify with it."),
        (
            Step(
                kinds.GenerateKey,
                {"key": "key", "token": "token"},
                {"tenant": None, "purpose": "authority"},
                {"scheme": "ecdsa-p384-sha384"},
            ),
            Step(kinds.CreateAuthority, {"key": "key"}, preset={"role": "seal", "days": 3650}),
            Step(kinds.ActivateKey, {"key": "key"}, {"tenant": None, "public": False, "policies": []}),
        ),
        ("token", "key"),
        box_only=True,
    ),
    Script(
        "release-key",
        _("Give a tenant a release key"),
        _("Makes a token and in it the key that bids and other values are veiled to, certifies it, and hands it out."),
        (
            Step(kinds.InitialiseToken, {"tenant": "tenant", "token": "token"}),
            Step(kinds.GenerateKey, _KEY | {"token": "token"}, _RELEASE),
            Step(kinds.IssueCertificate, _KEY, preset={"authority": "seal-ca", "days": 730}),
            Step(kinds.ActivateKey, _KEY, fixed={"public": False, "policies": []}),
        ),
        ("tenant", "token", "key"),
    ),
    Script(
        "rotate-a-release-key",
        _("Rotate a release key"),
        _("Makes a successor that new values are veiled to; what was veiled to the old key still opens with that."),
        (
            Step(kinds.GenerateKey, _SUCCESSOR | {"token": "token"}, _RELEASE),
            Step(kinds.IssueCertificate, _SUCCESSOR, preset={"authority": "seal-ca", "days": 730}),
            _ROTATE,
        ),
        ("tenant", "token", "key", "successor"),
    ),
    Script(
        "destroy-a-release-key",
        _("Destroy a release key"),
        _("Destroys a stopped release key. What was veiled to it and is not opened yet is lost; you say how much."),
        (Step(kinds.DestroyReleaseKey),),
    ),
    Script(
        "message-key",
        _("Give a tenant a key of messages"),
        _("Makes the key to which partners encrypt their messages, or the next one; the one before it still opens."),
        (Step(kinds.MakeMessageKey),),
    ),
    Script(
        "uniqueness-key",
        _("Give a tenant a key of uniqueness"),
        _("Makes the key by which a tenant’s letters are used once, where it has none. It is never replaced."),
        (Step(kinds.MakeUniquenessKey),),
    ),
    Script(
        "set-witnesses",
        _("Set the witnesses of a log"),
        _("Says who cosigns the heads of a log, and how many of them must; and which of their keys count no more."),
        (Step(kinds.SetWitnesses),),
        group="logs",
    ),
    Script(
        "set-algorithm-ends",
        _("Say until when algorithms may be relied on"),
        _("Tells verifiers, in the trust bundle, when each algorithm ends. It replaces what was said before."),
        (Step(kinds.SetAlgorithmEnds),),
        box_only=True,
        group="logs",
    ),
    Script(
        "renew-logs",
        _("Renew the logs under another hash"),
        _("Allows every log to go on under another hash. Somebody then does it by command, on the stopped box."),
        (Step(kinds.RenewLogs),),
        box_only=True,
        group="logs",
    ),
    Script(
        "suspend-key",
        _("Suspend a key"),
        _("Stops a key at once, on your word alone. It can be undone by a ceremony."),
        (Step(kinds.SuspendKey),),
        group="stop",
    ),
    Script(
        "stop-issuing",
        _("Stop issuing a kind of letter"),
        _("Lets nothing new of a kind be issued, at once, on your word alone. Letters that stand go on."),
        (Step(kinds.StopIssuing),),
        group="stop",
    ),
    Script(
        "suspend-tenant",
        _("Suspend a tenant"),
        _("Stops a whole tenant at once, on your word alone. It can be undone by a ceremony."),
        (Step(kinds.SuspendTenant),),
        box_only=True,
        group="stop",
    ),
    Script(
        "lock",
        _("Lock the box"),
        _("Stops all signing at once, on your word alone, until an unlock ceremony."),
        (Step(kinds.Lock),),
        box_only=True,
        group="stop",
    ),
    Script(
        "new-tenant",
        _("New tenant with its officers"),
        _("Makes a tenant with a token, a content key and a log, and puts its officers into the constitution."),
        (Step(kinds.CreateTenant, {"name": "name"}),),
        ("name",),
        amends=True,
        box_only=True,
        group="people",
    ),
    Script(
        "replace-officers",
        _("Change the officers"),
        _("Adds, replaces or removes officers of a scope, or its threshold; the whole set at once if need be."),
        (),
        amends=True,
        group="people",
    ),
    Script(
        "rename-tenant",
        _("Change a tenant’s registered name"),
        _("Registers another name of the institution; certificates issued from then on say it."),
        (Step(kinds.RenameTenant),),
        box_only=True,
        group="tenants",
    ),
    Script(
        "set-quota",
        _("Set a tenant’s quota"),
        _("Says how much a tenant may use in a day."),
        (Step(kinds.SetQuota),),
        box_only=True,
        group="tenants",
    ),
    Script(
        "enrol-application",
        _("Enrol an application"),
        _("Lets a program of a tenant call the box by its certificate, with the permissions that you list."),
        (
            Step(kinds.EnrolApplication, {"tenant": "tenant", "application": "application"}),
            Step(kinds.EnrolCertificate, {"tenant": "tenant", "application": "application"}),
        ),
        ("tenant", "application"),
        group="tenants",
    ),
    Script(
        "new-federation",
        _("New federation"),
        _("Makes a register of what is used once among several institutions, and says who may join."),
        (Step(kinds.CreateFederation),),
        box_only=True,
        group="tenants",
    ),
    Script(
        "join-federation",
        _("Join a federation"),
        _("Lets a tenant’s letters be used once among all members. It learns “taken” of them and nothing else."),
        (Step(kinds.JoinFederation),),
        group="tenants",
    ),
    Script(
        "leave-federation",
        _("Leave a federation"),
        _("Takes part no more. What the tenant’s letters used there stays used."),
        (Step(kinds.LeaveFederation),),
        group="tenants",
    ),
    Script(
        "install-kind",
        _("Install a kind of letter"),
        _("Lets a tenant write letters of a kind, or of its next version. The file is checked before anybody signs."),
        (Step(kinds.InstallKind),),
        group="tenants",
    ),
    Script(
        "set-letter-terms",
        _("Set limits or fees of letters"),
        _("Says what a tenant’s letters may come to, or what their events cost. It takes the place of the last file."),
        (Step(kinds.SetLetterTerms),),
        group="tenants",
    ),
    Script(
        "resume-issuing",
        _("Let a kind be issued again"),
        _("Lets letters of a kind be issued again, after a breaker or an officer stopped it."),
        (Step(kinds.ResumeIssuing),),
        group="tenants",
    ),
    Script(
        "register-seal",
        _("Register a seal"),
        _("Lets seals of a tenant be seen as a picture, by the keys that you list and within a time."),
        (Step(kinds.RegisterSeal),),
        group="tenants",
    ),
    Script(
        "install-adapter",
        _("Install an adapter for filings"),
        _("Has letters of a kind filed with an authority, and its receipts make their next events."),
        (Step(kinds.InstallAdapter),),
        group="tenants",
    ),
    Script(
        "set-partner",
        _("Set a partner"),
        _("Says what a partner may send to the message gateway, how it signs, and to whom answers are encrypted."),
        (Step(kinds.SetPartner),),
        group="tenants",
    ),
)
BY_SLUG: Final = {script.slug: script for script in SCRIPTS}
GROUPS: Final = {
    "keys": _("Keys"),
    "people": _("Officers and tenants"),
    "tenants": _("Applications and quotas"),
    "logs": _("Logs and verifiers"),
    "stop": _("Stop something now"),
}


def free_script(tags: list[str]) -> Script:
    """A template of the actions that a person picked; those that are unknown are left out."""
    picked = tuple(Step(ACTIONS[tag]) for tag in known_tags(tags))
    return Script("free", _("Your own ceremony"), _("The actions that you picked, in this order."), picked)


def known_tags(tags: list[str]) -> list[str]:
    """Those of actions that can be picked, as many as a ceremony takes."""
    return [tag for tag in tags if tag in ACTIONS and ACTIONS[tag] is not kinds.AmendConstitution][:MOST]
