"""The HSM fails, hangs, drops sessions, goes away or is slow while applications ask (control RECORD).

The box runs on SoftHSM behind the forwarding module of hsm.testing. Whatever the token does, a request is answered by
a stamp whose record stands, or by a typed error that may be tried again; the box serves again by itself; and after a
clean stop every call of C_Sign is a row or a typed drop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from appliance.box.settings import LaneSettings, read_settings, write_settings
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.running import RunningBox, wait_until
from firmware_tests.scenarios.load import Load, all_recorded
from firmware_tests.scenarios.runs import balanced_after_clean_stop
from hsm import Pkcs11Uri
from hsm import constants as ck
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import softhsm_module

CALL_TIMEOUT_MS = 1_500
TYPED = {"hsm-unavailable"}


@pytest.fixture
def forwarding(forwarder_library: Path, open_directory: Path) -> Forwarder:
    """A forwarding module that the box's own users can load and obey."""
    directory = open_directory / f"forwarder-{time.monotonic_ns()}"
    directory.mkdir()
    made = Forwarder(forwarder_library, softhsm_module(), directory)
    for path in directory.iterdir():
        path.chmod(0o666 if path.suffix == ".control" else 0o755)
    return made


@pytest.fixture(params=["inline", "threads"])
def faulty(
    request: pytest.FixtureRequest, make_box: Callable[..., RunningBox], forwarding: Forwarder
) -> tuple[RunningBox, Forwarder]:
    """A running box whose tenant's token misbehaves on command."""
    box = make_box()
    lanes = LaneSettings(mode=request.param, count=2 if request.param == "threads" else 1, timeout_ms=CALL_TIMEOUT_MS)
    _through(box, forwarding, lanes)
    box.start()
    return box, forwarding


def _through(box: RunningBox, forwarding: Forwarder, lanes: LaneSettings) -> None:
    settings = read_settings(box.home.settings)
    tokens = []
    for token in settings.tokens:
        if token.name == "demo":
            uri = token.uri.replace(Pkcs11Uri.parse(token.uri).module_path, forwarding.module)
            assert forwarding.module in uri
            token = msgspec.structs.replace(token, uri=uri, lanes=lanes)  # noqa: PLW2901
        tokens.append(token)
    write_settings(box.home.settings, msgspec.structs.replace(settings, tokens=tokens))


def serves_again(load: Load) -> None:
    again = time.monotonic()
    wait_until(lambda: load.served_after(again), 20, "service by itself")


def test_faults_are_typed_errors_and_service_returns(faulty: tuple[RunningBox, Forwarder]) -> None:
    box, hsm = faulty
    with Load(box) as load:
        serves_again(load)
        # One failure is mended by the lanes: nobody who asks sees it.
        for value in (ck.CKR_DEVICE_ERROR, ck.CKR_SESSION_HANDLE_INVALID, ck.CKR_USER_NOT_LOGGED_IN):
            hsm.fail(value, times=1)
            serves_again(load)
        for _ in range(3):
            hsm.drop_sessions()
            serves_again(load)
        hsm.log_out()
        serves_again(load)
        assert not load.problems
        for misbehave, mend in (
            (lambda: hsm.fail(ck.CKR_DEVICE_ERROR, times=None), hsm.reset),
            (hsm.remove_token, hsm.insert_token),
        ):
            known = len(load.problems)
            misbehave()
            wait_until(lambda: len(load.problems) > known + 3, 20, "typed errors")  # noqa: B023
            with box.http() as client:
                health = client.get("/health").json()
            assert health["live"]
            mend()
            serves_again(load)
        hsm.delay(20)
        serves_again(load)
        hsm.reset()
        serves_again(load)
    assert load.codes <= TYPED, load.codes
    assert load.statuses == {503}
    assert all(problem["retriable"] for problem in load.problems)
    assert load.broken == 0
    all_recorded(box, load.answered)
    balanced_after_clean_stop(box)


def test_strangers_find_letters_while_the_hsm_is_away(
    make_box: Callable[..., RunningBox], forwarding: Forwarder
) -> None:
    box = make_box()
    _through(box, forwarding, LaneSettings(mode="inline", count=1, timeout_ms=CALL_TIMEOUT_MS))
    box.start("--public", "127.0.0.1:0")
    bidder = {"name": "华南市政建设有限公司", "id": "91440101MA5CXXXX1K"}
    fields = FIELDS | {"bidder": bidder, "opening": "2026-01-05T01:30:00Z"}
    asked = {"kind": "bid-bond", "first": bidder["name"], "second": fields["tender_code"]}
    with box.http() as client:
        begun = client.post("/v1/letters", json={"kind": "bid-bond", "fields": fields})
        assert begun.status_code == 200, begun.text
        forwarding.remove_token()
        assert client.post("/v1/stamps", json={"digest": "00" * 32}).status_code == 503
    with httpx.Client(base_url=f"https://{box.address('public')}", verify=box.tls()) as anybody:
        found = anybody.post("/v1/check/pair", json=asked)
    assert [one["state"]["en"] for one in found.json()["letters"]] == ["Issued"]
    forwarding.insert_token()


@pytest.mark.parametrize("faulty", ["threads"], indirect=True)
def test_a_hanging_hsm_holds_no_request_for_ever(faulty: tuple[RunningBox, Forwarder]) -> None:
    """Calls that do not come back are given up after the lane's time, counted, and their lanes replaced."""
    box, hsm = faulty
    with Load(box) as load:
        serves_again(load)
        hsm.hang(times=3)  # fewer than the two workers' four lanes
        serves_again(load)
        hsm.hang(times=None)
        known = len(load.problems)
        wait_until(lambda: len(load.problems) > known, 20, "typed errors")
        hsm.release()
        serves_again(load)
    assert load.codes <= TYPED, load.codes
    assert load.statuses <= {503}
    assert load.broken == 0
    all_recorded(box, load.answered)
    runs = balanced_after_clean_stop(box)
    assert sum(run["drops"].get("timed-out", 0) for run in runs) > 0
