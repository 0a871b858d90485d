"""What a backup does in tokens, in a process of its own: `python -m appliance.keymaster.keys.wrapping`; one job on
standard input, its outcome on standard output, both msgpack.

The wrapping key and the security officer's PIN are in this process for as long as it takes, in no argument, environment
or file, and no core is dumped. It is a process of its own because a security officer logs in only where no session is
open, and because a throwaway token needs another configuration of SoftHSM than the live one's.

- `Wrap`: the wrapping key into the token, the keys out under it, the wrapping key away again, whatever happens.
- `Trial`: every choice of neighbouring shares gives the same key; with it the wrapped keys are restored in a throwaway
  token, where each signs once and is held to its public key. The token's PINs are never written down.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from appliance.box.process import interpreter
from appliance.errors import CinnabarError, Unavailable
from appliance.keymaster.keys.shares import read_share, recover
from hsm import HsmError, LaneSettings, PinFile, Pkcs11Uri, Token, initialise_token, open_token
from hsm import constants as ck
from hsm.backup import (
    count_nameless_keys,
    install_wrapping_key,
    remove_nameless_keys,
    remove_wrapping_keys,
    remove_wrapping_keys_as_officer,
    restore_key,
    wrap_key,
)
from hsm.errors import CryptokiError, KeyNotFound, WeakKey
from hsm.policy import KEY_ATTRIBUTES, is_made_for_backup
from hsm.public_keys import PublicKey
from hsm.site import key_template

WRAPPING_PREFIX = "cinnabar-backup-"
"""Labels of wrapping keys begin so: what is left of a killed backup is found by it."""
SOFTHSM_PATHS = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
_TIMEOUT_S = 300.0
_PATIENCE_S = 1.0
_PAUSE_S = 0.05
_PR_SET_PDEATHSIG = 1
_SHOWN = {
    ck.CKA_EXTRACTABLE: "extractable",
    ck.CKA_SENSITIVE: "sensitive",
    ck.CKA_WRAP_WITH_TRUSTED: "wrap_with_trusted",
    ck.CKA_MODIFIABLE: "modifiable",
    ck.CKA_COPYABLE: "copyable",
    ck.CKA_LOCAL: "local",
    ck.CKA_ALWAYS_SENSITIVE: "always_sensitive",
    ck.CKA_NEVER_EXTRACTABLE: "never_extractable",
}


Result = TypeVar("Result")


class BackupFailed(Unavailable):
    """A token did not do its part of a backup or a restore."""

    code = "key-backup-failed"
    title = "The backup could not be made or restored"


class BackupKey(msgspec.Struct, frozen=True):
    """A key on its way out of a token or into one."""

    object: str
    id: bytes
    scheme: str
    public_key: bytes
    """DER SubjectPublicKeyInfo."""
    wrapped: bytes = b""

    @property
    def uri(self) -> Pkcs11Uri:
        return Pkcs11Uri(object=self.object, id=self.id, type="private")

    @property
    def public(self) -> PublicKey:
        """Raises BackupFailed."""
        try:
            key = load_der_public_key(self.public_key)
        except ValueError:
            raise BackupFailed("a public key of the backup cannot be read") from None
        if not isinstance(key, PublicKey):
            raise BackupFailed("a key of the backup is of a kind that is not supported")
        return key


class Wrap(msgspec.Struct, frozen=True, tag=True):
    uri: str
    pin_file: str
    so_pin: str
    label: str
    value: bytes
    keys: list[BackupKey]


class Trial(msgspec.Struct, frozen=True, tag=True):
    directory: str
    """Empty, private; holds the throwaway token and its configuration."""
    module: str
    shares: list[str]
    """All of the set, as the custodians get them."""
    keys: list[BackupKey]


class Wrapped(msgspec.Struct, frozen=True, tag=True):
    wrapped: list[bytes]
    attributes: list[dict[str, bool]]


class Proven(msgspec.Struct, frozen=True, tag=True):
    choices: int
    """Choices of shares that gave the wrapping key."""
    keys: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    reason: str


Job = Wrap | Trial
Outcome = Wrapped | Proven | Failed


async def run_job(job: Job, environment: dict[str, str] | None = None) -> Outcome:
    """Have a job done; `environment` is added to ours. Raises BackupFailed."""
    process = await asyncio.create_subprocess_exec(
        *interpreter(),
        "-m",
        "appliance.keymaster.keys.wrapping",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ) | (environment or {}),
        cwd="/",
    )
    try:
        text, _ = await asyncio.wait_for(process.communicate(msgspec.msgpack.encode(job)), _TIMEOUT_S)
        outcome: Outcome = msgspec.msgpack.decode(text, type=Outcome)
    except TimeoutError:
        raise BackupFailed("the token did not answer in time") from None
    except msgspec.MsgspecError:
        raise BackupFailed("the process that wraps keys ended without an answer") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if isinstance(outcome, Failed):
        raise BackupFailed(outcome.reason)
    return outcome


async def trial(directory: Path, module: str, shares: list[str], keys: list[BackupKey]) -> Proven:
    """Prove a set of shares and what is wrapped in a throwaway token, which is destroyed. Raises BackupFailed."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
    configuration = directory / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {directory}\nobjectstore.backend = file\nlog.level = ERROR\n")
    try:
        job = Trial(str(directory), module, shares, keys)
        outcome = await run_job(job, {"SOFTHSM2_CONF": str(configuration)})
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if not isinstance(outcome, Proven):
        raise BackupFailed("the trial gave no proof")
    return outcome


def throwaway_module(modules: list[str]) -> str:
    """The path of a SoftHSM: one of the box's own modules, or where Debian has it. Raises BackupFailed."""
    for path in (*(module for module in modules if "softhsm" in Path(module).name), *SOFTHSM_PATHS):
        if Path(path).exists():
            return path
    raise BackupFailed("a trial needs SoftHSM for its throwaway token: install softhsm2")


def attributes_of(token: Token, key: BackupKey) -> dict[str, bool]:
    """What the token shows of a private key: for the backup file and the transcript."""
    with token.session() as (cryptoki, session):
        handles = cryptoki.find_objects(session, key_template(key.uri, ck.CKO_PRIVATE_KEY))
        if len(handles) != 1:
            raise KeyNotFound(f"the token has {len(handles)} keys called {key.object}")
        shown = cryptoki.get_attributes(session, handles[0], (*KEY_ATTRIBUTES, *_SHOWN))
    return {name: bool(shown[number]) for number, name in _SHOWN.items() if isinstance(shown.get(number), bool)}


# In the process of its own


def _wrap(job: Wrap) -> Wrapped:
    uri, pin = Pkcs11Uri.parse(job.uri), PinFile(Path(job.pin_file))
    with _opened(uri, pin) as token:
        nameless = _patiently(count_nameless_keys, token)
    try:
        install_wrapping_key(uri, lambda: job.so_pin, job.label, job.value)
        with _opened(uri, pin) as token:
            attributes = [_patiently(attributes_of, token, key) for key in job.keys]
            return Wrapped([_patiently(wrap_key, token, key.uri, job.label) for key in job.keys], attributes)
    finally:
        _remove(uri, pin, job, nameless)


def _patiently(step: Callable[..., Result], *arguments: object) -> Result:
    """SoftHSM does not find an object in the moment in which another process touches it."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return step(*arguments)
        except (KeyNotFound, CryptokiError):
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


def _remove(uri: Pkcs11Uri, pin: PinFile, job: Wrap, nameless: int) -> None:
    try:
        with _opened(uri, pin) as token:
            _patiently(remove_wrapping_keys, token, WRAPPING_PREFIX)
            if not nameless:
                _patiently(remove_nameless_keys, token)  # what another process left of one in the making
    except CryptokiError:
        remove_wrapping_keys_as_officer(uri, lambda: job.so_pin, WRAPPING_PREFIX)


def _trial(job: Trial) -> Proven:
    shares = [read_share(text) for text in job.shares]
    choices = [
        [shares[(first + step) % len(shares)] for step in range(shares[0].threshold)] for first in range(len(shares))
    ]
    values = {recover(choice) for choice in choices}
    if len(values) != 1:
        raise BackupFailed("the shares do not give one key")
    (value,) = values
    pin, so_pin = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    uri = initialise_token(job.module, "trial", so_pin, pin)
    with _opened(uri, lambda: pin) as token:
        for key in job.keys:
            public_key = load_der_public_key(key.public_key)
            restore_key(token, key.wrapped, value, key.uri, key.scheme, public_key)  # type: ignore[arg-type]
            with token.session() as (cryptoki, session):
                (handle,) = cryptoki.find_objects(session, key_template(key.uri, ck.CKO_PRIVATE_KEY))
                if not is_made_for_backup(cryptoki.get_attributes(session, handle, KEY_ATTRIBUTES)):
                    raise WeakKey("a restored key is not made for backup")
    return Proven(len(choices), len(job.keys))


@contextmanager
def _opened(uri: Pkcs11Uri, pin: Callable[[], str]) -> Iterator[Token]:
    token = open_token(uri, pin, LaneSettings())
    try:
        yield token
    finally:
        token.close()


def main() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job: Job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    try:
        outcome: Outcome = _wrap(job) if isinstance(job, Wrap) else _trial(job)
    except (HsmError, CinnabarError) as error:
        outcome = Failed(f"{type(error).__name__}: {error}")
    except ValueError as error:
        outcome = Failed(f"unexpected {type(error).__name__}")
    sys.stdout.buffer.write(msgspec.msgpack.encode(outcome))


if __name__ == "__main__":
    main()
