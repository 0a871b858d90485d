"""The supervisor: starts the box's parts in their order, watches them, publishes the state, and stops them in order.

It signs nothing, opens no token and no database. Which parts there are stands in appliance.box.parts, how one is kept
up in appliance.box.keeping.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable

import msgspec
import structlog

from appliance.box import front_certificate, process
from appliance.box.audit_word import not_kept
from appliance.box.control import AdoptionFailed, ControlServer, read_locks
from appliance.box.front import FRONTS
from appliance.box.home import Home
from appliance.box.keeping import LOOP_RESTARTS, PartRunner
from appliance.box.listeners import Addresses, bind_fronts, write_fronts
from appliance.box.open_files import WANTED_FILES, allowed_files, connections_for, raise_limit
from appliance.box.parts import Part, parts_of, prepare_home, prepare_secrets
from appliance.box.pin_opening import PinOpening
from appliance.box.pins import PinCopies
from appliance.box.probe import NoAnswer, Vitals, ask, beat
from appliance.box.readiness import TOKENS_AWAITED
from appliance.box.reloading import Reloading
from appliance.box.settings import BoxSettings
from appliance.box.softhsm import TokenKeeper
from appliance.box.states import Cause, State, StatePage, StateReport, decide
from appliance.box.tamper import TamperGuard, read_latch
from appliance.box.users import ProcessUsers, has_witnesses
from appliance.box.weaknesses import weaknesses
from appliance.cosigner.word import doubted_logs
from appliance.files import lock_file, write_file
from appliance.keymaster.word import unexplained_tenants

START_TIMEOUT_S = 30.0
HOPELESS_ENDS = 4
"""How often a part may end with the same kind of reason before the start is given up."""
WATCH_INTERVAL_S = 0.5
COMPARING_PATIENCE_S = 20.0
"""How long the start waits for the logs to be compared; after that the box comes up locked until they are."""
LAST_LIFE_S = 2.0
"""How long the processes of a killed box may take to end."""
ASK_INTERVAL_S = 2.0
SILENCES = 3
"""Unanswered questions in a row (each waits four seconds) after which a part counts as hung and is ended."""

log = structlog.get_logger("supervisor")


class AlreadyRunning(Exception):
    """A box runs in this home already."""


def hold_home(home: Home) -> int:
    """Hold the home for this process, until it ends or closes the descriptor. Raises AlreadyRunning."""
    try:
        return lock_file(home.root / ".running")
    except BlockingIOError:
        raise AlreadyRunning(f"A box runs in {home.root} already.") from None


class Supervisor:
    """The life of one box in one home."""

    def __init__(self, home: Home, settings: BoxSettings, users: ProcessUsers) -> None:
        self.home = home
        self.settings = settings
        self.users = users
        self.runners: list[PartRunner] = []
        self._page: StatePage | None = None
        self._shown_processes: dict[str, int] = {}
        self._phase: Cause | None = Cause.STARTING
        self._since = int(time.time())
        self._state: State | None = None
        self._sockets: dict[str, list[socket.socket]] = {}
        """By front."""
        raise_limit()
        self.weaknesses = weaknesses(home, settings, users)
        self.pins = PinCopies(home, settings, users)
        self._opening = PinOpening(home, settings)
        self._tamper = TamperGuard(self)
        self._reloading = Reloading(self)
        self._control = ControlServer(self, *_controllers(users))
        self._addresses = Addresses()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._keeper = TokenKeeper(home, process.environment(home, settings))
        self._stop = asyncio.Event()
        self._started = time.monotonic()
        self._vitals: dict[str, Vitals] = {}
        self.failure = ""
        """Why the box did not come up, if it did not."""
        self.stopped_badly: dict[str, int | None] = {}
        """Parts that did not stop cleanly, with their exit statuses; minus the number of the signal that ended one."""

    @property
    def state(self) -> State:
        """The state as last published."""
        return State.LOCKED if self._state is None else self._state

    def request_stop(self) -> None:
        self._stop.set()

    async def run(self, on_ready: Callable[[Addresses], None], on_wait: Callable[[list[str]], None]) -> int:
        """Run until asked to stop. `on_wait` is called with the PINs that officers must open first.

        Returns 0 after a clean stop, 1 if a part never came up or did not stop cleanly.

        Raises AlreadyRunning."""
        held = hold_home(self.home)
        try:
            return await self._run(on_ready, on_wait)
        finally:
            self._opening.clear()
            os.close(held)

    async def _run(self, on_ready: Callable[[Addresses], None], on_wait: Callable[[list[str]], None]) -> int:
        await self._end_last_front()
        self._keeper.heal_now()
        self._opening.clear()
        prepare_home(self.home, self.settings, self.users)
        front_certificate.finish(self.home)
        await self._opening.begin(None if read_latch(self.home) is None else self.pins.box_token)
        self.pins.prepare()
        self._tamper.begin()
        self._page = StatePage.create(self.home.state_page)
        files = allowed_files()
        if files < WANTED_FILES:
            log.warning(
                "few-open-files", files=files, wanted=WANTED_FILES, front_connections=2 * connections_for(files)
            )
        self._addresses, self._sockets = bind_fronts(self.home, self.settings)
        self.users.give(self.home.front, self.users.numbers.front)
        parts = parts_of(self.home, self.settings, self.users, self._sockets, self._history_settled)
        status = 0
        await self._control.start()
        try:
            for stage in sorted({part.stage for part in parts}):
                if stage > 0:
                    await self._await_pins(on_wait)
                    await self._tamper.look()
                if self._stop.is_set():
                    break
                await self._start_stage([part for part in parts if part.stage == stage])
                if self._stop.is_set():
                    break
            else:
                await self._first_vitals()
                self._phase = None
                self.publish()
                write_file(self.home.addresses, msgspec.json.encode(self._addresses))
                on_ready(self._addresses)
                for runner in self.runners:
                    self._begin_to_ask(runner)
                await self._watch()
        except TimeoutError as error:
            self.failure = str(error)
            log.error("start-failed", detail=self.failure)
            status = 1
        finally:
            self._phase = Cause.STOPPING
            self._tamper.close()
            self.publish()
            await self._control.close()
            for task in self._asking.values():
                task.cancel()
            for runner in sorted(self.runners, key=lambda runner: -runner.part.stage):
                ended = await runner.stop()
                killed = self._tamper.keeps_down(runner.part.name)  # by us, at once
                if ended not in (0, None, -runner.part.stop_signal) and not killed:
                    log.error("part-stopped-badly", part=runner.part.name, status=ended)
                    self.stopped_badly[runner.part.name] = ended
                    status = 1
            for listener in itertools.chain.from_iterable(self._sockets.values()):
                listener.close()
            log.info("box-stopped", status=status)
        return status

    async def _await_pins(self, on_wait: Callable[[list[str]], None]) -> None:
        """Wait for officers to open the PINs, with nothing running that needs one."""
        if self._opening.opened.is_set():
            return
        log.warning("awaiting-unlock", tokens=self._opening.waiting)
        on_wait(self._opening.waiting)
        self.publish()
        stopped = asyncio.create_task(self._stop.wait())
        opened = asyncio.create_task(self._opening.opened.wait())
        await asyncio.wait({stopped, opened}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        opened.cancel()
        self.pins.look()

    async def _start_stage(self, parts: list[Part]) -> None:
        environment = process.environment(self.home, self.settings)
        started = [PartRunner(part, environment) for part in parts]
        self.runners.extend(started)
        for runner in started:
            if self._tamper.keeps_down(runner.part.name):
                runner.stopping = True
            else:
                runner.start()
        looked = time.monotonic()
        deadline = looked + START_TIMEOUT_S
        for runner in started:
            if self._tamper.keeps_down(runner.part.name) or not runner.part.needed:
                continue
            settled = runner.part.settled
            while not (runner.ready if settled is None else settled()) and not self._stop.is_set():
                if time.monotonic() > deadline:
                    because = f": {runner.why}" if runner.why else ""
                    raise TimeoutError(f"{runner.part.name} was not ready within {START_TIMEOUT_S:.0f} s{because}")
                if runner.why and runner.restarts >= HOPELESS_ENDS:
                    raise TimeoutError(f"{runner.part.name}: {runner.why}")
                if time.monotonic() > looked + WATCH_INTERVAL_S:
                    looked = time.monotonic()
                    self.publish()
                    if not self._tamper.holds:
                        self.pins.look()  # an original that is put right now is what the part finds at its next try
                await asyncio.sleep(0.02)

    async def _first_vitals(self) -> None:
        """What the workers say before anybody is told that the box is up."""
        for runner in self.runners:
            if runner.part.vitals is not None and runner.ready:
                with contextlib.suppress(NoAnswer):
                    self._vitals[runner.part.name] = await ask(runner.part.vitals)

    async def _watch(self) -> None:
        while not self._stop.is_set():
            self._keeper.look()
            await self._tamper.look()
            if not self._tamper.holds:
                self.pins.look()
            self.publish()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), WATCH_INTERVAL_S)

    async def _ask(self, runner: PartRunner) -> None:
        """Ask one part whether it still works, a worker for its vitals, again and again; end it when it is silent."""
        part, name, silences = runner.part, runner.part.name, 0
        while True:
            await asyncio.sleep(ASK_INTERVAL_S)
            process_asked = runner.process
            try:
                if part.vitals is not None:
                    self._vitals[name] = await ask(part.vitals)
                elif part.pulse is not None:
                    await beat(part.pulse)
                silences = 0
            except NoAnswer as error:
                still = runner.up and runner.process is process_asked and not runner.starting
                silences = silences + 1 if still else 0
                log.warning("part-silent", part=name, silences=silences, detail=str(error))
                if silences >= SILENCES and process_asked is not None:
                    log.error("part-hung", part=name, pid=process_asked.pid)
                    with contextlib.suppress(ProcessLookupError):
                        process_asked.kill()
                    silences = 0

    @property
    def closed_tokens(self) -> list[str]:
        """Tokens that do not open for one worker at least."""
        return sorted({token for vitals in self._vitals.values() for token in vitals.closed_tokens})

    @property
    def causes(self) -> dict[Cause, str]:
        """Why the box is not operational, each with a short detail."""
        return self._causes()

    def _causes(self) -> dict[Cause, str]:
        causes: dict[Cause, str] = {}
        if self._phase is not None:
            causes[self._phase] = ""
        if self._opening.waiting:
            causes[Cause.AWAITING_UNLOCK] = "officers' passphrases: cinnabar console unlock"
        down = [runner.part.name for runner in self.runners if runner.missed]
        if down:
            causes[Cause.PROCESS_DOWN] = ", ".join(down)
        looping = [
            runner.part.name for runner in self.runners if runner.part.needed and runner.restarts >= LOOP_RESTARTS
        ]
        if looping:
            causes[Cause.RESTART_LOOP] = ", ".join(looping)
        if not all(vitals.clock_shown for vitals in self._vitals.values()):
            causes[Cause.CLOCK_NOT_SHOWN] = "stamps are refused until it is (TIME)"
        if self.closed_tokens:
            # Whose they are is not for everybody who may read the state; the log names them.
            causes[Cause.TOKEN_UNAVAILABLE] = f"{len(self.closed_tokens)} do not open: the log names them and says why"
        elif any(vitals.unusable_keys for vitals in self._vitals.values()):
            causes[Cause.TOKEN_UNAVAILABLE] = "keys that cannot sign now"
        free = shutil.disk_usage(self.home.root).free
        if free < self.settings.limits.disk_refuse_bytes:
            causes[Cause.DISK_FULL] = f"{free} bytes free"
        elif free < self.settings.limits.disk_warn_bytes:
            causes[Cause.DISK_LOW] = f"{free} bytes free"
        unkept = not_kept(self.home.audit_word, self.settings.audit)
        if unkept is not None:
            causes[Cause.AUDIT_NOT_KEPT] = unkept
        causes |= read_locks(self.home)
        tampered = read_latch(self.home)
        if tampered is not None:
            causes[Cause.TAMPER_SIGNAL] = tampered
        doubted = doubted_logs(self.home.cosigner_word) if has_witnesses(self.settings) else 0
        if doubted:
            causes[Cause.LOG_DOUBTED] = f"{doubted} logs of which a witness has seen another history, or one ahead"
        unexplained = unexplained_tenants(self.home.keymaster_word)
        if unexplained:
            causes[Cause.TENANT_KEYS_UNEXPLAINED] = f"{unexplained} suspended until a ceremony"
        if self.home.history_lock.exists():
            causes[Cause.HISTORY_UNPROVEN] = "resume with the last exported checkpoints"
        elif not self.home.logs_compared.exists():
            causes[Cause.HISTORY_UNPROVEN] = "the logs are not yet compared with what was exported"
        return causes

    def publish(self) -> None:
        """Publish the state as it is now."""
        causes = self._causes()
        processes = {
            runner.part.name: runner.process.pid for runner in self.runners if runner.up and runner.process is not None
        }
        if processes != self._shown_processes:
            self._shown_processes = processes
            write_file(self.home.processes, msgspec.json.encode(processes))
        state = decide(causes)
        if state is not self._state:
            self._state, self._since = state, int(time.time())
            log.info("state", state=state.label, causes={cause.label: detail for cause, detail in causes.items()})
        if self._page is not None:
            self._page.write(
                StateReport(
                    state.label,
                    {cause.label: detail for cause, detail in causes.items()},
                    self._since,
                    self.weaknesses,
                )
            )

    async def _end_last_front(self) -> None:
        """End what the fronts of this home's last life left, if that life was killed: they hold our addresses."""
        try:
            last = msgspec.json.decode(self.home.processes.read_bytes(), type=dict[str, int])
        except (OSError, msgspec.DecodeError):
            return
        deadline = time.monotonic() + LAST_LIFE_S
        for front in (last[name] for name in FRONTS if name in last):
            while (process.leads_group(front) or process.end_group(front)) and time.monotonic() < deadline:
                await asyncio.sleep(0.01)

    # Other settings, and what else the keymaster asks for

    async def open_pins(self, passphrase: str) -> list[str]:
        """Try an officer's passphrase on the PINs that wait. Raises PinLocked, NothingLocked."""
        return await self._opening.unlock(passphrase)

    async def adopt(self, following: BoxSettings) -> None:
        """Go on with other settings. Raises AdoptionRefused, AdoptionFailed."""
        if self._phase is not None or self._tamper.holds:
            raise AdoptionFailed("the box is starting or stopping, or was tampered with")
        await self._reloading.adopt(following)

    async def recover(self) -> None:
        """Come back from a tamper signal."""
        await self._tamper.recover()

    def forget_pins(self) -> None:
        """Part of a tamper signal: PINs go from memory, and the copies that processes have."""
        self._opening.drop(self.pins.box_token)
        self.pins.drop()

    async def recall_pins(self) -> None:
        """Part of coming back: PINs are opened as at the start, which officers may have to do."""
        await self._opening.begin()
        self.publish()
        await self._opening.opened.wait()
        self.pins.prepare()

    def take_over(self, settings: BoxSettings) -> None:
        """Part of adopting: the home and the supervisor itself."""
        self.settings = settings
        prepare_secrets(self.home, settings, self.users)
        self.pins = PinCopies(self.home, settings, self.users)
        self.pins.prepare()
        self.weaknesses = weaknesses(self.home, settings, self.users)

    async def fit_parts(self) -> None:
        """Part of adopting: what the settings ask for now, and did not before, is started; what they do not, ends."""
        parts = parts_of(self.home, self.settings, self.users, self._sockets, self._history_settled)
        wanted = {part.name: part for part in parts}
        for runner in [one for one in self.runners if one.part.name not in wanted]:
            self.runners.remove(runner)
            if (asking := self._asking.pop(runner.part.name, None)) is not None:
                asking.cancel()
            await runner.stop()
        for name in wanted.keys() - {runner.part.name for runner in self.runners}:
            runner = PartRunner(wanted[name], process.environment(self.home, self.settings))
            self.runners.append(runner)
            runner.start()
            self._begin_to_ask(runner)

    def swap(self, old: PartRunner, new: PartRunner) -> None:
        """Part of adopting: `new` keeps the part from now on."""
        self.runners[self.runners.index(old)] = new
        self._begin_to_ask(new)

    def runner(self, part: PartRunner) -> PartRunner:
        """Part of adopting. A worker's successor must open what the worker before it had open."""
        first = {TOKENS_AWAITED: msgspec.json.encode(self.closed_tokens).decode()}
        return PartRunner(part.part, process.environment(self.home, self.settings), first)

    def reload_fronts(self) -> None:
        """Part of adopting."""
        write_fronts(self.home, self.settings, self._addresses)
        for runner in self.runners:
            if runner.part.name in FRONTS and runner.process is not None and runner.up:
                runner.process.send_signal(signal.SIGHUP)

    async def take_front_certificate(self, chain: bytes, key: bytes) -> None:
        """Have the fronts go on with another certificate of the same names. Raises FrontCertificateRefused."""
        front_certificate.check(self.home, chain, key)
        for path in front_certificate.replace(self.home, chain, key):
            self.users.give(path, self.users.numbers.front)
        self.reload_fronts()
        log.info("front-certificate-replaced")

    def _begin_to_ask(self, runner: PartRunner) -> None:
        if runner.part.vitals is None and runner.part.pulse is None:
            return
        name = runner.part.name
        if name in self._asking:
            self._asking[name].cancel()
        self._asking[name] = asyncio.create_task(self._ask(runner))

    def _history_settled(self) -> bool:
        """Whether the follower has compared the logs, or locked them; a slow one does not keep the box from coming up
        locked (control FORK)."""
        settled = self.home.logs_compared.exists() or self.home.history_lock.exists()
        return settled or time.monotonic() > self._started + COMPARING_PATIENCE_S


def _controllers(users: ProcessUsers) -> tuple[frozenset[int], frozenset[int]]:
    """Users and groups that may control the supervisor: root and the keymaster, which has a group of its own also
    where a token forces it under the workers' user; ourselves only where users are not separate."""
    if users.keymaster_group is not None:
        return frozenset({0}), frozenset({users.keymaster_group})
    return frozenset({0, os.geteuid()}), frozenset()
