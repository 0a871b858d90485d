"""A 32-byte key sealed to this machine by its TPM 2.0, through tpm2-tools; bound to the values of platform registers.

The key goes in by standard input and comes out by standard output: never as an argument or a file. What is kept outside
(the object's public and encrypted private part, in HOME/secrets) opens in this TPM alone, and only while the registers
have the values that they had. Its parent is the ECC primary of the owner's hierarchy, made anew from its seed.
`TPM2TOOLS_TCTI` says how the TPM is reached; by default the kernel's resource manager.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from appliance.errors import Unavailable

PCRS = "sha256:7"
"""Secure Boot's policy: which loaders and kernels this machine starts."""
KEPT = ("public", "private")
_TIMEOUT_S = 60.0


class TpmRefused(Unavailable):
    """The TPM is not there, or does not give the key: another machine, or one that was started otherwise."""

    code = "tpm-refused"
    title = "The TPM does not give the key"
    retriable = False


class TpmFailed(TpmRefused):
    """One of the TPM's tools ended with a failure."""


def seal(key: bytes, pcrs: str = PCRS) -> dict[str, bytes]:
    """What is to be kept of a sealed key. Raises TpmRefused."""
    with tempfile.TemporaryDirectory(prefix="cinnabar-tpm-") as name:
        directory = Path(name)
        _primary(directory)
        _run(directory, "tpm2_createpolicy", "--policy-pcr", "-l", pcrs, "-L", "policy")
        _flush(directory)
        _run(
            directory,
            *("tpm2_create", "-C", "primary", "-L", "policy", "-i", "-", "-u", "public", "-r", "private"),
            # Opened by its policy alone; the TPM stops nobody who guesses, for there is nothing to guess.
            *("-a", "fixedtpm|fixedparent|noda"),
            content=key,
        )
        return {part: (directory / part).read_bytes() for part in KEPT}


def unseal(kept: dict[str, bytes], pcrs: str = PCRS) -> bytes:
    """The key. Raises TpmRefused."""
    if set(kept) != set(KEPT):
        raise TpmRefused("what is kept of the sealed key is not whole")
    with tempfile.TemporaryDirectory(prefix="cinnabar-tpm-") as name:
        directory = Path(name)
        for part, content in kept.items():
            (directory / part).write_bytes(content)
        _primary(directory)
        _run(directory, "tpm2_load", "-C", "primary", "-u", "public", "-r", "private", "-c", "sealed")
        _flush(directory)
        return _run(directory, "tpm2_unseal", "-c", "sealed", "-p", f"pcr:{pcrs}")


def _primary(directory: Path) -> None:
    """The first that is asked of the TPM: whether there is one shows here."""
    try:
        _run(directory, "tpm2_createprimary", "-C", "o", "-G", "ecc256", "-c", "primary")
    except TpmFailed as error:
        raise TpmRefused(
            "this machine's TPM cannot be used: there is none (/dev/tpmrm0, or what TPM2TOOLS_TCTI names), this user "
            f"may not use it, or its owner hierarchy has a password ({error})"
        ) from None
    _flush(directory)


def _flush(directory: Path) -> None:
    """Without a resource manager the TPM has room for three objects and three sessions, and its tools leave both
    behind; what is needed again is in a file."""
    _run(directory, "tpm2_flushcontext", "-t")
    _run(directory, "tpm2_flushcontext", "-l")


def _run(directory: Path, *command: str, content: bytes = b"") -> bytes:
    tool = shutil.which(command[0])
    if tool is None:
        raise TpmRefused("tpm2-tools is not installed")
    environment = {name: os.environ[name] for name in ("PATH", "TPM2TOOLS_TCTI") if name in os.environ}
    try:
        done = subprocess.run(
            [tool, *command[1:]],
            cwd=directory,
            input=content,
            capture_output=True,
            timeout=_TIMEOUT_S,
            env=environment | {"TSS2_LOG": "all+none"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TpmRefused(f"{command[0]}: the TPM does not answer") from None
    if done.returncode != 0:
        raise TpmFailed(f"{command[0]} failed ({done.returncode})")
    return done.stdout
