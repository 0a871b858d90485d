"""An adapter: how letters of a kind are filed with one authority, as one TOML file. Its digest is that of its bytes.

HOME/adapters/TENANT/ID/VERSION.toml, installed by a ceremony; the newest version of each is in force.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from appliance.filing.errors import AdapterRefused
from appliance.gateway.keys import Signing, fits_signing
from appliance.letters.kind import Bilingual, Event, Kind

ADAPTER_BYTES: Final = 256 * 1024
Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{0,62}\Z")]
Member = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Path = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?\Z", max_length=130)]
"""A clear field of the letter, or a member of a party's or of an amount: batch, authority.name, total.amount."""
Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Authority(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where letters are filed, and by whose key receipts are known."""

    url: Annotated[str, msgspec.Meta(pattern=r"\Ahttps://[^@?#\s]+\Z", max_length=1_000)]
    method: Literal["POST", "PUT"] = "POST"
    ca: str
    """PEM: whose TLS certificates are believed."""
    certificate: str
    """PEM: whose key signs receipts."""
    sign: Signing
    """How."""


class Text(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member that is the same for every letter."""

    text: str


class Table(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows of a receipt as a table of the event's data."""

    member: Member
    """A list of objects in the receipt."""
    columns: dict[str, Member]
    """Column to member."""


class Outcome(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receipt that says so has this event happen."""

    value: str
    """Of the receipt's outcome member."""
    event: Name
    data: dict[str, Table] = {}


class Answers(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a receipt is read: a JSON object."""

    registry: Name
    """As the kind calls the authority in `receipts`."""
    request: Member
    """The member that repeats the filing's number."""
    number: Member
    """The member with the receipt's own."""
    outcome: Member
    outcomes: Annotated[list[Outcome], msgspec.Meta(min_length=1, max_length=16)]


class Retry(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    first_s: Seconds = 5
    """Before the second attempt; twice as long before each further one."""
    most_s: Seconds = 3_600
    timeout_s: Seconds = 30


class Adapter(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    format: Literal["cinnabar-adapter/1"]
    id: Name
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    title: Bilingual
    kind: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,62}\Z")]
    state: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,62}\Z")]
    """Letters in this state are filed: the event that leads there puts them into the outbox, as it is recorded."""
    when: dict[str, str] = {}
    """Clear text fields that must have these values: which of several adapters files a letter."""
    key: str
    """The tenant's seal key that signs what is filed."""
    number: Member
    """The authority's name for the filing's number."""
    message: Annotated[dict[Member, Path | Text], msgspec.Meta(min_length=1, max_length=200)]
    """The authority's name for each member, and what it is."""
    authority: Authority
    receipt: Answers
    retry: Retry = Retry()


@dataclass(frozen=True)
class LoadedAdapter:
    """An adapter, read."""

    adapter: Adapter
    digest: str
    """SHA-256 of the file, hexadecimal."""
    signer: PublicKeyTypes
    """Whose signature a receipt carries."""

    def files(self, kind: str, state: str, fields: dict[str, object]) -> bool:
        """Whether it files such a letter."""
        adapter = self.adapter
        return (adapter.kind, adapter.state) == (kind, state) and all(
            fields.get(name) == value for name, value in adapter.when.items()
        )


def read_adapter(text: bytes) -> LoadedAdapter:
    """Raises AdapterRefused."""
    if len(text) > ADAPTER_BYTES:
        raise AdapterRefused(f"an adapter has at most {ADAPTER_BYTES} bytes")
    try:
        adapter = msgspec.convert(tomllib.loads(text.decode()), Adapter)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AdapterRefused(str(error)) from None
    try:
        x509.load_pem_x509_certificates(adapter.authority.ca.encode())
        (certificate,) = x509.load_pem_x509_certificates(adapter.authority.certificate.encode())
        signer = certificate.public_key()
    except ValueError:
        raise AdapterRefused("authority: ca and certificate are PEM, the latter one certificate") from None
    if not fits_signing(adapter.authority.sign, signer):
        raise AdapterRefused(f"authority.certificate: its key is not one for {adapter.authority.sign}")
    if adapter.number in adapter.message:
        raise AdapterRefused("message: the filing's number is put in by the box")
    values = [one.value for one in adapter.receipt.outcomes]
    if len(set(values)) < len(values):
        raise AdapterRefused("receipt.outcomes: a value stands twice")
    return LoadedAdapter(adapter, hashlib.sha256(text).hexdigest(), signer)


def host_of(adapter: Adapter) -> str:
    """HOST:PORT, as the box's settings list it. Raises AdapterRefused."""
    try:
        parts = urlsplit(adapter.authority.url)
        return f"{parts.hostname}:{parts.port or 443}"
    except ValueError:
        raise AdapterRefused("authority.url: it cannot be read") from None


def check_adapter(loaded: LoadedAdapter, kind: Kind, hosts: Sequence[str]) -> None:
    """Whether an adapter goes with its kind, and with the hosts that the box may reach. Raises AdapterRefused."""
    adapter = loaded.adapter
    if host_of(adapter) not in hosts:
        raise AdapterRefused(f"authority.url: {host_of(adapter)} is not among the box's filing_hosts")
    if adapter.state not in kind.states:
        raise AdapterRefused(f"state: {kind.id} has no state {adapter.state}")
    paths = [one for one in adapter.message.values() if isinstance(one, str)]
    for name in [*(path.partition(".")[0] for path in paths), *adapter.when]:
        field = kind.fields.get(name)
        if field is None or field.confidentiality != "clear":
            raise AdapterRefused(f"message: {kind.id} has no clear field {name}")
    for outcome in adapter.receipt.outcomes:
        _check_event(adapter, kind.id, outcome, kind.events.get(outcome.event))


def _check_event(adapter: Adapter, kind: str, outcome: Outcome, event: Event | None) -> None:
    if event is None or adapter.state not in event.from_:
        raise AdapterRefused(f"receipt.outcomes: {kind} has no event {outcome.event} in {adapter.state}")
    if adapter.receipt.registry not in event.receipts:
        raise AdapterRefused(f"receipt.registry: {outcome.event} takes no receipt of {adapter.receipt.registry}")
    if event.to == adapter.state:
        raise AdapterRefused(f"receipt.outcomes: after {outcome.event} the letter would be filed again")
    missing = [name for name in outcome.data if name not in event.data]
    if missing:
        raise AdapterRefused(f"receipt.outcomes: {outcome.event} has no data {missing[0]}")
