"""Opening everything that a worker serves. Every fault of the configuration is found and told at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from appliance.api.bodies import BodyCipher
from appliance.api.callers import Callers
from appliance.api.gates import Gates
from appliance.api.units import SealingKey, StampingUnit, tokens_certificates
from appliance.api.worker import HostedLog, Worker
from appliance.box.home import Home
from appliance.box.pins import pin_path, tokens_of
from appliance.box.settings import BoxSettings, SealKeySettings, TokenSettings, UnitSettings
from appliance.box.states import StatePage
from appliance.clock import Clock
from appliance.clock.reading import system_ns
from appliance.documents import DocumentsClient
from appliance.enrolment import Enroller
from appliance.errors import CinnabarError
from appliance.log import LogReader, log_directory
from appliance.recorder import CallCounter, RecorderClient, new_run_id
from appliance.recorder.messages import Register
from appliance.seals import SealProfile
from appliance.timestamps import HighWaterMark, TimeStampUnit, UnitProfile, check_unit_certificate
from hsm import LaneSettings, PinFile, Pkcs11Uri, Token, open_token, vault
from hsm.errors import HsmError
from hsm.tokens import Standby


class ConfigurationFaults(CinnabarError):
    """What box.json and the home say cannot be served. `faults` lists every fault that was found."""

    code = "configuration-faults"
    title = "The worker cannot start with this configuration"

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class _Opening:
    """One start: what is open so far, and what went wrong."""

    def __init__(self, home: Home, settings: BoxSettings) -> None:
        self.home = home
        self.settings = settings
        self.faults: list[str] = []
        self.tokens: dict[str, Token] = {}
        self.ciphers: dict[str, BodyCipher] = {}
        self.units: dict[str, StampingUnit] = {}
        self.seal_keys: dict[str, SealingKey] = {}

    def attempt(self, what: str, step: Callable[[], None]) -> None:
        try:
            step()
        except (CinnabarError, HsmError, OSError, ValueError, KeyError) as error:
            self.faults.append(f"{what}: {error}" if str(error) else f"{what}: {type(error).__name__}")

    def needed_tokens(self) -> set[str]:
        """Tokens of tenants; the box's own is not this process's to open."""
        return tokens_of(self.settings, "worker")

    def open_tokens(self, counter: CallCounter) -> None:
        known = {token.name: token for token in self.settings.tokens}
        for name in sorted(self.needed_tokens()):
            if name not in known:
                self.faults.append(f"token {name}: not in the settings")
                continue
            self.attempt(f"token {name}", lambda token=known[name]: self._open_token(token, counter))  # type: ignore[misc]

    def _open_token(self, token: TokenSettings, counter: CallCounter) -> None:
        standby = None
        if token.standby_uri is not None:
            standby = Standby(Pkcs11Uri.parse(token.standby_uri), PinFile(pin_path(self.home, token, standby=True)))
        self.tokens[token.name] = open_token(
            Pkcs11Uri.parse(token.uri),
            PinFile(pin_path(self.home, token)),
            LaneSettings(token.lanes.mode, token.lanes.count, token.lanes.timeout_ms),
            count_call=counter.count,
            count_drop=counter.drop,
            standby=standby,
            allow_weak_keys=token.allow_weak_keys,
        )

    def open_ciphers(self) -> None:
        for tenant in self.settings.tenants:
            if tenant.token not in self.tokens:
                continue  # told already

            def step(name: str = tenant.name, token: str = tenant.token, path: str = tenant.data_key) -> None:
                wrapped = (self.home.root / path).read_bytes()
                self.ciphers[name] = BodyCipher(name, vault.open_content_key(self.tokens[token], wrapped))

            self.attempt(f"tenant {tenant.name}", step)

    def open_keys(self, marks: dict[str, int]) -> None:
        for unit in self.settings.units:
            if unit.token in self.tokens and unit.tenant in self.ciphers:
                self.attempt(f"unit {unit.name}", lambda unit=unit: self._open_unit(unit, marks))  # type: ignore[misc]
            elif unit.tenant not in {tenant.name for tenant in self.settings.tenants}:
                self.faults.append(f"unit {unit.name}: its tenant {unit.tenant} is not in the settings")
        for key in self.settings.seal_keys:
            if key.token in self.tokens and key.tenant in self.ciphers:
                self.attempt(f"seal key {key.name}", lambda key=key: self._open_seal_key(key))  # type: ignore[misc]
            elif key.tenant not in {tenant.name for tenant in self.settings.tenants}:
                self.faults.append(f"seal key {key.name}: its tenant {key.tenant} is not in the settings")

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
            log.origin: HostedLog(
                log.origin,
                log.tenant,
                log.published or log.tenant is None,
                LogReader(log_directory(self.home.logs, log.origin)),
            )
            for log in self.settings.logs
        }

    def revocation_lists(self) -> dict[str, Path]:
        return {f"{authority.name}.crl": self.home.root / authority.crl for authority in self.settings.authorities}


async def open_worker(home: Home, settings: BoxSettings, number: int) -> Worker:
    """Open everything. Raises ConfigurationFaults with all faults, RecorderUnavailable."""
    opening = _Opening(home, settings)
    callers, gates = Callers(), Gates()
    counter = CallCounter(home.counters, new_run_id())

    def learn(register: Register) -> None:
        callers.update(register)
        gates.update(register)

    recorder = await RecorderClient.connect(
        home.recorder_socket,
        counter.run,
        counter.counts,
        in_flight=settings.limits.in_flight,
        on_register=learn,
        on_dropped=counter.drop,
    )
    if not home.tamper_latch.exists():  # else this worker only says how the box is (control TAMPER)
        opening.open_tokens(counter)
        opening.open_ciphers()
        opening.open_keys(await recorder.query("marks"))
    try:
        state = StatePage.open(home.state_page)
    except FileNotFoundError:
        opening.faults.append("no state page: the supervisor makes it")
    if opening.faults:
        for token in opening.tokens.values():
            token.close()
        await recorder.close()
        counter.close(remove=True)
        raise ConfigurationFaults(opening.faults)
    return Worker(
        number=number,
        home=home,
        settings=settings,
        callers=callers,
        clock=Clock.open(home.clock_page),
        recorder=recorder,
        documents=DocumentsClient(home.documents_socket),
        counter=counter,
        state=state,
        tokens=opening.tokens,
        ciphers=opening.ciphers,
        units=opening.units,
        seal_keys=opening.seal_keys,
        logs=opening.logs(),
        revocation_lists=opening.revocation_lists(),
        responders=frozenset(one.name for one in settings.authorities if one.responder is not None),
        enroller=Enroller(home.enrol_socket),
        gates=gates,
    )
