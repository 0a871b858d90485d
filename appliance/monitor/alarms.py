"""How a monitor tells: a JSON object a line on its output, and a command that a person named, once an alarm."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from appliance.instants import rfc3339
from appliance.monitor.errors import Alarming
from appliance.monitor.state import LogState, MonitorState, OpenAlarm

COMMAND_SECONDS: Final = 60.0
STAY: Final = frozenset({"history-forked", "commitments-broken"})
"""Alarms that no later look takes back: what was signed stays signed."""

Tell = Callable[[bytes], None]


class Telling:
    """See the module."""

    def __init__(self, tell: Tell, command: Sequence[str] = ()) -> None:
        """`command`: started for each alarm, with its line on standard input. Never a shell."""
        self._tell = tell
        self._command = tuple(command)

    def say(self, event: str, origin: str, **values: Any) -> bytes:
        """A line."""
        line = _line(event, origin, **values)
        self._tell(line)
        return line

    def alarm(self, origin: str, code: str, alarm: OpenAlarm, evidence: bytes = b"") -> bool:
        """A line, and the command; whether both were done. `evidence`: what could not be kept in a file."""
        values = {"alarm": code, "detail": alarm.detail, "control": alarm.control, "evidence": alarm.evidence}
        if evidence:
            values["unkept"] = evidence.decode(errors="replace")
        line = _line("alarm", origin, **values)
        try:
            self._tell(line)
        finally:  # an output that is full or closed keeps nobody from being called
            called = self._called(origin, line)
        return called

    def _called(self, origin: str, line: bytes) -> bool:
        if not self._command:
            return True
        try:
            done = subprocess.run(
                self._command, input=line + b"\n", check=False, timeout=COMMAND_SECONDS, capture_output=True
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self.say("command-failed", origin, problem=type(error).__name__)
            return False
        if done.returncode:
            self.say("command-failed", origin, problem=f"exit status {done.returncode}")
        return not done.returncode


def _line(event: str, origin: str, **values: Any) -> bytes:
    at = rfc3339(time.time_ns() // 1_000)
    return msgspec.json.encode({"time": at, "event": event, "origin": origin, **values})


def raised(state: LogState, error: Alarming, store: MonitorState, telling: Telling) -> LogState:
    """The state with an alarm, which is told where it is new. What shows it is kept once: one pair proves a fork.

    It is on disk before it is told, so that a monitor that dies meanwhile does not forget; a disk that takes nothing
    keeps it from no telling."""
    known = state.alarms.get(error.code)
    if known is not None and (known.evidence or not error.evidence):
        return state
    evidence = _kept(state, error, store, telling) if error.evidence else None
    if known is not None:  # its evidence could not be kept at first
        if evidence is None:
            return state
        return saved(_with(state, error.code, msgspec.structs.replace(known, evidence=evidence)), store, telling)
    alarm = OpenAlarm(since=time.time(), detail=str(error), evidence=evidence, control=error.control, told=False)
    changed = saved(_with(state, error.code, alarm), store, telling)
    unkept = error.evidence if evidence is None else b""
    if not telling.alarm(state.origin, error.code, alarm, unkept):
        return changed
    return saved(_with(changed, error.code, msgspec.structs.replace(alarm, told=True)), store, telling)


def retold(state: LogState, store: MonitorState, telling: Telling) -> LogState:
    """The state after those alarms are told again that nobody has heard: the monitor died, or the command failed."""
    for code, alarm in state.alarms.items():
        if not alarm.told and telling.alarm(state.origin, code, alarm):
            state = saved(_with(state, code, msgspec.structs.replace(alarm, told=True)), store, telling)
    return state


def saved(state: LogState, store: MonitorState, telling: Telling) -> LogState:
    """The state, on disk if it takes it: a monitor goes on watching with what it has in mind."""
    try:
        store.write(state)
    except OSError as error:
        telling.say("state-not-kept", state.origin, problem=error.strerror or type(error).__name__)
    return state


def _with(state: LogState, code: str, alarm: OpenAlarm) -> LogState:
    return msgspec.structs.replace(state, alarms={**state.alarms, code: alarm})


def _kept(state: LogState, error: Alarming, store: MonitorState, telling: Telling) -> str | None:
    """The name of the file that has the evidence; None where the disk does not take it."""
    try:
        return store.keep(error.code, error.evidence)
    except OSError as failure:
        telling.say("evidence-not-kept", state.origin, problem=failure.strerror or type(failure).__name__)
        return None


def cleared(state: LogState, codes: Sequence[str], telling: Telling) -> LogState:
    """The state without alarms that a look has found right again."""
    gone = [code for code in codes if code in state.alarms and code not in STAY]
    for code in gone:
        telling.say("recovered", state.origin, alarm=code)
    alarms = {code: alarm for code, alarm in state.alarms.items() if code not in gone}
    return msgspec.structs.replace(state, alarms=alarms)
