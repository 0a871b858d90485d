"""A token that fails, hangs, or loses sessions, login or itself: the waiting request is signed, or fails typed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware_tests.hsm.words import P256, Books, Faulty
from firmware_tests.running import wait_until
from hsm import (
    CallTimedOut,
    HsmError,
    KeyMismatch,
    LaneSettings,
    SigningFailed,
    SigningKey,
    SigningRefused,
    Token,
    TokenClosed,
    TokenUnavailable,
)
from hsm import constants as ck
from hsm.failures import Failure, classify
from hsm.keys import destroy_key_pair, generate_key_pair
from hsm.public_keys import verify

INLINE = LaneSettings(timeout_ms=5000)
THREADS = LaneSettings("threads", 4, timeout_ms=5000)
MODES = pytest.mark.parametrize("lanes", [INLINE, THREADS], ids=["inline", "threads"])
SESSION_LOSSES = [ck.CKR_SESSION_HANDLE_INVALID, ck.CKR_SESSION_CLOSED, ck.CKR_OPERATION_ACTIVE]
TOKEN_LOSSES = [ck.CKR_USER_NOT_LOGGED_IN, ck.CKR_KEY_HANDLE_INVALID, ck.CKR_DEVICE_REMOVED, ck.CKR_TOKEN_NOT_PRESENT]
TRANSIENT = [ck.CKR_GENERAL_ERROR, ck.CKR_DEVICE_ERROR, ck.CKR_FUNCTION_FAILED, ck.CKR_HOST_MEMORY, 0x80000ABC]


def check(key: SigningKey, message: bytes = b"m") -> None:
    verify(key.public_key, P256, message, key.sign(message))


@MODES
@pytest.mark.parametrize("function", ["C_SignInit", "C_Sign"])
@pytest.mark.parametrize("value", SESSION_LOSSES + TOKEN_LOSSES + TRANSIENT, ids=hex)
def test_one_failure_is_not_seen_by_who_asks(
    faulty: Faulty, books: Books, open_with: Callable[..., Token], lanes: LaneSettings, function: str, value: int
) -> None:
    token = open_with(faulty.throwaway, lanes)
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.fail(value, function)
    check(key)
    check(key)
    assert books.balanced(2)


@MODES
@pytest.mark.parametrize("loss", ["drop_sessions", "log_out"])
def test_lost_sessions_and_logins_are_restored(
    faulty: Faulty, books: Books, open_with: Callable[..., Token], lanes: LaneSettings, loss: str
) -> None:
    token = open_with(faulty.throwaway, lanes)
    key = token.signing_key(faulty.key, P256)
    for _ in range(3):
        getattr(faulty.forwarder, loss)()
        check(key)
    assert token.health().available
    assert books.balanced(3)


@MODES
def test_a_removed_token_fails_typed_and_comes_back_by_itself(
    faulty: Faulty, open_with: Callable[..., Token], lanes: LaneSettings
) -> None:
    token = open_with(faulty.throwaway, LaneSettings(lanes.mode, lanes.count, timeout_ms=1500))
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.remove_token()
    start = time.monotonic()
    with pytest.raises(TokenUnavailable):
        key.sign(b"m")
    assert time.monotonic() - start < 5
    assert token.health().degraded
    assert not token.health().available
    # Whoever asks later does not wait again for the whole time.
    start = time.monotonic()
    with pytest.raises(TokenUnavailable):
        key.sign(b"m")
    assert time.monotonic() - start < 1.2
    faulty.forwarder.insert_token()
    deadline = time.monotonic() + 10
    while not token.health().available and time.monotonic() < deadline:
        time.sleep(0.05)
    check(key)
    assert token.health().sites[0].reconnects >= 1


@MODES
def test_the_waiting_request_is_signed_when_the_token_comes_back(
    faulty: Faulty, open_with: Callable[..., Token], lanes: LaneSettings
) -> None:
    token = open_with(faulty.throwaway, lanes)
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.remove_token()
    threading.Timer(0.6, faulty.forwarder.insert_token).start()
    check(key)


@MODES
def test_many_await_through_a_loss_and_all_are_signed(
    faulty: Faulty, books: Books, open_with: Callable[..., Token], lanes: LaneSettings
) -> None:
    token = open_with(faulty.throwaway, lanes)
    key = token.signing_key(faulty.key, P256)

    async def main() -> list[bytes]:
        asked = []
        for number in range(300):
            if number % 100 == 50:
                faulty.forwarder.drop_sessions()
            asked.append(key.sign_async(number.to_bytes(2, "big")))
            if number % 7 == 0:
                await asyncio.sleep(0)
        return await asyncio.gather(*asked)

    signatures = asyncio.run(main())
    for number, signature in enumerate(signatures):
        verify(key.public_key, P256, number.to_bytes(2, "big"), signature)
    assert books.balanced(300)


@MODES
def test_a_token_that_goes_on_failing_gives_a_retriable_error(
    faulty: Faulty, books: Books, open_with: Callable[..., Token], lanes: LaneSettings
) -> None:
    token = open_with(faulty.throwaway, LaneSettings(lanes.mode, lanes.count, timeout_ms=500))
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.fail(ck.CKR_DEVICE_ERROR, times=None)
    with pytest.raises((SigningFailed, TokenUnavailable)) as caught:
        key.sign(b"m")
    assert caught.value.retriable
    faulty.forwarder.fail(0, times=0)
    time.sleep(3)
    check(key)
    assert books.balanced(1)


@MODES
@pytest.mark.parametrize("value", [0x68, 0x70, 0x21])
def test_a_refusal_is_not_repeated(
    faulty: Faulty, open_with: Callable[..., Token], lanes: LaneSettings, value: int
) -> None:
    token = open_with(faulty.throwaway, lanes)
    key = token.signing_key(faulty.key, P256)
    before = faulty.forwarder.calls("C_SignInit")
    faulty.forwarder.fail(value, "C_SignInit", times=None)
    with pytest.raises(SigningRefused):
        key.sign(b"m")
    assert faulty.forwarder.calls("C_SignInit") <= before + 2
    faulty.forwarder.fail(0, "C_SignInit", times=0)
    check(key)


def test_a_hanging_lane_is_replaced_and_the_others_go_on(
    faulty: Faulty, books: Books, open_with: Callable[..., Token]
) -> None:
    token = open_with(faulty.throwaway, LaneSettings("threads", 2, timeout_ms=300))
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.hang(times=1)

    async def main() -> list[bytes | BaseException]:
        return await asyncio.gather(*(key.sign_async(b"m") for _ in range(20)), return_exceptions=True)

    outcomes = asyncio.run(main())
    assert sum(isinstance(outcome, CallTimedOut) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, bytes) for outcome in outcomes) == 19
    assert (token.health().sites[0].hanging_lanes, token.health().sites[0].replaced_lanes) == (1, 1)
    check(key)
    faulty.forwarder.release()
    deadline = time.monotonic() + 5
    while token.health().sites[0].hanging_lanes and time.monotonic() < deadline:
        time.sleep(0.02)
    assert token.health().sites[0].hanging_lanes == 0
    assert "timed-out" in books.drops
    assert books.balanced(20)


def test_a_module_starts_afresh_when_the_last_session_is_closed(
    faulty: Faulty, open_with: Callable[..., Token]
) -> None:
    """A lane that hung closes its session at last: that is a call in the module too."""
    token = open_with(faulty.throwaway, LaneSettings("threads", 2, timeout_ms=300))
    key = token.signing_key(faulty.key, P256)
    hsm = faulty.forwarder
    hsm.hang(times=1)
    with pytest.raises(CallTimedOut):
        key.sign(b"m")
    hsm.hang("C_CloseSession", times=1)
    closed, ended = hsm.calls("C_CloseSession"), hsm.calls("C_Finalize")
    hsm.go_on()
    wait_until(lambda: hsm.calls("C_CloseSession") > closed)
    hsm.remove_token()
    with pytest.raises(HsmError):
        key.sign(b"m")
    looked = hsm.calls("C_GetSlotList")
    wait_until(lambda: hsm.calls("C_GetSlotList") > looked + 4)  # every fourth look in vain is before a fresh start
    assert hsm.calls("C_Finalize") == ended
    hsm.release()
    wait_until(lambda: hsm.calls("C_Finalize") > ended)
    hsm.insert_token()
    wait_until(lambda: token.health().sites[0].connected)
    check(key)


def test_when_all_lanes_hang_everybody_is_answered_and_service_returns(
    faulty: Faulty, open_with: Callable[..., Token]
) -> None:
    token = open_with(faulty.throwaway, LaneSettings("threads", 2, timeout_ms=250))
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.hang(times=None)

    async def main() -> list[bytes | BaseException]:
        return await asyncio.gather(*(key.sign_async(b"m") for _ in range(30)), return_exceptions=True)

    start = time.monotonic()
    outcomes = asyncio.run(main())
    assert time.monotonic() - start < 5
    assert all(isinstance(outcome, TokenUnavailable) for outcome in outcomes)
    faulty.forwarder.release()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            check(key)
            break
        except HsmError:
            time.sleep(0.1)
    check(key)


def test_a_cancelled_request_is_counted_as_a_drop(
    faulty: Faulty, books: Books, open_with: Callable[..., Token]
) -> None:
    token = open_with(faulty.throwaway, THREADS)
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.delay(100)

    async def main() -> None:
        future = key.sign_async(b"m")
        await asyncio.sleep(0.02)
        future.cancel()
        await asyncio.sleep(0.3)

    asyncio.run(main())
    assert "cancelled" in books.drops
    assert books.balanced(0)


def test_a_loop_that_ends_while_a_signature_is_made_leaves_a_counted_drop(
    faulty: Faulty, books: Books, open_with: Callable[..., Token]
) -> None:
    token = open_with(faulty.throwaway, THREADS)
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.delay(100)

    async def main() -> None:
        key.sign_async(b"m")
        await asyncio.sleep(0.02)

    asyncio.run(main())
    time.sleep(0.3)
    assert books.balanced(0)


def test_after_a_loss_another_key_under_the_old_name_is_refused(
    faulty: Faulty, open_with: Callable[..., Token]
) -> None:
    """The worst case of a stale handle: the name leads to another key."""
    token = open_with(faulty.throwaway)
    key = token.signing_key(faulty.key, P256)
    destroy_key_pair(token, faulty.key)
    generate_key_pair(token, "k", P256, id=faulty.key.id)
    faulty.forwarder.drop_sessions()
    with pytest.raises(KeyMismatch):
        key.sign(b"m")
    assert "another one" in (token.health().sites[0].keys[0].error or "")


def test_a_key_destroyed_under_way_fails_typed(faulty: Faulty, open_with: Callable[..., Token]) -> None:
    token = open_with(faulty.throwaway, LaneSettings(timeout_ms=500))
    key = token.signing_key(faulty.key, P256)
    destroy_key_pair(token, faulty.key)
    with pytest.raises(HsmError):
        key.sign(b"m")


def test_opening_and_closing_sessions_leaves_the_login(faulty: Faulty, open_with: Callable[..., Token]) -> None:
    token = open_with(faulty.throwaway)
    key = token.signing_key(faulty.key, P256)
    before = faulty.forwarder.calls("C_Login"), faulty.forwarder.calls("C_Logout")
    for writable in (False, True, False):
        with token.session(writable=writable):
            pass
        check(key)
    assert (faulty.forwarder.calls("C_Login"), faulty.forwarder.calls("C_Logout")) == before


def test_sessions_are_held_and_keys_are_looked_up_once(faulty: Faulty, open_with: Callable[..., Token]) -> None:
    token = open_with(faulty.throwaway, THREADS)
    key = token.signing_key(faulty.key, P256)
    for _ in range(50):
        key.sign(b"m")
    names = ("C_OpenSession", "C_FindObjectsInit", "C_Login", "C_GetAttributeValue")
    before = [faulty.forwarder.calls(name) for name in names]
    signed = faulty.forwarder.calls("C_Sign")
    for _ in range(200):
        key.sign(b"m")
    after = [faulty.forwarder.calls(name) for name in names]
    assert after[1:] == before[1:]
    assert after[0] - before[0] <= THREADS.count
    assert faulty.forwarder.calls("C_Sign") == signed + 200


def test_losses_do_not_exhaust_sessions(faulty: Faulty, open_with: Callable[..., Token]) -> None:
    token = open_with(faulty.throwaway, THREADS)
    key = token.signing_key(faulty.key, P256)
    opened = faulty.forwarder.calls("C_OpenSession")
    closed = faulty.forwarder.calls("C_CloseSession")
    for _ in range(20):
        faulty.forwarder.fail(ck.CKR_DEVICE_ERROR, times=2)
        check(key)
    deadline = time.monotonic() + 5
    while not token.health().available and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    opened = faulty.forwarder.calls("C_OpenSession") - opened
    closed = faulty.forwarder.calls("C_CloseSession") - closed
    # Each lane holds one at most, and the connection its login.
    assert opened - closed <= THREADS.count + 1


def test_a_full_token_is_waited_for(faulty: Faulty, open_with: Callable[..., Token]) -> None:
    token = open_with(faulty.throwaway)
    key = token.signing_key(faulty.key, P256)
    faulty.forwarder.fail(ck.CKR_SESSION_COUNT, "C_OpenSession", times=3)
    faulty.forwarder.drop_sessions()
    check(key)


def test_the_self_test_signs_verifies_and_is_remembered(
    faulty: Faulty, books: Books, open_with: Callable[..., Token]
) -> None:
    token = open_with(faulty.throwaway)
    token.signing_key(faulty.key, P256)
    health = token.self_test()
    assert health.available
    assert health.sites[0].self_test_at is not None
    before = faulty.forwarder.calls("C_Sign")
    assert token.health().sites[0].self_test_at == health.sites[0].self_test_at
    assert faulty.forwarder.calls("C_Sign") == before
    assert books.balanced(0)
    faulty.forwarder.fail(0x70, "C_SignInit", times=None)
    failed = token.self_test()
    assert not failed.available
    assert failed.sites[0].self_test_error


def test_a_closed_token_says_so(faulty: Faulty, open_with: Callable[..., Token]) -> None:
    token = open_with(faulty.throwaway)
    key = token.signing_key(faulty.key, P256)
    assert isinstance(key.public_key, ec.EllipticCurvePublicKey)
    token.close()
    token.close()
    with pytest.raises(TokenClosed):
        key.sign(b"m")
    with pytest.raises(TokenClosed):
        token.self_test()


@MODES
def test_closing_under_load_answers_everybody_and_ends_no_process(
    faulty: Faulty, books: Books, open_with: Callable[..., Token], lanes: LaneSettings
) -> None:
    signed = 0
    guard = threading.Lock()

    def ask(key: SigningKey) -> None:
        nonlocal signed
        for _ in range(100):
            try:
                key.sign(b"m")
            except (TokenClosed, TokenUnavailable, SigningFailed):
                continue
            with guard:
                signed += 1

    for round_number in range(10):
        token = open_with(faulty.throwaway, lanes)
        key = token.signing_key(faulty.key, P256)
        threads = [threading.Thread(target=ask, args=(key,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            time.sleep(0.002 * round_number / 3)
            faulty.forwarder.drop_sessions()
        token.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
    assert books.balanced(signed)


def test_every_return_value_is_classified() -> None:
    assert classify(ck.CKR_SESSION_HANDLE_INVALID) is Failure.SESSION
    assert classify(ck.CKR_DEVICE_REMOVED) is Failure.CONNECTION
    assert classify(ck.CKR_GENERAL_ERROR) is Failure.TRANSIENT
    assert classify(ck.CKR_ACTION_PROHIBITED) is Failure.REFUSED
    assert classify(0x80000001) is Failure.TRANSIENT
