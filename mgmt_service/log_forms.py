"""Forms of actions on witnesses and algorithms: rows and ticks in place of the texts that the actions are made of.

An action says `VKEY=URL` and `rsa<3000=TIME`; nobody should have to write that by hand. What a form begins with is what
holds now, since both actions say all of it anew.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from appliance.box.settings import BoxSettings, LogSettings, WitnessSettings
from appliance.box.witnesses import WitnessesRefused, known_witnesses, read_witness
from appliance.ceremonies.actions import MOST_CERTIFICATES, MOST_ENDS, SetAlgorithmEnds, SetWitnesses
from appliance.evidence.bundle import AlgorithmEnd, BundleDocument
from mgmt_service.forms import FieldError

ALGORITHMS: Final = {
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
    "sha3-256": "SHA3-256",
    "sha3-384": "SHA3-384",
    "sha3-512": "SHA3-512",
    "sm3": "SM3",
    "rsa": "RSA",
    "ecdsa": "ECDSA",
    "ed25519": "Ed25519",
    "ml-dsa": "ML-DSA",
}
"""Names in the bundle, as people write them."""
_SIZED: Final = frozenset({"rsa", "ecdsa"})
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def use_of(algorithm: str, below_bits: int | None) -> str:
    """An algorithm as people write it, with the keys that are meant."""
    name = ALGORITHMS.get(algorithm, algorithm)
    return name if below_bits is None else f"{name} < {below_bits}"


Text = Annotated[str, msgspec.Meta(max_length=2_000)]


@dataclass(frozen=True)
class KnownWitness:
    """A witness of one of the viewer's logs."""

    key: str
    """Verifier key."""
    url: str
    name: str
    owners: tuple[str, ...]
    """Whose logs it cosigns: tenants, and the empty text for the box."""

    @property
    def entry(self) -> str:
        """As the action has it."""
        return f"{self.key}={self.url}"


@dataclass(frozen=True)
class Standing:
    """What logs and verifiers go by now, as far as it is the viewer's (control CHANNEL)."""

    witnesses: tuple[KnownWitness, ...] = ()
    needed: Mapping[str, int] = field(default_factory=dict)
    """By owner of a log: how many must cosign."""
    authorities: Mapping[str, str] = field(default_factory=dict)
    """By owner: CA certificates of its witnesses, PEM."""
    revocable: tuple[str, ...] = ()
    """Verifier keys that are not revoked: of these witnesses, and of those that the same logs had before."""
    ends: tuple[AlgorithmEnd, ...] = ()
    hashes: frozenset[str] = frozenset()
    """Names of those that a log of the box is, or has been, under."""
    owner: str = ""
    """Whose log a form begins with."""


def standing_of(settings: BoxSettings, owners: Sequence[str], trust: BundleDocument | None) -> Standing:
    """`owners`: whose officer the viewer is, the empty text for the box. `trust`: what verifiers were told last."""
    logs = [log for log in settings.logs if (log.tenant or "") in owners]
    try:
        names = {
            one.key.name: entry
            for one, entry in zip(known_witnesses(settings.witnesses), settings.witnesses, strict=True)
        }
    except WitnessesRefused:
        names = {}
    mine = {name: entry for name, entry in names.items() if any(name in log.witnesses for log in logs)}
    rules = [] if trust is None or trust.cosigning is msgspec.UNSET else trust.cosigning
    origins = {origin for log in logs for origin in (log.origin, *(one.origin for one in log.ended))}
    once = {name for rule in rules if rule.origin in origins for name in rule.witnesses}
    told = [] if trust is None else trust.witnesses
    revoked = {one.key for one in told if one.revoked is not msgspec.UNSET}
    keys = [entry.key for entry in mine.values()] + [one.key for one in told if one.key.partition("+")[0] in once]
    return Standing(
        witnesses=tuple(
            KnownWitness(entry.key, entry.url, name, tuple(log.tenant or "" for log in logs if name in log.witnesses))
            for name, entry in mine.items()
        ),
        needed={log.tenant or "": log.witness_quorum for log in logs},
        authorities={log.tenant or "": _authorities(log, mine) for log in logs},
        revocable=tuple(dict.fromkeys(key for key in keys if key not in revoked)),
        ends=() if trust is None or trust.algorithms is msgspec.UNSET else tuple(trust.algorithms),
        hashes=frozenset(origin.rpartition("/")[2] for origin in origins),
    )


def _authorities(log: LogSettings, known: Mapping[str, WitnessSettings]) -> str:
    given = [pem for name in log.witnesses if name in known for pem in _PEM.findall(known[name].ca or "")]
    return "\n".join(dict.fromkeys(given))


class NewWitness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    verifier_key: Text = ""
    address: Text = ""


class WitnessesForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tenant: str | None
    asked: list[Text] = []
    """VKEY=URL of known witnesses."""
    newcomers: list[NewWitness] = []
    needed: Annotated[int, msgspec.Meta(ge=0)]
    witness_authorities: Annotated[list[str], msgspec.Meta(max_length=MOST_CERTIFICATES)] = []
    revoked: list[Text] = []


class EndRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    algorithm: Literal[
        "", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512", "sm3", "rsa", "ecdsa", "ed25519", "ml-dsa"
    ] = ""  # fmt: skip
    below_bits: Annotated[int, msgspec.Meta(ge=1, le=65_536)] | None = None
    until: Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z|)\Z")] = ""


class EndsForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ends: Annotated[list[EndRow], msgspec.Meta(max_length=MOST_ENDS)] = []


@dataclass(frozen=True)
class Shape:
    """How the form of an action differs from the action."""

    form: type[msgspec.Struct]
    action: Callable[[Any], msgspec.Struct]
    """From the form. Raises FieldError."""
    begins: Callable[[Standing, str], dict[str, Any]]
    """What the form begins with, for the log of an owner."""

    def given(self, entered: Mapping[str, Any]) -> bool:
        """Whether what was entered is this form, and not the action's own members."""
        own = {one.encode_name for one in msgspec.structs.fields(self.form)}
        return not set(entered) - {"action"} or bool(set(entered) & (own - _SHARED))


_SHARED: Final = frozenset({"tenant", "needed", "witness_authorities", "revoked"})
"""Members that form and action both have."""


def _witnesses(form: WitnessesForm) -> SetWitnesses:
    entries = list(form.asked)
    for at, one in enumerate(form.newcomers):
        _check_witness(one, f"newcomers.{at}")
        if any(entry.partition("+")[0] == one.verifier_key.partition("+")[0] for entry in entries):
            raise FieldError(gettext("A witness of this name stands here already."), f"newcomers.{at}.verifier_key")
        entries.append(f"{one.verifier_key}={one.address}")
    if form.needed > len(entries):
        raise FieldError(gettext("No more than there are witnesses: %(number)s.") % {"number": len(entries)}, "needed")
    if entries and not form.needed:
        raise FieldError(gettext("One at least, where there are witnesses."), "needed")
    if any(entry.partition("=")[0] in form.revoked for entry in entries):
        raise FieldError(gettext("It cannot cosign from now on and be revoked as well."), "revoked")
    return SetWitnesses(
        tenant=form.tenant,
        witnesses=entries,
        witness_authorities=form.witness_authorities,
        needed=form.needed,
        revoked=form.revoked,
    )


def _check_witness(one: NewWitness, path: str) -> None:
    try:
        read_witness(WitnessSettings(key=one.verifier_key, url=one.address))
    except WitnessesRefused as error:
        if error.member == "key":
            text = gettext("No verifier key of a witness: NAME+8 digits+letters, as “cinnabar witness show” prints it.")
            raise FieldError(text, f"{path}.verifier_key") from None
        text = gettext("An address is https://HOST[:PORT][/PATH]; http is for this machine alone.")
        raise FieldError(text, f"{path}.address") from None


def _witnesses_now(standing: Standing, owner: str) -> dict[str, Any]:
    return {
        "tenant": owner,
        "asked": [one.entry for one in standing.witnesses if owner in one.owners],
        "needed": standing.needed.get(owner, 0),
        "witness_authorities": standing.authorities.get(owner, ""),
    }


def _ends(form: EndsForm) -> SetAlgorithmEnds:
    texts: list[str] = []
    for at, one in enumerate(form.ends):
        if not one.algorithm:
            raise FieldError(gettext("Something must stand here."), f"ends.{at}.algorithm")
        if one.below_bits is not None and one.algorithm not in _SIZED:
            raise FieldError(gettext("Keys of several sizes are of RSA and ECDSA alone."), f"ends.{at}.below_bits")
        try:
            datetime.datetime.fromisoformat(one.until)
        except ValueError:
            raise FieldError(gettext("A date and a time."), f"ends.{at}.until") from None
        use = one.algorithm if one.below_bits is None else f"{one.algorithm}<{one.below_bits}"
        if any(text.partition("=")[0] == use for text in texts):
            raise FieldError(gettext("It has an end already, further up."), f"ends.{at}.algorithm")
        texts.append(f"{use}={one.until}")
    return SetAlgorithmEnds(algorithms=texts)


def _ends_now(standing: Standing, _owner: str) -> dict[str, Any]:
    rows = [
        {"algorithm": one.algorithm, "below_bits": one.below_bits or "", "until": one.until} for one in standing.ends
    ]
    return {"ends": rows}


SHAPES: Final[Mapping[type, Shape]] = {
    SetWitnesses: Shape(WitnessesForm, _witnesses, _witnesses_now),
    SetAlgorithmEnds: Shape(EndsForm, _ends, _ends_now),
}


def form_of(action: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """What the form of an action is made from."""
    return SHAPES[action].form if action in SHAPES else action


LABELS: Final[Mapping[str, Any]] = {
    "asked": _("Witnesses that are known here"),
    "verifier_key": _("Verifier key"),
    "address": _("Address"),
    "algorithm": _("Algorithm"),
    "below_bits": _("Only keys of fewer bits than"),
}
HELP: Final[Mapping[str, Any]] = {
    "asked": _("At first those are ticked that cosign the log of %(owner)s. Whoever is not ticked is asked no more."),
    "needed": _("Of those ticked and those added. 0 only where there are none."),
    "verifier_key": _("As its operator sends it: NAME+8 digits+letters. He wants the log’s origin and key in return."),
    "address": _("Its submission prefix, such as https://witness.example."),
    "witness_authorities": _(
        "PEM, one after another: who issued the witnesses’ TLS certificates. None: the system’s CAs."
    ),
    "revoked": _("Of witnesses whose key is, or may be, somebody else’s. It cannot be undone."),
    "below_bits": _("RSA and ECDSA only; empty: keys of every size."),
    "hash": _("Of the new logs. Nothing changes before somebody stops the box and gives “cinnabar log renew”."),
}
ROWS: Final[Mapping[str, Any]] = {
    "newcomers": _("Another witness, %(number)s"),
    "ends": _("End %(number)s"),
    "tiers": _("Up to an amount, %(number)s"),
}
"""Legends of what comes in rows."""
