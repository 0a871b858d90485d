"""Opening everything that a worker serves. Every fault of the configuration is found and told at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.api.awaited import Awaited, AwaitedKey, Reopening
from appliance.api.bodies import BodyCipher
from appliance.api.callers import Callers
from appliance.api.gates import Gates
from appliance.api.letters.kinds import Kinds
from appliance.api.units import ReleaseKey, SealingKey, StampingUnit, tokens_certificates
from appliance.api.worker import HostedLog, Worker
from appliance.box.home import Home
from appliance.box.pins import pin_path, tokens_of
from appliance.box.readiness import TOKENS_AWAITED
from appliance.box.settings import BoxSettings, ReleaseKeySettings, SealKeySettings, TokenSettings, UnitSettings
from appliance.box.states import StatePage
from appliance.clock import Clock
from appliance.clock.reading import system_ns
from appliance.documents import DocumentsClient
from appliance.enrolment import Enroller
from appliance.errors import CinnabarError
from appliance.log import LogReader
from appliance.log.cosigned import CosignedHeads
from appliance.log.eras import eras_of
from appliance.recorder import CallCounter, RecorderClient, new_run_id
from appliance.recorder.messages import Register
from appliance.seals import SealProfile
from appliance.timestamps import HighWaterMark, TimeStampUnit, UnitProfile, check_unit_certificate
from appliance.tree_hash import SHA256, hash_of
from hsm import LaneSettings, MacKey, PinFile, Pkcs11Uri, Token, open_token, vault
from hsm.agreement import AgreementKey
from hsm.errors import (
    HsmError,
    KeyAmbiguous,
    KeyMismatch,
    KeyNotFound,
    ModuleUnavailable,
    PinRefused,
    PinUnavailable,
    SelfTestFailed,
    TokenAmbiguous,
    TokenUnavailable,
    VaultError,
    WeakKey,
)
from hsm.tokens import Standby

PATIENCE_S: Final = 5.0
"""How long tokens that do not answer are tried at the start, all together."""
GOODBYE_S: Final = 3.0

log = structlog.get_logger("api")


class ConfigurationFaults(CinnabarError):
    """What box.json and the home say cannot be served. `faults` lists every fault that was found."""

    code = "configuration-faults"
    title = "The worker cannot start with this configuration"

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


_BROKEN_KEY = (KeyNotFound, KeyAmbiguous, KeyMismatch, SelfTestFailed, VaultError, WeakKey)
"""What somebody with the token's PIN can do to a key. The keymaster suspends the tenant for it."""
_MAY_COME_BACK = (PinRefused, PinUnavailable, TokenUnavailable, TokenAmbiguous, ModuleUnavailable)
"""What is wrong with a token and no fault of box.json: the token is waited for."""


class Opening:
    """What is open so far, and what went wrong. `open_all` may be called again for what is missing."""

    def __init__(
        self, home: Home, settings: BoxSettings, counter: CallCounter, may_wait: frozenset[str] | None
    ) -> None:
        """`may_wait`: the tokens that need not open; None: every one."""
        self.home = home
        self.settings = settings
        self.active: frozenset[str] | None = None
        """The tenants that the register lets work; None: all. A broken key of another one stays closed, and stops
        nobody else (control CHANNEL): the ceremony that lets its tenant go on settles it."""
        self.faults: list[str] = []
        self.left: dict[str, str] = {}
        """Why each key does not open that is left closed."""
        self.closed: dict[str, str] = {}
        """Why each token does not open that is waited for."""
        self.tokens: dict[str, Token] = {}
        self.ciphers: dict[str, BodyCipher] = {}
        self.macs: dict[str, MacKey] = {}
        self.release_keys: dict[str, ReleaseKey] = {}
        """By name."""
        self.message_keys: dict[tuple[str, str, str], AgreementKey] = {}
        """By tenant, token and URI."""
        self.units: dict[str, StampingUnit] = {}
        self.seal_keys: dict[str, SealingKey] = {}
        self._counter = counter
        self._may_wait = may_wait

    def open_all(self, marks: dict[str, int], patience_s: float) -> None:
        """Open what is not open yet. `patience_s`: how long tokens that do not answer are tried, all together."""
        self.faults, self.closed, self.left = [], {}, {}
        self._open_tokens(time.monotonic() + patience_s)
        self._open_ciphers()
        self._open_federations()
        self._open_release_keys()
        self._open_message_keys()
        self._open_keys(marks)

    def attempt(self, what: str, token: str, step: Callable[[], None], tenant: str | None = None) -> None:
        """`tenant`: whose key it is; None: everybody's."""
        try:
            step()
        except (CinnabarError, HsmError, OSError, ValueError, KeyError) as error:
            stopped = tenant is not None and self.active is not None and tenant not in self.active
            if stopped and isinstance(error, _BROKEN_KEY):
                self.left[what] = str(error) or type(error).__name__
            elif isinstance(error, _MAY_COME_BACK) and (self._may_wait is None or token in self._may_wait):
                self._put_off(token, error)
            else:
                self.faults.append(f"{what}: {error}" if str(error) else f"{what}: {type(error).__name__}")

    def _put_off(self, name: str, error: Exception) -> None:
        """Wait for a token: nothing that was opened with it stays open."""
        self.closed[name] = str(error) or type(error).__name__
        tenants = {tenant.name for tenant in self.settings.tenants if tenant.token == name}
        for release in (key for tenant in self.settings.tenants for key in tenant.release_keys):
            if release.token == name:
                self.release_keys.pop(release.name, None)
        for place in [place for place in self.message_keys if place[1] == name]:
            del self.message_keys[place]
        for federation in self.settings.federations:
            if federation.token == name:
                self.macs.pop(f"@{federation.name}", None)
        for tenant in tenants:
            self.ciphers.pop(tenant, None)
            self.macs.pop(tenant, None)
        for unit in self.settings.units:
            if unit.token == name or unit.tenant in tenants:
                self.units.pop(unit.name, None)
        for key in self.settings.seal_keys:
            if key.token == name or key.tenant in tenants:
                self.seal_keys.pop(key.name, None)
        token = self.tokens.pop(name, None)
        if token is not None:
            token.close()

    def needed_tokens(self) -> set[str]:
        """Tokens of tenants; the box's own is not this process's to open."""
        return tokens_of(self.settings, "worker")

    def _open_tokens(self, deadline: float) -> None:
        known = {token.name: token for token in self.settings.tokens}
        for name in sorted(self.needed_tokens() - set(self.tokens)):
            if name not in known:
                self.faults.append(f"token {name}: not in the settings")
                continue

            def step(token: TokenSettings = known[name]) -> None:
                self._open_token(token, max(0.0, deadline - time.monotonic()))

            self.attempt(f"token {name}", name, step)

    def _open_token(self, token: TokenSettings, patience_s: float) -> None:
        standby = None
        if token.standby_uri is not None:
            standby = Standby(Pkcs11Uri.parse(token.standby_uri), PinFile(pin_path(self.home, token, standby=True)))
        self.tokens[token.name] = open_token(
            Pkcs11Uri.parse(token.uri),
            PinFile(pin_path(self.home, token)),
            LaneSettings(token.lanes.mode, token.lanes.count, token.lanes.timeout_ms),
            count_call=self._counter.count,
            count_drop=self._counter.drop,
            standby=standby,
            allow_weak_keys=token.allow_weak_keys,
            patience_s=patience_s,
        )

    def _open_ciphers(self) -> None:
        for tenant in self.settings.tenants:
            if tenant.token not in self.tokens or tenant.name in self.ciphers:
                continue  # told already, or open

            def step(name: str = tenant.name, token: str = tenant.token, path: str = tenant.data_key) -> None:
                wrapped = (self.home.root / path).read_bytes()
                hashing = next((hash_of(log.origin) for log in self.settings.logs if log.tenant == name), SHA256)
                self.ciphers[name] = BodyCipher(name, vault.open_content_key(self.tokens[token], wrapped), hashing)

            self.attempt(f"tenant {tenant.name}", tenant.token, step, tenant.name)
            if tenant.uniqueness_key is not None:
                self._open_mac(tenant.name, tenant.token, tenant.uniqueness_key, tenant.name)

    def _open_release_keys(self) -> None:
        for tenant in self.settings.tenants:
            for key in tenant.release_keys:
                if key.token in self.tokens and key.name not in self.release_keys:
                    self.attempt(
                        f"release key {key.name}",
                        key.token,
                        lambda tenant=tenant.name, key=key: self._open_release_key(tenant, key),  # type: ignore[misc]
                        tenant.name,
                    )

    def _open_release_key(self, tenant: str, settings: ReleaseKeySettings) -> None:
        certificates = x509.load_pem_x509_certificates((self.home.root / settings.certificate).read_bytes())
        key = AgreementKey.find(self.tokens[settings.token], Pkcs11Uri.parse(settings.key_uri))
        if certificates[0].public_key() != key.public_key:
            raise ValueError("the certificate is not the key's")
        chain = [one.public_bytes(Encoding.DER) for one in certificates]
        self.release_keys[settings.name] = ReleaseKey(settings.name, tenant, key, chain)

    def _open_message_keys(self) -> None:
        for tenant in self.settings.tenants:
            for key in tenant.message_keys:
                place = (tenant.name, key.token, key.key_uri)
                if key.token not in self.tokens or place in self.message_keys:
                    continue

                def step(place: tuple[str, str, str] = place) -> None:
                    found = AgreementKey.find(self.tokens[place[1]], Pkcs11Uri.parse(place[2]))
                    self.message_keys[place] = found

                self.attempt(f"key of messages of {tenant.name}", key.token, step, tenant.name)

    def _open_federations(self) -> None:
        for federation in self.settings.federations:
            self._open_mac(f"@{federation.name}", federation.token, federation.key_uri)

    def _open_mac(self, scope: str, token: str, uri: str, tenant: str | None = None) -> None:
        """The key of a scope of uniqueness: a tenant's own, or a federation's."""

        def step() -> None:
            self.macs[scope] = self.tokens[token].mac_key(Pkcs11Uri.parse(uri))

        if token in self.tokens and scope not in self.macs:
            self.attempt(f"uniqueness of {scope}", token, step, tenant)

    def _open_keys(self, marks: dict[str, int]) -> None:
        for unit in self.settings.units:
            if unit.token in self.tokens and unit.tenant in self.ciphers and unit.name not in self.units:
                self.attempt(
                    f"unit {unit.name}",
                    unit.token,
                    lambda unit=unit: self._open_unit(unit, marks),  # type: ignore[misc]
                    unit.tenant,
                )
            elif unit.tenant not in {tenant.name for tenant in self.settings.tenants}:
                self.faults.append(f"unit {unit.name}: its tenant {unit.tenant} is not in the settings")
        for key in self.settings.seal_keys:
            if key.token in self.tokens and key.tenant in self.ciphers and key.name not in self.seal_keys:
                self.attempt(
                    f"seal key {key.name}",
                    key.token,
                    lambda key=key: self._open_seal_key(key),  # type: ignore[misc]
                    key.tenant,
                )
            elif key.tenant not in {tenant.name for tenant in self.settings.tenants}:
                self.faults.append(f"seal key {key.name}: its tenant {key.tenant} is not in the settings")

    def publish(self, worker: Worker) -> None:
        """Have the worker serve what is open, in the order of the settings, which says what an application gets that
        names no key."""
        worker.tokens, worker.ciphers, worker.macs = dict(self.tokens), dict(self.ciphers), dict(self.macs)
        worker.release_keys = {
            one.name: [self.release_keys[key.name] for key in one.release_keys if key.name in self.release_keys]
            for one in self.settings.tenants
        }
        worker.message_keys = {
            one.name: [
                self.message_keys[place]
                for key in one.message_keys
                if (place := (one.name, key.token, key.key_uri)) in self.message_keys
            ]
            for one in self.settings.tenants
        }
        worker.units = {one.name: self.units[one.name] for one in self.settings.units if one.name in self.units}
        worker.seal_keys = {
            one.name: self.seal_keys[one.name] for one in self.settings.seal_keys if one.name in self.seal_keys
        }
        worker.awaited = self.awaited()

    def awaited(self) -> Awaited:
        """What is not open."""
        return Awaited(
            dict(self.closed),
            {
                one.name: AwaitedKey(one.name, one.tenant, one.public, self._not_after(one.certificate))
                for one in self.settings.units
                if one.name not in self.units
            },
            {
                one.name: AwaitedKey(one.name, one.tenant, False, self._not_after(one.certificate))
                for one in self.settings.seal_keys
                if one.name not in self.seal_keys
            },
        )

    def _not_after(self, certificate: str) -> int:
        try:
            first = x509.load_pem_x509_certificates((self.home.root / certificate).read_bytes())[0]
        except (OSError, ValueError):
            return 0
        return int(first.not_valid_after_utc.timestamp())

    def _open_unit(self, unit: UnitSettings, marks: dict[str, int]) -> None:
        token = self.tokens[unit.token]
        key = token.signing_key(Pkcs11Uri.parse(unit.key_uri), unit.scheme)
        # An `ordering` unit is stamped by one lane alone; so many there are over all workers.
        lanes = token.settings.count * self.settings.workers
        profile = UnitProfile.from_settings(
            unit,
            (self.home.root / unit.certificate).read_bytes(),
            rehearsal=self.settings.rehearsal,
            lanes=lanes,
            request_limit=self.settings.limits.stamp_request,
        )
        check_unit_certificate(profile, key.public_key, system_ns() // 1000)
        mark = HighWaterMark(self.home.marks / unit.name, tolerance_us=unit.accuracy_us, ordering=unit.ordering)
        mark.raise_to(marks.get(unit.name, 0))
        self.units[unit.name] = StampingUnit(
            unit.name,
            unit.tenant,
            unit.public,
            TimeStampUnit(profile, mark),
            key,
            self.ciphers[unit.tenant],
            tokens_certificates(profile),
        )

    def _open_seal_key(self, settings: SealKeySettings) -> None:
        certificates = x509.load_pem_x509_certificates((self.home.root / settings.certificate).read_bytes())
        key = self.tokens[settings.token].signing_key(Pkcs11Uri.parse(settings.key_uri), settings.scheme)
        if certificates[0].public_key() != key.public_key:
            raise ValueError("the certificate is not the key's")
        self.seal_keys[settings.name] = SealingKey(
            settings.name,
            settings.tenant,
            SealProfile(settings.name, certificates, settings.scheme, settings.digests),
            key,
            self.ciphers[settings.tenant],
            int(certificates[0].not_valid_after_utc.timestamp()),
        )

    def logs(self) -> dict[str, HostedLog]:
        return {
            era.origin: HostedLog(
                era.origin,
                log.tenant,
                log.published or log.tenant is None,
                LogReader.of(self.home.logs, era.origin),
                CosignedHeads.of(self.home.cosigned, self.home.logs, era.origin),
                bool(log.witnesses),
                era.size is None,
            )
            for log in self.settings.logs
            for era in eras_of(log)
        }

    def revocation_lists(self) -> dict[str, Path]:
        return {f"{authority.name}.crl": self.home.root / authority.crl for authority in self.settings.authorities}


def tokens_that_may_wait() -> frozenset[str] | None:
    """The tokens that need not open at this start; None: every one.

    A worker that takes over with other settings must open what the one before it had open, else the settings are
    undone: the supervisor says which tokens were waited for already."""
    told = os.environ.pop(TOKENS_AWAITED, None)
    return None if told is None else frozenset(msgspec.json.decode(told, type=list[str]))


async def open_worker(home: Home, settings: BoxSettings, number: int) -> Worker:
    """Open everything. Raises ConfigurationFaults with all faults, RecorderUnavailable."""
    callers, gates = Callers(), Gates()
    counter = CallCounter(home.counters, new_run_id())
    opening = Opening(home, settings, counter, tokens_that_may_wait())

    def learn(register: Register) -> None:
        callers.update(register)
        gates.update(register)
        opening.active = frozenset(register.tenants)

    recorder = await RecorderClient.connect(
        home.recorder_socket,
        counter.run,
        counter.counts,
        in_flight=settings.limits.in_flight,
        on_register=learn,
        on_dropped=counter.drop,
    )
    tampered = home.tamper_latch.exists()  # then this worker only says how the box is (control TAMPER)
    if not tampered:
        opening.open_all(await recorder.query("marks"), PATIENCE_S)
    try:
        state = StatePage.open(home.state_page)
    except FileNotFoundError:
        opening.faults.append("no state page: the supervisor makes it")
    if opening.faults:
        opening.faults += [f"token {name}: {why}" for name, why in opening.closed.items()]
        await _give_up(opening, recorder, counter)
        raise ConfigurationFaults(opening.faults)
    worker = Worker(
        number=number,
        home=home,
        settings=settings,
        callers=callers,
        clock=Clock.open(home.clock_page),
        recorder=recorder,
        documents=DocumentsClient(home.documents_socket),
        counter=counter,
        state=state,
        tokens={},
        ciphers={},
        units={},
        seal_keys={},
        logs=opening.logs(),
        revocation_lists=opening.revocation_lists(),
        responders=frozenset(one.name for one in settings.authorities if one.responder is not None),
        enroller=Enroller(home.enrol_socket),
        kinds=Kinds(home),
        macs={},
        release_keys={},
        message_keys={},
        gates=gates,
    )
    if not tampered:
        opening.publish(worker)
    for name, why in opening.closed.items():
        log.error("token-not-open", token=name, detail=why)
    for name, why in opening.left.items():
        log.error("key-not-open", control="CHANNEL", key=name, detail=why)
    worker.reopening = Reopening(worker, opening)
    return worker


async def _give_up(opening: Opening, recorder: RecorderClient, counter: CallCounter) -> None:
    """Close what was opened. The run is told to have ended: it signed nothing for anybody."""
    for token in opening.tokens.values():
        token.close()
    said = False
    with contextlib.suppress(CinnabarError, TimeoutError):
        await asyncio.wait_for(recorder.goodbye(), GOODBYE_S)
        said = True
    await recorder.close()
    counter.close(remove=said)
