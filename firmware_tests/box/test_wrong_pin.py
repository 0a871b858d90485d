"""One tenant's wrong PIN file: the others work, everybody is told the truth, and the right PIN is enough to mend it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.api.awaited import LOOK_AFRESH_EVERY, TRY_AGAIN_S
from appliance.box.control import AdoptionFailed, ControlClient
from appliance.box.settings import read_settings, write_settings
from appliance.box.states import Cause, State, StatePage
from firmware_tests.running import RunningBox, cinnabar, wait_until
from hsm import Pkcs11Uri

STAMP = {"digest": "00" * 32}
WRONG = "wrong-pin-11111111\n"


@pytest.fixture(scope="module")
def mistaken(open_directory: Path) -> Iterator[RunningBox]:
    """A box that was up once, and is started again with a wrong PIN of `demo`."""
    box = RunningBox(open_directory / f"pin-{time.monotonic_ns()}", "demo", "other")
    box.provision()
    box.start("--tsa", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    assert box.stop() == 0, box.said()
    yield box
    if box.running:
        assert box.stop() == 0, box.said()


def check_log(box: RunningBox) -> tuple[int, str]:
    done = cinnabar("log", "check", "--home", str(box.home.root))
    return done.returncode, done.stdout + done.stderr


def tries(box: RunningBox) -> set[tuple[str, str]]:
    """What was noted about refused PINs: a file that was tried again would have another mark, or stand anew."""
    return {(str(path), path.read_text()) for path in box.home.secrets.rglob("*.refused")}


def test_a_wrong_pin_of_one_tenant_stops_no_other_and_is_mended_by_the_right_one(mistaken: RunningBox) -> None:
    box, file = mistaken, mistaken.home.secrets / "demo.pin"
    right = file.read_text()
    file.write_text(WRONG)
    box.start("--tsa", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    said = box.said()
    assert "is up, but degraded" in said
    assert "token demo does not open" in said
    page = StatePage.open(box.home.state_page)
    assert set(page.report().causes) == {Cause.TOKEN_UNAVAILABLE.label}
    noted = tries(box)
    assert noted
    with box.http("other") as other, box.http("demo") as demo:
        assert other.post("/v1/stamps", json=STAMP).status_code == 200
        assert other.post("/v1/seals", json=STAMP).status_code == 200
        assert other.get("/health").json()["hsm"] == "working"
        for path in ("/v1/stamps", "/v1/seals"):
            refused = demo.post(path, json=STAMP)
            assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (503, "hsm-unavailable"), path
        bulk = demo.post("/v1/seals/bulk", json={"digests": ["00" * 32]})
        assert bulk.status_code == 503
        health = demo.get("/health").json()
        assert health["hsm"] == "failing"
        assert health["keys"]
        assert not any(key["usable"] for key in health["keys"])
        assert all(key["certificate_days_left"] > 0 for key in health["keys"])
        query = demo.post("/v1/stamps", content=b"0", headers={"Content-Type": "application/timestamp-query"})
        assert query.status_code == 200, "a rejection of RFC 3161"
    shown = cinnabar("health", "--home", str(box.home.root), "--as", "demo-app").stdout
    assert "degraded" in shown
    assert "not usable" in shown
    time.sleep(2.5)
    assert tries(box) == noted, "it is not tried again"
    # A leaf was made without the tenant's log: nothing is missing.
    assert check_log(box)[0] == 0, check_log(box)[1]
    _adoption_waits_for_no_other_token(box)
    file.write_text(right)
    wait_until(lambda: page.state() is State.OPERATIONAL, 20, "the token")
    with box.http("demo") as demo:
        assert demo.post("/v1/stamps", json=STAMP).status_code == 200
        assert demo.post("/v1/seals", json=STAMP).status_code == 200
        assert demo.get("/health").json()["hsm"] == "working"
    assert box.stop() == 0, box.said()
    assert check_log(box)[0] == 0, check_log(box)[1]
    assert "setrlimit" not in box.output.read_text()
    assert " lost" not in cinnabar("counts", "--home", str(box.home.root)).stdout


def test_a_token_that_comes_after_the_start_is_taken_up(mistaken: RunningBox) -> None:
    """SoftHSM shows it to a fresh module only, and the other tenant's token keeps the workers' module from that."""
    box = mistaken
    place = _place_of(box, "demo")
    aside = box.home.root / "aside"
    place.rename(aside)
    box.start("--tsa", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    page = StatePage.open(box.home.state_page)
    assert set(page.report().causes) == {Cause.TOKEN_UNAVAILABLE.label}
    before = {box.processes()[name] for name in ("api-0", "api-1")}
    with box.http("other") as other, box.http("demo") as demo:
        assert other.post("/v1/stamps", json=STAMP).status_code == 200
        assert demo.post("/v1/stamps", json=STAMP).status_code == 503
    time.sleep(TRY_AGAIN_S * (LOOK_AFRESH_EVERY + 1))
    assert {box.processes()[name] for name in ("api-0", "api-1")} == before, (
        "nothing ends for a token that is not there"
    )
    aside.rename(place)
    wait_until(lambda: page.state() is State.OPERATIONAL, 60, "the token")
    with box.http("demo") as demo:
        assert demo.post("/v1/stamps", json=STAMP).status_code == 200
    said = box.said()
    assert "worker-ends-for-token" in said
    assert box.stop() == 0, said
    assert " lost" not in cinnabar("counts", "--home", str(box.home.root)).stdout


def _place_of(box: RunningBox, name: str) -> Path:
    """The directory of a token of SoftHSM's: its serial number is the end of the directory's name."""
    (uri,) = [token.uri for token in read_settings(box.home.settings).tokens if token.name == name]
    label = Pkcs11Uri.parse(uri).token
    assert label is not None
    (place,) = [
        path.parent for path in box.home.tokens.rglob("token.object") if label.ljust(32).encode() in path.read_bytes()
    ]
    return place


def _adoption_waits_for_no_other_token(box: RunningBox) -> None:
    """Other settings are undone where they close what is open; the token that was closed before does not matter."""
    now = read_settings(box.home.settings)
    more = msgspec.structs.replace(now, limits=msgspec.structs.replace(now.limits, bulk_items=777))
    with ControlClient(box.home.supervisor_socket) as client:
        client.adopt(more)
        absent = [
            msgspec.structs.replace(token, pin_file="secrets/none.pin") if token.name == "other" else token
            for token in now.tokens
        ]
        with pytest.raises(AdoptionFailed):
            client.adopt(msgspec.structs.replace(more, tokens=absent))
    with box.http("other") as other:
        assert other.post("/v1/stamps", json=STAMP).status_code == 200


def test_the_last_line_of_a_failed_start_names_the_cause(mistaken: RunningBox) -> None:
    box, now = mistaken, read_settings(mistaken.home.settings)
    broken = msgspec.structs.replace(now.seal_keys[0], key_uri="pkcs11:object=there-is-none")
    write_settings(box.home.settings, msgspec.structs.replace(now, seal_keys=[broken, *now.seal_keys[1:]]))
    try:
        done = cinnabar("run", "--home", str(box.home.root), "--api", "127.0.0.1:0", "--management", "off")
    finally:
        write_settings(box.home.settings, now)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("The box did not start: api-"), last
    assert "seal key" in last
    assert "no private key answers" in last
    assert " lost" not in cinnabar("counts", "--home", str(box.home.root)).stdout


def test_the_box_s_own_wrong_pin_stops_no_tenant(mistaken: RunningBox) -> None:
    box, file = mistaken, mistaken.home.secrets / "box.pin"
    right = file.read_text()
    file.write_text(WRONG)
    box.start()
    with box.http("other") as other:
        assert other.post("/v1/stamps", json=STAMP).status_code == 200
    file.write_text(right)
    assert box.stop() == 0, box.said()
