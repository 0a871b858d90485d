"""A trust directory on disk, and what a verifier keeps of the bundles it has seen: I/O around `trust`."""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from appliance.evidence.bundle import BUNDLE, HISTORY, LARGEST_CRL, TrustRefused
from appliance.evidence.canonical import NotCanonical, read_json
from appliance.evidence.trust import Pin, TrustBundle, read_bundle

_MOST_ENTRIES = 10_000


class _KeptPin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pin as it is kept: one file a constitution, named by it."""

    format: str = "cinnabar-verifier-state/1"
    constitution: str
    rehearsal: bool
    version: int
    digest: str
    keys: list[str]


def read_directory(directory: Path) -> dict[str, bytes]:
    """The files of a trust directory and of its history. Other directories in it are not looked at.

    Raises TrustRefused for a directory that cannot be read; a file that is too large is left out.
    """
    found: dict[str, bytes] = {}
    try:
        for place, prefix in ((directory, ""), (directory / HISTORY, f"{HISTORY}/")):
            if not place.is_dir():
                continue
            entries = sorted(place.iterdir())
            if len(entries) > _MOST_ENTRIES:
                raise TrustRefused("the trust directory has too many files")
            for entry in entries:
                if entry.is_file() and entry.stat().st_size <= LARGEST_CRL:
                    found[prefix + entry.name] = entry.read_bytes()
    except OSError as error:
        raise TrustRefused(f"the trust directory cannot be read: {error.strerror}") from None
    return found


def load_trust(directory: Path, state: Path, key: bytes | None) -> TrustBundle:
    """Read the bundle of a directory under what `state` keeps of its constitution. Raises TrustRefused.

    `key` is a SubjectPublicKeyInfo that the user was given by other means; it must have signed this bundle, whatever
    the state says. A directory is read once more if its parts do not fit, since its writer cannot replace them all at
    once.
    """
    try:
        bundle = _load(directory, state, key)
    except TrustRefused:
        bundle = _load(directory, state, key)
    _keep(state, bundle)
    return bundle


def _load(directory: Path, state: Path, key: bytes | None) -> TrustBundle:
    files = read_directory(directory)
    pin = _kept(state, files.get(BUNDLE, b""))
    if key is not None:
        bundle = read_bundle(files, Pin(keys=frozenset((key,))))
        return read_bundle(files, pin) if pin is not None else bundle
    return read_bundle(files, pin)


def read_public_key(encoded: bytes) -> bytes:
    """The SubjectPublicKeyInfo (DER) of a public key or certificate, PEM or DER. Raises TrustRefused."""
    try:
        key: PublicKeyTypes
        if b"CERTIFICATE" in encoded:
            key = x509.load_pem_x509_certificate(encoded).public_key()
        elif encoded.lstrip().startswith(b"-----"):
            key = load_pem_public_key(encoded)
        else:
            key = load_der_public_key(encoded)
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError:
        raise TrustRefused("the trust key is neither a public key nor a certificate") from None


def default_state() -> Path:
    """Where a person's verifier keeps its state: XDG_STATE_HOME/cinnabar/trust (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    return base / "cinnabar" / "trust"


def _kept(state: Path, bundle: bytes) -> Pin | None:
    """What is kept of the constitution that a bundle claims to belong to."""
    try:
        claimed = read_json(bundle)
    except NotCanonical:
        return None  # read_bundle says what is wrong with it
    constitution = claimed.get("constitution") if isinstance(claimed, dict) else None
    if not isinstance(constitution, str) or len(constitution) != 64 or not constitution.isalnum():
        return None
    path = state / f"{constitution}.json"
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_KeptPin)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError):
        raise TrustRefused(f"the verifier's state {path.name} cannot be read; it must not be ignored") from None
    keys = frozenset(base64.b64decode(one) for one in kept.keys)
    return Pin(keys, kept.version, kept.digest, kept.constitution, kept.rehearsal)


def _keep(state: Path, bundle: TrustBundle) -> None:
    pin = bundle.pin()
    assert pin.constitution is not None  # noqa: S101 - a bundle's pin is whole
    assert pin.digest is not None  # noqa: S101
    kept = _KeptPin(
        constitution=pin.constitution,
        rehearsal=bundle.document.rehearsal,
        version=pin.version,
        digest=pin.digest,
        keys=sorted(base64.b64encode(one).decode() for one in pin.keys),
    )
    content = msgspec.json.encode(kept)
    path = state / f"{pin.constitution}.json"
    try:
        if path.exists() and path.read_bytes() == content:
            return
        _replace(path, content)
    except OSError as error:
        raise TrustRefused(f"the verifier's state cannot be kept: {error.strerror}") from None


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
