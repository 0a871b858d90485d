"""A second kind of token: tpm2-pkcs11 on a software TPM (swtpm) behind an access broker and a message bus of its own.

The module reaches the broker through the bus named in the environment, so one process has at most one of these.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hsm.errors import HsmError
from hsm.initialise import initialise_token
from hsm.testing.softhsm import ThrowawayToken

TPM_MODULE_PATHS = (
    "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib/x86_64-linux-gnu/libtpm2_pkcs11.so.1",
    "/usr/lib/aarch64-linux-gnu/libtpm2_pkcs11.so.1",
)
_START_PATIENCE_S = 20.0


@contextmanager
def tpm_token(directory: Path) -> Iterator[ThrowawayToken]:
    """Start everything, make a token, and end everything afterwards.

    Raises FileNotFoundError if a part is not installed, TimeoutError if one does not start.
    """
    module = next((path for path in TPM_MODULE_PATHS if Path(path).exists()), None)
    missing = [name for name in ("swtpm", "tpm2-abrmd", "dbus-daemon") if shutil.which(name, path=_PATH) is None]
    if module is None or missing:
        raise FileNotFoundError(f"not installed: {', '.join(missing) or 'tpm2-pkcs11'}")
    with ExitStack() as stack:
        port = _start_tpm(stack, directory)
        address = _start_bus(stack)
        _start_broker(stack, port, address)
        store = directory / "store"
        store.mkdir(mode=0o700)
        settings = {
            "DBUS_SESSION_BUS_ADDRESS": address,
            "TPM2_PKCS11_TCTI": "tabrmd:bus_type=session",
            "TPM2_PKCS11_STORE": str(store),
            "TPM2_PKCS11_LOG_LEVEL": "0",
        }
        before = {name: os.environ.get(name) for name in settings}
        stack.callback(_restore, before)
        os.environ.update(settings)
        yield _make_token(module)


@contextmanager
def software_tpm(directory: Path) -> Iterator[str]:
    """A software TPM alone, without broker or module: how tpm2-tools reach it (TPM2TOOLS_TCTI).

    Raises FileNotFoundError if swtpm is not installed, TimeoutError if it does not start.
    """
    if shutil.which("swtpm", path=_PATH) is None:
        raise FileNotFoundError("not installed: swtpm")
    with ExitStack() as stack:
        yield f"swtpm:host=127.0.0.1,port={_start_tpm(stack, directory)}"


_PATH = os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin"


def _make_token(module: str) -> ThrowawayToken:
    user_pin, so_pin = secrets.token_hex(8), secrets.token_hex(8)
    deadline = time.monotonic() + _START_PATIENCE_S
    while True:
        try:
            return ThrowawayToken(initialise_token(module, "tpm", so_pin, user_pin), user_pin, so_pin)
        except HsmError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _start(stack: ExitStack, *command: str, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PATH": _PATH} | (environment or {}),
    )
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _start_tpm(stack: ExitStack, directory: Path) -> int:
    """The port of the TPM's commands; its control channel must be on the next one."""
    state = directory / "tpm"
    state.mkdir()
    deadline = time.monotonic() + _START_PATIENCE_S
    while time.monotonic() < deadline:
        # Both ports may be taken by others between any look and the use: try, and try others.
        port = 20_000 + 2 * secrets.randbelow(6_000)
        process = _start(
            stack,
            *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--flags", "startup-clear"),
            *("--server", f"type=tcp,port={port},bindaddr=127.0.0.1"),
            *("--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1"),
        )
        if _listens(process, port + 1, deadline):
            return port
    raise TimeoutError("swtpm does not start")


def _listens(process: subprocess.Popen[bytes], port: int, deadline: float) -> bool:
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            # Another program may listen there while swtpm is about to give up.
            time.sleep(0.1)
            return process.poll() is None
    return False


def _start_bus(stack: ExitStack) -> str:
    process = _start(stack, "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1")
    if process.stdout is None:
        raise TimeoutError("dbus-daemon has no output")
    return process.stdout.readline().decode().strip()


def _start_broker(stack: ExitStack, port: int, address: str) -> None:
    _start(
        stack,
        "tpm2-abrmd",
        "--session",
        "--allow-root",
        f"--tcti=swtpm:host=127.0.0.1,port={port}",
        environment={"DBUS_SESSION_BUS_ADDRESS": address},
    )


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
