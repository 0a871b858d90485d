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
        at = rfc3339(time.time_ns() // 1_000)
        line = msgspec.json.encode({"time": at, "event": event, "origin": origin, **values})
        self._tell(line)
        return line

    def alarm(self, origin: str, code: str, detail: str, control: str | None, evidence: str | None) -> None:
        """A line, and the command."""
        line = self.say("alarm", origin, alarm=code, detail=detail, control=control, evidence=evidence)
        if not self._command:
            return
        try:
            done = subprocess.run(
                self._command, input=line + b"\n", check=False, timeout=COMMAND_SECONDS, capture_output=True
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self.say("command-failed", origin, problem=type(error).__name__)
        else:
            if done.returncode:
                self.say("command-failed", origin, problem=f"exit status {done.returncode}")


def raised(state: LogState, error: Alarming, store: MonitorState, telling: Telling) -> LogState:
    """The state with an alarm, which is told where it is new. What shows it is kept once: one pair proves a fork."""
    if error.code in state.alarms:
        return state
    evidence = store.keep(error.code, error.evidence) if error.evidence else None
    alarm = OpenAlarm(since=time.time(), detail=str(error), evidence=evidence)
    changed = msgspec.structs.replace(state, alarms={**state.alarms, error.code: alarm})
    store.write(changed)  # before it is told: a monitor that dies meanwhile does not forget
    telling.alarm(state.origin, error.code, str(error), error.control, evidence)
    return changed


def cleared(state: LogState, codes: Sequence[str], telling: Telling) -> LogState:
    """The state without alarms that a look has found right again."""
    gone = [code for code in codes if code in state.alarms and code not in STAY]
    for code in gone:
        telling.say("recovered", state.origin, alarm=code)
    alarms = {code: alarm for code, alarm in state.alarms.items() if code not in gone}
    return msgspec.structs.replace(state, alarms=alarms)
