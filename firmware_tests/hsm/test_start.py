"""Starting: many processes at once, modules that fail at first, and modules that do not lock."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware_tests.hsm.words import P256, Faulty
from hsm import LaneSettings, ModuleUnavailable, PinFile, Pkcs11Uri, Token, TokenUnavailable, open_token
from hsm import constants as ck
from hsm.keys import generate_key_pair
from hsm.public_keys import verify
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import SoftHsm

WORKER = """
import sys
from pathlib import Path
from hsm import LaneSettings, PinFile, Pkcs11Uri, open_token
token = open_token(Pkcs11Uri.parse(sys.argv[1]), PinFile(Path(sys.argv[2])), LaneSettings())
key = token.signing_key(Pkcs11Uri(object="k"), "ecdsa-p256-sha256")
for _ in range(20):
    key.sign(b"m")
token.close()
"""


def test_processes_that_start_in_the_same_instant_all_sign(softhsm: SoftHsm, tmp_path: Path) -> None:
    throwaway = softhsm.token()
    token = throwaway.open()
    generate_key_pair(token, "k", P256)
    token.close()
    command = [sys.executable, "-c", WORKER, str(throwaway.uri), str(throwaway.pin_file(tmp_path))]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(8)]
    for process in processes:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint.decode()


@pytest.mark.parametrize("function", ["C_Initialize", "C_GetSlotList", "C_OpenSession", "C_Login", "C_FindObjectsInit"])
def test_failures_at_the_start_are_tried_again(faulty: Faulty, open_with: Callable[..., Token], function: str) -> None:
    faulty.forwarder.fail(ck.CKR_GENERAL_ERROR, function, times=3)
    token = open_with(faulty.throwaway)
    key = token.signing_key(faulty.key, P256)
    verify(key.public_key, P256, b"m", key.sign(b"m"))


def test_a_token_that_is_not_there_is_told_in_time(softhsm: SoftHsm) -> None:
    start = time.monotonic()
    with pytest.raises(TokenUnavailable):
        open_token(
            Pkcs11Uri(token="absent", module_path=softhsm.module), lambda: "1234", LaneSettings(), patience_s=0.5
        )
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("path", ["/does/not/exist.so", "/usr/lib/x86_64-linux-gnu/libz.so.1", None])
def test_what_is_not_a_module_is_refused(path: str | None) -> None:
    with pytest.raises(ModuleUnavailable):
        open_token(Pkcs11Uri(token="a", module_path=path), lambda: "1234", LaneSettings())


def test_a_module_that_does_not_lock_has_an_inline_lane_only(
    softhsm: SoftHsm, forwarder: Forwarder, open_with: Callable[..., Token]
) -> None:
    throwaway = softhsm.token(module=forwarder.module)
    forwarder.fail(ck.CKR_CANT_LOCK, "C_Initialize")
    with pytest.raises(ModuleUnavailable, match="lock"):
        open_with(throwaway, LaneSettings("threads", 2))
    forwarder.fail(ck.CKR_CANT_LOCK, "C_Initialize")
    assert open_with(throwaway).health().available


def test_lane_settings_that_make_no_sense_are_refused() -> None:
    for settings in (("inline", 2), ("threads", 0), ("threads", 5000), ("processes", 1)):
        with pytest.raises(ValueError, match="lane"):
            LaneSettings(*settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive"):
        LaneSettings(timeout_ms=0)


def test_a_token_is_opened_by_a_pin_file(softhsm: SoftHsm, tmp_path: Path) -> None:
    throwaway = softhsm.token()
    open_token(throwaway.uri, PinFile(throwaway.pin_file(tmp_path)), LaneSettings()).close()
