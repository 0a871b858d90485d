"""The log follower: integrates records into every log of the box, signs heads in the HSM, makes box leaves.

One process, `python -m appliance.log --home DIR`. Per round: every tenant's log is brought up to date and its head
signed if it is new; at its interval a box leaf is made; then the box's log. A log that would fork locks the box:
HISTORY-UNPROVEN is written, nothing is signed any more, and only `cinnabar log resume` opens it again (control FORK).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import hsm
from appliance.box.home import Home
from appliance.box.pins import pin_path
from appliance.box.readiness import say_ready
from appliance.box.settings import BoxSettings, LogSettings, TokenSettings
from appliance.errors import CinnabarError, Unavailable
from appliance.files import lock_file, write_durably
from appliance.log.box_writer import BoxLeafWriter, TenantHead
from appliance.log.checkpoint import LogKey
from appliance.log.eras import EraRecords, eras_of, first_entry
from appliance.log.errors import LogDamaged, LogForked, LogLocked
from appliance.log.exports import export_directory
from appliance.log.feed import RecorderFeed
from appliance.log.keys import log_keys, write_log_keys
from appliance.log.ledger_desk import LedgerDesk
from appliance.log.mend import mend_missing
from appliance.log.note import VerifierKey
from appliance.log.reader import FOLLOWER_LOCK, log_directory
from appliance.log.records import Records
from appliance.log.renewed_since import check_not_renewed_since
from appliance.log.writer import LogSigner, LogWriter
from appliance.recorder.client import RecorderClient
from appliance.recorder.counts import CallCounter, new_run_id
from appliance.recorder.errors import Fork
from appliance.recorder.messages import BOX_LOG
from appliance.stopping import stop_event

RETRY_SECONDS = 5.0
LOCK_POLL_SECONDS = 0.5
NEW_TRY_SECONDS = (1.0, 5.0, 30.0, 60.0)
"""How long a log goes without one of its keys, or unsigned, before it is tried again from the start."""
UNEXPECTED_FAILURES = 3
"""Rounds that fail one after another, for another reason than an absent recorder, before the process ends."""
LAST_ROUND_SECONDS = 5.0
"""For the round before the process ends."""
LOGS_AT_ONCE = 16
"""Tenants' logs whose heads are on their way to the disk at once."""
ED25519_SCHEME = "ed25519"

logger = structlog.get_logger("log")


class KeyMissing(CinnabarError):
    """A log has no key whose token can be reached, or a log key is not Ed25519."""

    code = "log-key-missing"
    title = "A log's key cannot be used"


class FollowerFailing(CinnabarError):
    """Round after round fails. The process ends, so that its restarts show what only the journal would tell."""

    code = "log-follower-failing"
    title = "The logs cannot be brought up to date"


class OpenTokens:
    """The tokens that hold log keys, each opened once, when it can be."""

    def __init__(self, home: Home, settings: BoxSettings, counter: CallCounter) -> None:
        self._home = home
        self._settings = {token.name: token for token in settings.tokens}
        self._counter = counter
        self._open: dict[str, hsm.Token] = {}

    def signing_key(
        self, token: str, key_uri: str, scheme: str = ED25519_SCHEME, *, lower_s: bool = False
    ) -> hsm.SigningKey:
        """A log key, or a chain account's. Raises hsm.HsmError."""
        opened = self._open.get(token)
        if opened is None:
            opened = self._open[token] = self._open_token(self._settings[token])
        return opened.signing_key(hsm.Pkcs11Uri.parse(key_uri), scheme, lower_s=lower_s)

    def _open_token(self, token: TokenSettings) -> hsm.Token:
        standby = None
        if token.standby_uri is not None:
            pin = hsm.PinFile(pin_path(self._home, token, standby=True))
            standby = hsm.Standby(hsm.Pkcs11Uri.parse(token.standby_uri), pin)
        return hsm.open_token(
            hsm.Pkcs11Uri.parse(token.uri),
            hsm.PinFile(pin_path(self._home, token)),
            hsm.LaneSettings(mode=token.lanes.mode, count=token.lanes.count, timeout_ms=token.lanes.timeout_ms),
            count_call=self._counter.count,
            count_drop=self._counter.drop,
            standby=standby,
            allow_weak_keys=token.allow_weak_keys,
        )

    def close(self) -> None:
        for token in self._open.values():
            token.close()


class Follower:
    """All logs of one box over one source of records."""

    def __init__(self, home: Home, settings: BoxSettings, tokens: OpenTokens, records: Records) -> None:
        self._home = home
        self._settings = settings
        self._records = records
        self._exports = export_directory(home.root, settings.checkpoint_exports)
        self._next_leaf = 0.0
        self._tenants: dict[str, LogWriter] = {}
        self._box: LogWriter | None = None
        self._leaves: BoxLeafWriter | None = None
        self.degraded = False
        """A log or one of its keys could not be used: another start is worth while."""
        for log in settings.logs:
            with self._alone(log.origin):
                self._add(log, tokens)

    def _add(self, log: LogSettings, tokens: OpenTokens) -> None:
        directory = log_directory(self._home.logs, log.origin)
        known = log_keys(directory, log)
        signers: list[LogSigner] = []
        keys: list[LogKey] = []
        for entry, earlier in zip(log.keys, known, strict=True):
            key = earlier
            # A retired key stays on the list to verify old heads; its token need not be there any more.
            try:
                signing_key = tokens.signing_key(entry.token, entry.key_uri)
            except hsm.HsmError as error:
                logger.warning("log-key-unavailable", origin=log.origin, key=entry.key_uri, error=str(error))
                self.degraded = self.degraded or entry.until_size is None
            else:
                key = LogKey(_verifier(entry.name, signing_key), entry.from_size, entry.until_size)
                if earlier is not None and earlier.verifier != key.verifier:
                    raise KeyMissing(f"{entry.key_uri} of {log.origin} is another key than before")
                signers.append(
                    LogSigner(f"{entry.name}+{key.verifier.key_id.hex()}", key, signing_key.sign_async, (hsm.HsmError,))
                )
            if key is not None:
                keys.append(key)
        if not signers:
            raise KeyMissing(f"no key of {log.origin} can be used")
        if len(keys) == len(log.keys):
            write_log_keys(directory, log.origin, keys)
        era = eras_of(log)[-1]
        records = EraRecords(self._records, era, first_entry(self._home.logs, era))
        if log.tenant is None:
            self._leaves = BoxLeafWriter(log.origin, directory, records)
            self._box = LogWriter(
                log.origin, BOX_LOG, keys, signers, directory, self._exports, records, self._leaves.saw
            )
        else:
            self._tenants[log.tenant] = LogWriter(
                log.origin, log.tenant, keys, signers, directory, self._exports, records
            )

    @contextlib.contextmanager
    def _alone(self, origin: str) -> Iterator[None]:
        """What is wrong with one log, or its token, does not stop the others. A fork stops them all."""
        try:
            yield
        except (LogForked, Fork, Unavailable):
            raise
        except (CinnabarError, hsm.HsmError) as error:
            control = error.control if isinstance(error, CinnabarError) else None
            logger.error("log-failed", origin=origin, control=control, error=f"{type(error).__name__}: {error}")
            self.degraded = True

    @property
    def writers(self) -> list[LogWriter]:
        return [*self._tenants.values(), *([] if self._box is None else [self._box])]

    async def recover(self) -> None:
        """Bring every log to where it was. Raises LogForked before anything is signed."""
        check_not_renewed_since(self._exports, self._settings.logs)
        for writer in self.writers:
            with self._alone(writer.origin):
                await writer.recover()
                await self._mend(writer)

    async def _mend(self, writer: LogWriter) -> None:
        """Files under the head that have gone are derived again. Where they cannot be, the log goes on without them."""
        try:
            leaves = functools.partial(writer.records.leaves, writer.log)
            mended = await mend_missing(writer.directory, *writer.head, leaves, writer.hashing)
        except LogDamaged as error:
            tell = logger.bind(origin=writer.origin, control=error.control)
            tell.error("log-damaged", problem=str(error), next="cinnabar log repair")
        else:
            if mended:
                names = [tile.path() for tile in mended[:8]]
                logger.warning("tiles-mended", origin=writer.origin, files=len(mended), first=names)

    async def round(self) -> None:
        """Integrate, sign and publish what is new: tenants' logs side by side, then the box's."""
        at_once = asyncio.Semaphore(LOGS_AT_ONCE)
        rounds = [self._round_of(writer, at_once) for writer in self._tenants.values() if writer.ready]
        # None is left behind half-way: a signature that was made is recorded, whatever another log met.
        for met in await asyncio.gather(*rounds, return_exceptions=True):
            if met is not None:
                raise met
        if self._box is not None and self._leaves is not None and self._box.ready:
            with self._alone(self._box.origin):
                await self._round_of_box(self._box, self._leaves)

    async def _round_of(self, writer: LogWriter, at_once: asyncio.Semaphore) -> None:
        async with at_once:
            with self._alone(writer.origin):
                await writer.integrate()
                await writer.sign_head()

    async def _round_of_box(self, box: LogWriter, leaves: BoxLeafWriter) -> None:
        await box.integrate()
        leaves.settle()
        if time.monotonic() >= self._next_leaf:
            heads = {name: TenantHead(writer.origin, writer.head) for name, writer in self._tenants.items()}
            await leaves.make(heads, box.size)
            self._next_leaf = time.monotonic() + self._settings.box_leaf_interval_s
            await box.integrate()
            leaves.settle()
        await box.sign_head()

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


def _verifier(name: str, key: hsm.SigningKey) -> VerifierKey:
    public = key.public_key
    if not isinstance(public, Ed25519PublicKey):
        raise KeyMissing(f"the log key {name} is not Ed25519")
    return VerifierKey(name, public.public_bytes_raw())


def lock_history(home: Home, reason: str) -> None:
    """Lock the box: its history is not shown to be the only one (control FORK)."""
    write_durably(home.history_lock, f"{reason}\n".encode())


async def follow(home: Home, settings: BoxSettings, stop: asyncio.Event) -> None:
    """Follow the records until `stop`. Raises FollowerFailing when round after round fails."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOGS_AT_ONCE, "disk"))
    run = new_run_id()
    home.counters.mkdir(parents=True, exist_ok=True)
    only = _one_follower(home)
    counter = CallCounter(home.counters, run)
    tokens = OpenTokens(home, settings, counter)
    client = await RecorderClient.connect(home.recorder_socket, run, counter.counts, on_dropped=counter.drop)
    feed = RecorderFeed(client, counter.drop)
    desk = LedgerDesk(home, settings, tokens, feed, counter.drop)
    try:
        try:
            with _environment(settings, home.root):
                await desk.start()
                await _follow(home, settings, stop, lambda: Follower(home, settings, tokens, feed))
        finally:
            await desk.stop()
            with contextlib.suppress(Unavailable):
                await client.goodbye()
                counter.close(remove=True)
    finally:
        tokens.close()
        await client.close()
        os.close(only)


def _one_follower(home: Home) -> int:
    """Hold the logs for this process alone, until the descriptor is closed. Raises LogLocked."""
    home.logs.mkdir(parents=True, exist_ok=True)
    try:
        return lock_file(home.logs / FOLLOWER_LOCK)
    except BlockingIOError:
        raise LogLocked(f"another process writes the logs of {home.root}") from None


async def _follow(home: Home, settings: BoxSettings, stop: asyncio.Event, make: Callable[[], Follower]) -> None:
    follower: Follower | None = None
    told, made, tries, failures = False, 0.0, 0, 0
    while not stop.is_set():
        delay = settings.checkpoint_interval_ms / 1000
        started = time.monotonic()
        try:
            if home.history_lock.exists():
                if not told:
                    logger.error("log-locked", control="FORK", reason=home.history_lock.read_text().strip())
                follower, told, delay = _closed(follower), True, LOCK_POLL_SECONDS
            else:
                told = False
                if follower is not None and not follower.degraded:
                    tries = 0
                elif follower is not None and started > made + NEW_TRY_SECONDS[min(tries, len(NEW_TRY_SECONDS) - 1)]:
                    follower, tries = _closed(follower), tries + 1
                if follower is None:
                    follower, made = await _recovered(make()), started
                    write_durably(home.logs_compared, b"")
                await follower.round()
                failures = 0
            say_ready()
        except (LogForked, Fork) as error:
            lock_history(home, str(error))
            logger.critical("log-forked", control="FORK", error=str(error))
            follower = _closed(follower)
        except (CinnabarError, hsm.HsmError, OSError) as error:
            control = error.control if isinstance(error, CinnabarError) else None
            logger.error("log-round-failed", control=control, error=f"{type(error).__name__}: {error}")
            if not isinstance(error, Unavailable):
                follower, delay, failures = _closed(follower), RETRY_SECONDS, failures + 1
                if failures == UNEXPECTED_FAILURES:
                    raise FollowerFailing(f"{failures} rounds failed one after another: {error}") from error
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, delay - (time.monotonic() - started)))
    await _last_round(follower)
    _closed(follower)


async def _last_round(follower: Follower | None) -> None:
    """What was recorded before a box is stopped comes under a head: `cinnabar log renew` asks for that."""
    if follower is None:
        return
    try:
        async with asyncio.timeout(LAST_ROUND_SECONDS):
            await follower.round()
    except (CinnabarError, hsm.HsmError, OSError, TimeoutError) as error:
        logger.warning("log-last-round-failed", error=f"{type(error).__name__}: {error}")


async def _recovered(follower: Follower) -> Follower:
    try:
        await follower.recover()
    except BaseException:
        follower.close()
        raise
    return follower


def _closed(follower: Follower | None) -> Follower | None:
    if follower is not None:
        follower.close()
    return None


@contextlib.contextmanager
def _environment(settings: BoxSettings, root: Path) -> Iterator[None]:
    """What the token's module needs, where the supervisor has not set it already."""
    for name, value in settings.environment.items():
        os.environ.setdefault(name, value.replace("{home}", str(root)))
    yield


async def main(home: Home, settings: BoxSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = stop_event()
    await follow(home, settings, stop)
