"""PIN files, and PINs that are never retried into a lock-out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsm import LaneSettings, PinFile, PinRefused, PinUnavailable, TokenUnavailable, open_token
from hsm import constants as ck
from hsm.site import check_pin_may_be_tried
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import SoftHsm, ThrowawayToken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "a.pin"
    file.touch(0o600)
    file.write_text("s3cret\n")
    return file


def test_a_pin_file_is_read_without_its_line_end(path: Path) -> None:
    assert PinFile(path)() == "s3cret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_pin_file_that_others_may_touch_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(PinUnavailable):
        PinFile(path)()


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 300, b"\xff\xfe"])
def test_a_pin_file_without_a_pin_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(PinUnavailable):
        PinFile(path)()


def test_links_directories_pipes_and_missing_files_are_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "pipe", ".", "missing"):
        with pytest.raises(PinUnavailable):
            PinFile(tmp_path / name)()


def test_a_pin_file_of_another_user_is_refused(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("run the tests as root: they check the separation of users")
    os.chown(path, 65534, 65534)
    with pytest.raises(PinUnavailable):
        PinFile(path)()


def test_a_refused_pin_file_is_not_read_again_until_it_is_written_anew(path: Path) -> None:
    PinFile(path).note_refused()
    with pytest.raises(PinRefused):
        PinFile(path)()
    path.write_text("another\n")
    assert PinFile(path)() == "another"


@pytest.mark.parametrize(
    ("flags", "refused_before", "may"),
    [
        (0, False, True),
        (ck.CKF_USER_PIN_COUNT_LOW, False, True),
        (0, True, False),
        (ck.CKF_USER_PIN_FINAL_TRY, False, False),
        (ck.CKF_USER_PIN_COUNT_LOW | ck.CKF_USER_PIN_FINAL_TRY, False, False),
        (ck.CKF_USER_PIN_LOCKED, False, False),
    ],
)
def test_when_a_pin_may_be_tried(flags: int, refused_before: bool, may: bool) -> None:
    if may:
        check_pin_may_be_tried(flags, refused_before=refused_before)
    else:
        with pytest.raises(PinRefused):
            check_pin_may_be_tried(flags, refused_before=refused_before)


def open_by(throwaway: ThrowawayToken, file: Path) -> None:
    open_token(throwaway.uri, PinFile(file), LaneSettings(), patience_s=0.5).close()


def test_a_wrong_pin_is_tried_once_whatever_restarts(softhsm: SoftHsm, forwarder: Forwarder, path: Path) -> None:
    throwaway = softhsm.token(module=forwarder.module)
    before = forwarder.calls("C_Login")
    for _ in range(5):
        with pytest.raises(PinRefused) as caught:
            open_by(throwaway, path)
        assert "s3cret" not in str(caught.value)
    assert forwarder.calls("C_Login") == before + 1
    path.write_text(throwaway.user_pin)
    open_by(throwaway, path)


def test_a_wrong_pin_of_a_callable_is_tried_once_in_a_process(softhsm: SoftHsm, forwarder: Forwarder) -> None:
    throwaway = softhsm.token(module=forwarder.module)
    before = forwarder.calls("C_Login")
    for _ in range(3):
        with pytest.raises(PinRefused):
            open_token(throwaway.uri, lambda: "wrong", LaneSettings(), patience_s=0.5)
    assert forwarder.calls("C_Login") == before + 1


@pytest.mark.parametrize("value", [ck.CKR_PIN_LOCKED, ck.CKR_PIN_EXPIRED])
def test_a_token_that_refuses_the_pin_is_not_asked_again(softhsm: SoftHsm, forwarder: Forwarder, value: int) -> None:
    throwaway = softhsm.token(module=forwarder.module)
    before = forwarder.calls("C_Login")
    forwarder.fail(value, "C_Login")
    with pytest.raises(PinRefused):
        open_token(throwaway.uri, throwaway.pin, LaneSettings())
    assert forwarder.calls("C_Login") == before + 1


def test_a_pin_that_is_refused_while_reconnecting_is_refused_to_those_who_wait(
    softhsm: SoftHsm, forwarder: Forwarder
) -> None:
    from hsm.keys import generate_key_pair

    throwaway = softhsm.token(module=forwarder.module)
    token = open_token(throwaway.uri, throwaway.pin, LaneSettings(timeout_ms=4000))
    key = token.signing_key(generate_key_pair(token, "k", "ecdsa-p256-sha256"), "ecdsa-p256-sha256")
    before = forwarder.calls("C_Login")
    forwarder.fail(ck.CKR_PIN_INCORRECT, "C_Login", times=None)
    forwarder.drop_sessions()
    with pytest.raises((PinRefused, TokenUnavailable)):
        key.sign(b"m")
    with pytest.raises(PinRefused):
        key.sign(b"m")
    token.close()
    assert forwarder.calls("C_Login") == before + 1
