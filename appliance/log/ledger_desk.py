"""The desk at which the log follower signs transactions for ledgers (docs/decisions/0020-anchors-in-two-processes.md).

The anchorer says what is to be built, in fields; it never hands over bytes to be signed. The desk finds the checkpoint
signed by a key of the box's own log, builds the transaction within the bounds of box.json, and lets it go once each of
its signatures is a durable row (control RECORD). A locked history signs nothing (control FORK).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, Protocol

import msgspec
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import hsm
from appliance.anchors import commitment_of
from appliance.box.home import Home
from appliance.box.ledgers import AccountSettings, account_of
from appliance.box.settings import BoxSettings
from appliance.box.users import assign
from appliance.calls.pace import Pace
from appliance.calls.server import CallServer
from appliance.calls.sockets import Peer
from appliance.errors import NotFound, Unavailable
from appliance.files import write_durably
from appliance.log.checkpoint import open_checkpoint
from appliance.log.errors import LogLocked, MalformedNote, SignatureInvalid
from appliance.log.keys import read_log_keys
from appliance.log.ledgers import MAKERS, CheckedCheckpoint, Request, RequestRefused
from appliance.log.reader import log_directory
from appliance.log.records import RowKind
from hsm.mechanisms import P256_DIGEST, SECP256K1_DIGEST
from hsm.x509 import private_key

ROW: Final[RowKind] = "chain-transaction"
NOT_RECORDED: Final = "not-recorded"
HOUR_SECONDS: Final = 3_600.0
SLOW_SECONDS: Final = 0.2
BURST: Final = 100
CALLS_A_SECOND: Final = 20
"""Of all calls and connections, refused ones too: heads are made and signed in the same loop, which an anchorer that
somebody has stolen must not keep busy. An anchor takes a few."""
AWAY_SECONDS: Final = 30.0
"""How long a token is left alone that took longer than that to fail."""
COUNTS_FILE: Final = "ledger-desk.json"
"""Beside the logs."""

REQUEST_SCHEME: Final = "ecdsa-p256-sha256"
_SCHEMES: Final = {"secp256k1": SECP256K1_DIGEST, "secp256r1": P256_DIGEST}

logger = structlog.get_logger("log")


_CommonName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]  # RFC 5280, appendix A.1: ub-common-name


class Keys(Protocol):
    """The tokens, opened when they are needed."""

    def signing_key(self, token: str, key_uri: str, scheme: str, *, lower_s: bool) -> hsm.SigningKey:
        """Raises hsm.HsmError."""


class Rows(Protocol):
    async def record(self, kind: RowKind, key: str, time: int, subject: str, body: bytes) -> None:
        """Make a row durable; a refusal counts the signature as dropped."""


def desk_users(settings: BoxSettings) -> frozenset[int]:
    """Who may have transactions signed: root and the anchorer; our own user only where the anchorer shares it."""
    numbers = assign(settings).numbers
    separate = numbers.anchorer is not None and os.geteuid() == numbers.log
    return frozenset((0, numbers.anchorer if separate and numbers.anchorer is not None else os.geteuid()))


class LedgerDesk:
    """Signs for the ledgers of box.json that have an account."""

    def __init__(
        self, home: Home, settings: BoxSettings, keys: Keys, rows: Rows, count_drop: Callable[[str, int], None]
    ) -> None:
        """`count_drop`: told of signatures that were made and will not be released."""
        self._home = home
        self._ledgers = {one.name: one for one in settings.ledgers if account_of(one) is not None}
        self._origin = next((log.origin for log in settings.logs if log.tenant is None), "")
        self._keys = keys
        self._rows = rows
        self._count_drop = count_drop
        self._away: dict[str, float] = {}
        self._counts = home.logs / COUNTS_FILE
        self._signed = _read_counts(self._counts)
        """When transactions were signed, in seconds since the epoch, by account."""
        self._users = desk_users(settings) if self._ledgers else frozenset()
        self._server: CallServer | None = None
        self._one = asyncio.Lock()

    async def start(self) -> None:
        """Serve the anchorer, where any ledger has an account."""
        if not self._ledgers:
            return
        self._home.ledger_desk_socket.parent.mkdir(parents=True, exist_ok=True)
        self._server = CallServer(
            "ledger-desk",
            {"sign": self.sign, "account": self.account, "certificate_request": self.certificate_request},
            self._users,
            pace=Pace(BURST, CALLS_A_SECOND, RequestRefused(f"more than {CALLS_A_SECOND} calls come in a second")),
        )
        await self._server.start(self._home.ledger_desk_socket, 0o660)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()

    async def account(self, ledger: str) -> bytes:
        """The public key of a ledger's account, compressed, 33 bytes. Raises NotFound, hsm.HsmError."""
        return _compressed(self._key(ledger))

    async def sign(self, request: Request) -> bytes:
        """The raw signed transaction. Raises RequestRefused, NotFound, LogLocked, Unavailable, hsm.HsmError."""
        key = self._key(request.ledger)
        settings = self._ledgers[request.ledger]
        if request.__struct_config__.tag != settings.__struct_config__.tag:
            raise RequestRefused(f"{request.ledger} is no ledger of the request's type")
        checkpoint = self._checked(request.checkpoint)
        unsigned = MAKERS[type(request)].make(request, checkpoint, settings, _compressed(key))
        async with self._one:
            if self._home.history_lock.exists():  # looked at in its turn: others may have been signed meanwhile
                raise LogLocked("the box's history is not shown to be the only one: nothing is signed")
            await self._count(request.ledger)
            signatures = await self._signatures(key, unsigned.digests)
            try:
                raw = unsigned.signed(signatures)
            except Exception:
                self._count_drop(NOT_RECORDED, len(signatures))
                raise
            await self._record(request.ledger, raw, len(signatures))
        logger.info("chain-transaction-signed", ledger=request.ledger, size=checkpoint.checkpoint.size)
        return raw

    async def certificate_request(self, peer: Peer, ledger: str, name: _CommonName) -> bytes:
        """A certification request (PKCS#10, RFC 2986), DER, for a ledger whose network knows members by certificates;
        `name`: the subject's common name. A person asks, as root or as this process's own user: the anchorer names no
        subjects. Raises RequestRefused, NotFound, Unavailable, hsm.HsmError."""
        if peer.user not in (0, os.geteuid()):
            raise RequestRefused("only root asks for certificates")
        account = self._account(ledger)
        if account.curve != "secp256r1":
            raise RequestRefused(f"accounts of the type of {ledger} have no certificates")
        key = self._keys.signing_key(account.token, account.key_uri, REQUEST_SCHEME, lower_s=False)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        async with self._one:
            await self._count(ledger)
            builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
            raw = builder.sign(private_key(key), hashes.SHA256()).public_bytes(Encoding.DER)
            await self._record(ledger, raw, 1)
        logger.info("certificate-requested", ledger=ledger, name=name)
        return raw

    def _account(self, ledger: str) -> AccountSettings:
        settings = self._ledgers.get(ledger)
        account = None if settings is None else account_of(settings)
        if account is None:
            raise NotFound(f"no ledger {ledger[:64]!r} has an account")
        return account

    def _key(self, ledger: str) -> hsm.SigningKey:
        """Raises Unavailable, hsm.HsmError."""
        account = self._account(ledger)
        started = time.monotonic()
        if started < self._away.get(account.token, started):
            raise Unavailable(f"the token {account.token} did not open a moment ago")
        try:
            return self._keys.signing_key(account.token, account.key_uri, _SCHEMES[account.curve], lower_s=True)
        except hsm.HsmError:
            # All logs wait for it meanwhile: an account's token that is away must not be waited for at each call.
            if time.monotonic() - started > SLOW_SECONDS:
                self._away[account.token] = time.monotonic() + AWAY_SECONDS
            raise

    def _checked(self, note: bytes) -> CheckedCheckpoint:
        """The checkpoint, where a key of the box's own log signed it. Raises RequestRefused."""
        try:
            known = read_log_keys(log_directory(self._home.logs, self._origin))
            return CheckedCheckpoint(open_checkpoint(note, self._origin, known), commitment_of(note))
        except (MalformedNote, SignatureInvalid) as error:
            raise RequestRefused(f"the checkpoint is none of this box's: {error}") from None

    async def _count(self, ledger: str) -> None:
        """One more transaction of the account in this hour, on disk before it is signed: a restart forgets none. Raises
        RequestRefused, OSError."""
        account = account_of(self._ledgers[ledger])
        assert account is not None  # noqa: S101 - only those with one are here
        now, name = time.time(), f"{account.token} {account.key_uri}"
        # A time to come is from a clock that was set back since: it counts as now.
        signed = [min(at, now) for at in self._signed.get(name, ()) if at > now - HOUR_SECONDS]
        if len(signed) >= account.transactions_per_hour:
            raise RequestRefused(f"{account.transactions_per_hour} transactions were signed within the hour")
        self._signed[name] = [*signed, now]
        await asyncio.to_thread(write_durably, self._counts, msgspec.json.encode(self._signed))

    async def _signatures(self, key: hsm.SigningKey, digests: Sequence[bytes]) -> list[bytes]:
        """r and s of each, 64 bytes."""
        made: list[bytes] = []
        try:
            for digest in digests:
                r, s = decode_dss_signature(await key.sign_async(digest))
                made.append(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        except BaseException:
            if made:
                self._count_drop(NOT_RECORDED, len(made))
            raise
        return made

    async def _record(self, ledger: str, raw: bytes, count: int) -> None:
        moment = time.time_ns() // 1000
        for place in range(count):
            try:
                await self._rows.record(ROW, ledger, moment, ledger, bytes((place,)) + raw)
            except BaseException:
                if count > place + 1:
                    self._count_drop(NOT_RECORDED, count - place - 1)
                raise


def _read_counts(file: Path) -> dict[str, list[float]]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, list[float]])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:  # whoever can spoil it here signs by himself
        logger.error("ledger-desk-counts-lost", error=type(error).__name__)
        return {}


def _compressed(key: hsm.SigningKey) -> bytes:
    public = key.public_key
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise Unavailable("the account's key is on no curve")
    return public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
