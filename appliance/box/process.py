"""Starting processes of the box: their environment, user, and end with their parent."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import shutil
import signal
import sys
from pathlib import Path

from appliance.box.home import Home
from appliance.box.settings import BoxSettings

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_PASSED_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ")


def interpreter() -> tuple[str, ...]:
    """The command of this Python; -P keeps the working directory off the module path."""
    return (sys.executable, "-P")


def nginx() -> str:
    """The path of nginx. Raises FileNotFoundError when it is not installed."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError("nginx is not installed")
    return found


def environment(home: Home, settings: BoxSettings) -> dict[str, str]:
    """The environment of every process: a short list, and what the token's module needs."""
    passed = {name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ}
    module = {name: value.replace("{home}", str(home.root)) for name, value in settings.environment.items()}
    return passed | module | {"CINNABAR_HOME": str(home.root), "PYTHONUNBUFFERED": "1"}


def settle_objects() -> None:
    """Once a process that answers in microseconds has begun: what stands now stands for its life.

    Short-lived objects die by their reference counts, so the collector has only cycles in errors to find, and full
    rounds over everything would be felt as pauses."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _end_with_parent() -> None:
    # Runs between fork and exec: a dead supervisor must not leave a box behind that nobody watches.
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # No program gives it, or what it starts, another user or group, whatever bits its file has (execve(2)).
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o027)  # the group reads, such as workers the tiles; what others may read is said file by file


async def spawn(
    command: tuple[str, ...],
    user: int | None,
    environment: dict[str, str],
    inherited: tuple[int, ...] = (),
    groups: tuple[int, ...] = (),
    group: int | None = None,
) -> asyncio.subprocess.Process:
    """Start a process under `user` (None: ours), with `group`, else the one of the same number, and `groups` alone
    besides."""
    identity: dict[str, object] = {}
    if user is not None:
        identity = {"user": user, "group": user if group is None else group, "extra_groups": list(groups)}
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        env=environment,
        cwd="/",
        pass_fds=inherited,
        preexec_fn=_end_with_parent,
        start_new_session=True,
        **identity,  # type: ignore[arg-type]
    )


def end_group(leader: int) -> int:
    """Kill what is left of the process group of a front that `spawn` started and that has ended; how many there were.

    nginx's workers outlive a master that was killed, and hold its listening sockets. The number of a group is not
    given to another process while a member is there; a group that has its leader, or is not nginx's, is left alone.
    """
    if leads_group(leader):
        return 0
    left = [
        int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and _is_member(path, leader, "nginx")
    ]
    for pid in left:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return len(left)


def leads_group(pid: int) -> bool:
    """Whether this process is alive and leads a process group."""
    return _is_member(Path(f"/proc/{pid}"), pid)


def _is_member(path: Path, group: int, name: str = "") -> bool:
    """Whether a process of /proc is alive, in the group, and of that name if one is given."""
    try:
        # The name in parentheses, then state, parent, group (proc_pid_stat(5)).
        head, _, rest = (path / "stat").read_text().rpartition(")")
        state, _, number = rest.split()[:3]
    except (OSError, ValueError):
        return False
    return state not in {"Z", "X"} and int(number) == group and head.endswith(f"({name}" if name else "")
