"""The supervisor: starts the box's processes, keeps them up, publishes the state, and stops them in order.

It signs nothing, opens no token and no database. Each process runs under its own user where the box is started as root
and that user can reach the interpreter and the home (see appliance.box.users).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from appliance.box import process
from appliance.box.front import FRONTS, Listener, listener_addresses, pid_file, write_front
from appliance.box.home import Home
from appliance.box.probe import NoAnswer, Vitals, ask
from appliance.box.settings import BoxSettings
from appliance.box.softhsm import TokenKeeper
from appliance.box.states import Cause, State, StatePage, StateReport, decide
from appliance.box.users import ProcessUsers

RESTART_DELAY_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_AFTER_S = 30.0
LOOP_RESTARTS = 20
"""Restarts without a steady stretch after which a process counts as not staying up."""
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
WATCH_INTERVAL_S = 0.5
COMPARING_PATIENCE_S = 20.0
"""How long the start waits for the logs to be compared; after that the box comes up locked until they are."""
LAST_LIFE_S = 2.0
"""How long the processes of a killed box may take to end."""
ASK_INTERVAL_S = 2.0
SILENCES = 3
"""Unanswered questions in a row (each waits four seconds) after which a worker counts as hung and is ended."""

log = structlog.get_logger("supervisor")


@dataclass(frozen=True)
class Part:
    """One process of the box."""

    name: str
    command: tuple[str, ...]
    user: int | None
    ready: Callable[[], bool]
    """True once the part can be used by the parts started after it."""
    stage: int
    """Parts are started by rising stage and stopped by falling stage."""
    stop_signal: signal.Signals = signal.SIGTERM
    environment: dict[str, str] = field(default_factory=dict)
    inherited: tuple[int, ...] = ()
    vitals: Path | None = None
    """Metrics socket of a part that is to be asked whether it still works."""


class AlreadyRunning(Exception):
    """A box runs in this home already."""


def hold_home(home: Home) -> int:
    """Hold the home for this process, until it ends or closes the descriptor. Raises AlreadyRunning."""
    descriptor = os.open(home.root / ".running", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyRunning(f"A box runs in {home.root} already.") from None
    return descriptor


class PartRunner:
    """Keeps one part up until told to stop."""

    def __init__(self, part: Part, environment: dict[str, str]) -> None:
        self.part = part
        self.process: asyncio.subprocess.Process | None = None
        self.restarts = 0
        self.stopping = False
        self._environment = environment | part.environment
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_up(), name=f"keep-up-{self.part.name}")

    async def _keep_up(self) -> None:
        while not self.stopping:
            started = time.monotonic()
            self.process = await process.spawn(
                self.part.command, self.part.user, self._environment, self.part.inherited
            )
            log.info("part-started", part=self.part.name, pid=self.process.pid)
            status = await self.process.wait()
            process.end_group(self.process.pid)  # children of a part that was killed, such as nginx's workers
            if self.stopping:
                break
            self.restarts = 0 if time.monotonic() - started > STEADY_AFTER_S else self.restarts + 1
            delay = RESTART_DELAY_S[min(self.restarts, len(RESTART_DELAY_S) - 1)]
            log.warning("part-ended", part=self.part.name, status=status, restarts=self.restarts, delay_s=delay)
            await asyncio.sleep(delay)

    async def stop(self) -> int | None:
        """Ask the part to stop, wait, and end it by force if it does not. Returns its exit status."""
        self.stopping = True
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.part.stop_signal)
            try:
                await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                log.error("part-killed", part=self.part.name)
                with contextlib.suppress(ProcessLookupError):
                    self.process.kill()
                await self.process.wait()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        return None if self.process is None else self.process.returncode


class Addresses(msgspec.Struct, frozen=True):
    """HOME/run/addresses.json: where the front listens."""

    applications: str | None = None
    tsa: str | None = None
    public: str | None = None
    metrics: str | None = None


def bind(address: str) -> socket.socket:
    """A listening socket for HOST:PORT; port 0 takes a free one.

    Raises ValueError for another form, OSError when the address is taken or not this machine's.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{address!r} is not HOST:PORT")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except (OSError, OverflowError) as error:
        listener.close()
        raise OSError(f"{address}: {getattr(error, 'strerror', None) or error}") from error
    listener.listen(511)
    # nginx takes a socket that it inherits as it is: two of its workers wake for one connection, and the one that comes
    # second would wait in accept(2), with all its connections, until the next one comes.
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
        self._keeper = TokenKeeper(home, process.environment(home, settings))
        self._stop = asyncio.Event()
        self._started = time.monotonic()
        self._vitals: dict[str, Vitals] = {}

    @property
    def state(self) -> State:
        """The state as last published."""
        return State.LOCKED if self._state is None else self._state

    def request_stop(self) -> None:
        self._stop.set()

    async def run(self, on_ready: Callable[[Addresses], None]) -> int:
        """Run until asked to stop. Returns 0 after a clean stop, 1 if a part never came up or did not stop cleanly.

        Raises AlreadyRunning."""
        held = hold_home(self.home)
        try:
            return await self._run(on_ready)
        finally:
            os.close(held)

    async def _run(self, on_ready: Callable[[Addresses], None]) -> int:
        await self._end_last_front()
        self._keeper.heal_now()
        self._prepare_run_directory()
        self._page = StatePage.create(self.home.state_page)
        addresses = self._bind_front()
        parts = self._parts()
        status = 0
        try:
            for stage in sorted({part.stage for part in parts}):
                await self._start_stage([part for part in parts if part.stage == stage])
                if self._stop.is_set():
                    break
            else:
                self._phase = None
                self._publish()
                process.write_file(self.home.addresses, msgspec.json.encode(addresses))
                on_ready(addresses)
                asking = [asyncio.create_task(self._ask(runner)) for runner in self.runners if runner.part.vitals]
                await self._watch()
                for task in asking:
                    task.cancel()
        except TimeoutError as error:
            log.error("start-failed", detail=str(error))
            status = 1
        finally:
            self._phase = Cause.STOPPING
            self._publish()
            for runner in sorted(self.runners, key=lambda runner: -runner.part.stage):
                ended = await runner.stop()
                if ended not in (0, None, -runner.part.stop_signal):
                    log.error("part-stopped-badly", part=runner.part.name, status=ended)
                    status = 1
            for listener in itertools.chain.from_iterable(self._sockets.values()):
                listener.close()
            log.info("box-stopped", status=status)
        return status

    async def _start_stage(self, parts: list[Part]) -> None:
        environment = process.environment(self.home, self.settings)
        started = [PartRunner(part, environment) for part in parts]
        self.runners.extend(started)
        for runner in started:
            runner.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        for part in parts:
            while not part.ready() and not self._stop.is_set():
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{part.name} was not ready within {START_TIMEOUT_S:.0f} s")
                await asyncio.sleep(0.02)

    async def _watch(self) -> None:
        while not self._stop.is_set():
            self._keeper.look()
            self._publish()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), WATCH_INTERVAL_S)

    async def _ask(self, runner: PartRunner) -> None:
        """Ask one worker for its vitals again and again; end it when it stays silent."""
        name, socket_path, silences = runner.part.name, runner.part.vitals, 0
        assert socket_path is not None  # noqa: S101 - only parts with one are asked
        while True:
            await asyncio.sleep(ASK_INTERVAL_S)
            process_asked = runner.process
            try:
                self._vitals[name] = await ask(socket_path)
                silences = 0
            except NoAnswer as error:
                silences = silences + 1 if runner.up and runner.process is process_asked else 0
                log.warning("part-silent", part=name, silences=silences, detail=str(error))
                if silences >= SILENCES and process_asked is not None:
                    log.error("part-hung", part=name, pid=process_asked.pid)
                    with contextlib.suppress(ProcessLookupError):
                        process_asked.kill()
                    silences = 0

    def _causes(self) -> dict[Cause, str]:
        causes: dict[Cause, str] = {}
        if self._phase is not None:
            causes[self._phase] = ""
        down = [runner.part.name for runner in self.runners if not runner.up]
        if down:
            causes[Cause.PROCESS_DOWN] = ", ".join(down)
        looping = [runner.part.name for runner in self.runners if runner.restarts >= LOOP_RESTARTS]
        if looping:
            causes[Cause.RESTART_LOOP] = ", ".join(looping)
        if not all(vitals.clock_shown for vitals in self._vitals.values()):
            causes[Cause.CLOCK_NOT_SHOWN] = "stamps are refused until it is (TIME)"
        if any(vitals.unusable_keys for vitals in self._vitals.values()):
            causes[Cause.TOKEN_UNAVAILABLE] = "keys that cannot sign now"
        free = shutil.disk_usage(self.home.root).free
        if free < self.settings.limits.disk_refuse_bytes:
            causes[Cause.DISK_FULL] = f"{free} bytes free"
        elif free < self.settings.limits.disk_warn_bytes:
            causes[Cause.DISK_LOW] = f"{free} bytes free"
        if self.home.history_lock.exists():
            causes[Cause.HISTORY_UNPROVEN] = "resume with the last exported checkpoints"
        elif not self.home.logs_compared.exists():
            causes[Cause.HISTORY_UNPROVEN] = "the logs are not yet compared with what was exported"
        return causes

    def _publish(self) -> None:
        causes = self._causes()
        processes = {
            runner.part.name: runner.process.pid for runner in self.runners if runner.up and runner.process is not None
        }
        if processes != self._shown_processes:
            self._shown_processes = processes
            process.write_file(self.home.processes, msgspec.json.encode(processes))
        state = decide(causes)
        if state is not self._state:
            self._state, self._since = state, int(time.time())
            log.info("state", state=state.label, causes={cause.label: detail for cause, detail in causes.items()})
        if self._page is not None:
            self._page.write(
                StateReport(state.label, {cause.label: detail for cause, detail in causes.items()}, self._since)
            )

    def _bind_front(self) -> Addresses:
        """Bind the listeners here, so that a free port is known and a privileged one needs no root nginx."""
        addresses = listener_addresses(self.settings)
        listeners: list[Listener] = []
        for front, names in FRONTS.items():
            of_front: list[Listener] = []
            for name in names:
                if name in addresses:
                    bound = bind(addresses[name])
                    self._sockets.setdefault(front, []).append(bound)
                    of_front.append(Listener(name, _shown(bound)))
            if of_front:
                write_front(self.home, self.settings, of_front, front)
                listeners += of_front
        self.users.give(self.home.front, self.users.front)
        return Addresses(**{listener.name: listener.address for listener in listeners})

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

    def _prepare_run_directory(self) -> None:
        home, users = self.home, self.users
        users.directory(home.run, None, 0o755)
        for path in home.run.iterdir():
            if path == home.counters:
                continue  # the recorder settles what processes that died have counted (control RECORD)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        users.directory(home.recorder_socket.parent, users.recorder, 0o2750, group=users.tokens)
        users.directory(home.clock_page.parent, users.recorder, 0o755)
        users.directory(home.logs_compared.parent, users.tokens, 0o755)
        users.directory(home.marks, users.tokens, 0o755)
        users.give(home.counters, users.tokens, create=True)
        users.directory(home.run / "api", None, 0o755)
        for number in range(self.settings.workers):
            directory = home.worker_socket(number, "applications").parent
            users.directory(directory, users.tokens, 0o2750, group=users.front)
        users.give(home.records, users.recorder, create=True)
        for path in (home.documents, home.logs, home.tokens, home.exports, home.trust):
            users.give(path, users.tokens, create=True)
        for token in self.settings.tokens:
            users.give(home.root / token.pin_file, users.tokens)
        for tenant in self.settings.tenants:
            users.give(home.root / tenant.data_key, users.tokens)
        users.directory(home.secrets, None, 0o711)
        if self.settings.front.tsa_passwords is not None:
            users.give(home.root / self.settings.front.tsa_passwords, users.front)

    def _history_settled(self) -> bool:
        """Whether the follower has compared the logs, or locked them; a slow one does not keep the box from coming up
        locked (control FORK)."""
        settled = self.home.logs_compared.exists() or self.home.history_lock.exists()
        return settled or time.monotonic() > self._started + COMPARING_PATIENCE_S

    def _parts(self) -> list[Part]:
        home, users = self.home, self.users
        python = process.interpreter()
        where = ("--home", str(home.root))

        def module(name: str, *more: str) -> tuple[str, ...]:
            return (*python, "-m", name, *where, *more)

        def exists(path: Path) -> Callable[[], bool]:
            return path.exists

        parts = [
            Part("clock", module("appliance.clock"), users.recorder, exists(home.clock_page), 0),
            Part("recorder", module("appliance.recorder"), users.recorder, exists(home.recorder_socket), 0),
            Part("log", module("appliance.log"), users.tokens, self._history_settled, 1),
            Part("keymaster", module("appliance.keymaster"), users.tokens, lambda: True, 1),
        ]
        parts += [
            Part(
                f"api-{number}",
                module("appliance.api", "--worker", str(number)),
                users.tokens,
                exists(home.worker_socket(number, "applications")),
                2,
                vitals=home.worker_socket(number, "metrics"),
            )
            for number in range(self.settings.workers)
        ]
        for front, sockets in self._sockets.items():
            descriptors = tuple(listener.fileno() for listener in sockets)
            parts.append(
                Part(
                    front,
                    (process.nginx(), "-c", str(home.front / f"{front}.conf"), "-p", str(home.front)),
                    users.front,
                    exists(pid_file(home, front)),
                    3,
                    stop_signal=signal.SIGQUIT,
                    # nginx takes over listening sockets that are already open when it is told their numbers.
                    environment={"NGINX": "".join(f"{descriptor};" for descriptor in descriptors)},
                    inherited=descriptors,
                )
            )
        return parts
