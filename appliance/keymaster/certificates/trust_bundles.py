"""Making the next version of the trust bundle, which the verifier (appliance.evidence) only reads."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import rfc8785

from appliance.evidence.bundle import (
    BUNDLE,
    HISTORY,
    SIGNATURE,
    AlgorithmEnd,
    AuthorityEntry,
    BundleDocument,
    CeremonyTrust,
    CosigningEntry,
    LedgerEntry,
    LogEntry,
    RevocationListEntry,
    TimeRules,
    TrustRefused,
    WitnessEntry,
)
from appliance.evidence.trust import Pin, file_of, read_bundle, read_version
from appliance.files import write_file


@dataclass(frozen=True)
class LastVersion:
    """The bundle that the next version follows."""

    document: BundleDocument
    encoded: bytes
    signature: bytes
    pin: Pin


def read_last(files: Mapping[str, bytes]) -> LastVersion:
    """The last version in a directory, for whoever makes the next one. Raises TrustRefused.

    Its revocation lists are not held to it: newer ones may stand in their place already. A writer that died between
    signature and bundle left the old bundle beside the new signature; the old signature stands in the history then.
    """
    encoded, signature = file_of(files, BUNDLE), file_of(files, SIGNATURE)
    try:
        document, _ = read_version(encoded, signature)
    except TrustRefused:
        version = next((name for name, content in files.items() if content == encoded and name != BUNDLE), None)
        if version is None:
            raise
        signature = file_of(files, f"{version}.sig")
        document, _ = read_version(encoded, signature)
    return LastVersion(document, encoded, signature, Pin.of(document, hashlib.sha256(encoded).hexdigest()))


def make_bundle(
    *,
    signer: bytes,
    sign: Callable[[bytes], bytes],
    previous: Mapping[str, bytes] | None,
    rehearsal: bool,
    issued: datetime,
    expires: datetime,
    authorities: Sequence[AuthorityEntry],
    revocation_lists: Mapping[str, bytes],
    logs: Sequence[LogEntry],
    witnesses: Sequence[WitnessEntry] = (),
    time: TimeRules | None = None,
    cosigning: Sequence[CosigningEntry] | None = None,
    successors: Sequence[bytes] | None = None,
    genesis: str | None = None,
    algorithms: Sequence[AlgorithmEnd] | None = None,
    ledgers: Sequence[LedgerEntry] = (),
) -> dict[str, bytes]:
    """Make the next version of a bundle: file names relative to the trust directory, and what to write in them.

    `signer` is the SubjectPublicKeyInfo (DER) of the key behind `sign`, which takes the bytes of bundle.json and gives
    the raw signature. `previous` is the directory as it is now (None for version 1); its bundle moves into history.
    `successors` defaults to the same signer. `genesis`: SHA-256 of the first constitution, once there is one.
    `algorithms`: until when each may be relied on; None: as the version before has it. The
    result has been read back: it raises TrustRefused rather than make a bundle that verifiers would refuse. Write the
    files in the order given, so that readers never see a bundle whose
    parts are missing; the signature and the bundle cannot be replaced in one step, so readers retry once.
    """
    written: dict[str, bytes] = {}
    ends = list(algorithms or ())
    version, digest, constitution, pin = 1, None, hashlib.sha256(signer).hexdigest(), None
    history: dict[str, bytes] = {}
    if previous is not None:
        before = read_last(previous)
        version, digest, constitution = before.document.version + 1, before.pin.digest, before.document.constitution
        pin = before.pin
        if algorithms is None:
            ends = list(before.document.algorithms or ())
        history = {name: content for name, content in previous.items() if name.startswith(f"{HISTORY}/")}
        written[f"{HISTORY}/{before.document.version}.json"] = before.encoded
        written[f"{HISTORY}/{before.document.version}.json.sig"] = before.signature
    document = BundleDocument(
        constitution=constitution,
        version=version,
        previous=digest,
        rehearsal=rehearsal,
        issued=_timestamp(issued),
        expires=_timestamp(expires),
        signer=base64.b64encode(signer).decode(),
        successors=[base64.b64encode(key).decode() for key in (successors if successors is not None else [signer])],
        authorities=list(authorities),
        revocation_lists=[
            RevocationListEntry(file=name, sha256=hashlib.sha256(content).hexdigest())
            for name, content in sorted(revocation_lists.items())
        ],
        logs=list(logs),
        witnesses=list(witnesses),
        time=TimeRules() if time is None else time,
        cosigning=msgspec.UNSET if cosigning is None else list(cosigning),
        ceremonies=msgspec.UNSET if genesis is None else CeremonyTrust(genesis=genesis),
        algorithms=ends or msgspec.UNSET,
        ledgers=list(ledgers) if ledgers else msgspec.UNSET,
    )
    encoded = rfc8785.dumps(msgspec.to_builtins(document))
    written |= dict(revocation_lists) | {SIGNATURE: sign(encoded), BUNDLE: encoded}
    read_bundle(history | written, pin)
    return written


def write_bundle(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write what `make_bundle` made, in its order, each file whole or not at all and on disk."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent != directory:
            path.parent.chmod(0o755)  # all of it is public: document workers read it, whatever our umask is
        write_file(path, content)


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
