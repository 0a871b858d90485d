"""Settings change while the box works: no request fails, what may not change does not, and a fault is undone."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from appliance.box.adoption import AdoptionRefused
from appliance.box.control import AdoptionFailed, ControlClient, SecretKept
from appliance.box.settings import BoxSettings, FrontSettings, UserSettings, read_settings
from appliance.box.states import Cause, State, StatePage
from firmware_tests.running import RunningBox, wait_until


def box_with(directory: Path, workers: int) -> Iterator[RunningBox]:
    running = RunningBox(directory / f"adopting-{workers}", "demo", "other")
    running.provision("--workers", str(workers))
    running.start()
    yield running
    if running.running:
        assert running.stop() == 0, running.said()


@pytest.fixture(scope="module")
def adopting_box(open_directory: Path) -> Iterator[RunningBox]:
    yield from box_with(open_directory, 1)


@pytest.fixture(scope="module")
def box_of_two(open_directory: Path) -> Iterator[RunningBox]:
    yield from box_with(open_directory, 2)


def settings_of(box: RunningBox) -> BoxSettings:
    return read_settings(box.home.settings)


def control(box: RunningBox) -> ControlClient:
    return ControlClient(box.home.supervisor_socket)


LETTER = base64.b64encode(b"a letter " * 4_000).decode()


class Load:
    """Clients that stamp and seal without a pause, on connections that they keep."""

    def __init__(self, box: RunningBox) -> None:
        self.box = box
        self.answers: list[tuple[str, int, str]] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=args)
            for args in (("stamp", 0.0), ("stamp", 0.001), ("stamp", 0.05), ("seal", 0.0), ("seal", 0.02))
        ]

    def _work(self, what: str, pause: float) -> None:
        with self.box.http() as client:
            while not self._stop.is_set():
                try:
                    if what == "stamp":
                        answer = client.post("/v1/stamps", json={"digest": "ab" * 32})
                    else:
                        answer = client.post("/v1/seals", json={"document": LETTER})
                    self.answers.append((what, answer.status_code, answer.text if answer.status_code != 200 else ""))
                except httpx.HTTPError as error:
                    self.answers.append((what, 0, repr(error)))
                time.sleep(pause)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: len(self.answers) > 50, 20, "the first answers")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def adopt_under_load(box: RunningBox, rounds: tuple[int, ...]) -> None:
    before = settings_of(box)
    workers = {name: pid for name, pid in box.processes().items() if name.startswith("api-")}
    with Load(box) as load, control(box) as client:
        for bulk in rounds:
            limits = msgspec.structs.replace(before.limits, bulk_items=bulk)
            done = len(load.answers)
            client.adopt(msgspec.structs.replace(before, limits=limits))
            assert len(load.answers) > done + 20, "the box stood still"
        new = msgspec.structs.replace(before, seal_keys=list(reversed(before.seal_keys)), units=before.units[::-1])
        client.adopt(new)
        client.adopt(new)
    failed = [answer for answer in load.answers if answer[1] != 200]
    assert not failed, (len(failed), len(load.answers), failed[:5], box.said()[-3000:])
    assert {what for what, _, _ in load.answers} == {"stamp", "seal"}
    assert settings_of(box) == new
    now = {name: pid for name, pid in box.processes().items() if name.startswith("api-")}
    assert now.keys() == workers.keys()
    assert not set(now.values()) & set(workers.values())


def test_no_request_fails_while_a_lone_worker_is_replaced(adopting_box: RunningBox) -> None:
    adopt_under_load(adopting_box, (500, 600))


def test_no_request_fails_while_settings_are_adopted(box_of_two: RunningBox) -> None:
    adopt_under_load(box_of_two, (500,))


def _letters_refused(now: BoxSettings) -> list[BoxSettings]:
    """Keys of letters on tokens that serve something else too, other ones than before, federations of nobody."""
    replace = msgspec.structs.replace
    first, *rest = now.tenants
    federation = now.federations[0]
    on_tenants = replace(first.release_keys[0], token=first.token)
    nowhere = replace(first.release_keys[0], token="nowhere")
    others = replace(first.release_keys[0], token=rest[0].release_keys[0].token)
    unreadable = replace(first.release_keys[0], key_uri="pkcs11:pin-value=1")
    return [
        *(replace(now, tenants=[replace(first, release_keys=[key]), *rest]) for key in (on_tenants, nowhere, others)),
        replace(now, tenants=[replace(first, release_keys=[unreadable]), *rest]),
        replace(now, tenants=[replace(first, uniqueness_key="pkcs11:object=another"), *rest]),
        replace(now, federations=[federation, federation]),
        replace(now, federations=[replace(federation, tenants=["nobody"])]),
        replace(now, federations=[replace(federation, tenants=["demo", "demo"])]),
        replace(now, federations=[replace(federation, token=first.token)]),
        replace(now, federations=[replace(federation, token=first.release_keys[0].token)]),
        replace(now, federations=[replace(federation, token="nowhere")]),
        replace(now, federations=[replace(federation, key_uri="pkcs11:object=another")]),
        replace(now, federations=[replace(federation, name="A")]),
    ]


def test_what_never_changes(adopting_box: RunningBox) -> None:
    now = settings_of(adopting_box)
    box_token = now.tokens[0]
    other_module = msgspec.structs.replace(
        box_token, name="hostile", uri="pkcs11:token=hostile?module-path=/tmp/hostile.so"
    )
    foreign = msgspec.structs.replace(now.units[0], tenant="nobody")
    outside = msgspec.structs.replace(now.units[0], certificate="../../etc/shadow")
    replace = msgspec.structs.replace
    refused: list[BoxSettings] = [
        replace(now, users=UserSettings(worker=0)),
        replace(now, environment={"LD_PRELOAD": "/tmp/hostile.so"}),
        replace(now, front=FrontSettings(applications="0.0.0.0:1")),
        replace(now, box_id="0" * 32),
        replace(now, rehearsal=False),
        replace(now, name="other"),
        replace(now, workers=7),
        replace(now, tokens=[*now.tokens, other_module]),
        replace(now, tokens=[replace(box_token, uri=str(now.tokens[1].uri)), *now.tokens[1:]]),
        replace(now, units=[foreign, *now.units[1:]]),
        replace(now, units=[outside, *now.units[1:]]),
        replace(now, units=[now.units[0], *now.units]),
        replace(now, tenants=now.tenants[:1]),
        replace(now, logs=now.logs[:1]),
        replace(now, tokens=now.tokens[:1]),
        replace(now, authorities=[]),
        *_letters_refused(now),
    ]
    with control(adopting_box) as client:
        for following in refused:
            with pytest.raises(AdoptionRefused):
                client.adopt(following)
        with pytest.raises(AdoptionRefused):
            client.call("adopt", b'{"format":"cinnabar-box/1"}')
    assert settings_of(adopting_box) == now


def test_settings_that_do_not_work_are_undone(adopting_box: RunningBox) -> None:
    now = settings_of(adopting_box)
    broken = msgspec.structs.replace(now.seal_keys[0], key_uri="pkcs11:object=there-is-none")
    with Load(adopting_box) as load, control(adopting_box) as client, pytest.raises(AdoptionFailed):
        client.adopt(msgspec.structs.replace(now, seal_keys=[broken, *now.seal_keys[1:]]))
    failed = [answer for answer in load.answers if answer[1] != 200]
    assert not failed, (len(failed), len(load.answers), failed[:5])
    assert settings_of(adopting_box) == now
    with adopting_box.http() as http:
        assert http.post("/v1/stamps", json={"digest": "ab" * 32}).status_code == 200


def test_a_lock_holds_until_it_is_taken_away(adopting_box: RunningBox) -> None:
    page = StatePage.open(adopting_box.home.state_page)
    wait_until(lambda: page.state() is State.OPERATIONAL, 10)
    with control(adopting_box) as client:
        client.lock(Cause.LOCKED_BY_OFFICER, "by ann")
        assert page.state() is State.LOCKED
        client.lock(Cause.KEYS_UNEXPLAINED)
        assert client.locks() == {"locked-by-officer": "by ann", "keys-unexplained": ""}
        with adopting_box.http() as http:
            refused = http.post("/v1/stamps", json={"digest": "ab" * 32})
            assert refused.status_code == 503, refused.text
            assert http.get("/v1/stamps").status_code != 200
    assert adopting_box.stop() == 0
    adopting_box.start()
    page = StatePage.open(adopting_box.home.state_page)
    assert page.report().causes.keys() >= {"locked-by-officer", "keys-unexplained"}
    with control(adopting_box) as client:
        client.unlock()
        assert page.state() is State.OPERATIONAL
        client.unlock()
    with adopting_box.http() as http:
        assert http.post("/v1/stamps", json={"digest": "ab" * 32}).status_code == 200


def test_a_secret_is_kept_once(adopting_box: RunningBox) -> None:
    path = adopting_box.home.secrets / "new.pin"
    with control(adopting_box) as client:
        client.keep_secret("new.pin", b"1234")
        client.keep_secret("new.pin", b"1234")
        with pytest.raises(SecretKept):
            client.keep_secret("new.pin", b"4321")
        for name in ("../new.pin", "new", ".pin", "new.pin/..", "for"):
            with pytest.raises(AdoptionRefused):
                client.keep_secret(name, b"1234")
    assert path.read_bytes() == b"1234"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_box_stops_when_told_to(adopting_box: RunningBox) -> None:
    with control(adopting_box) as client:
        client.stop()
    assert adopting_box._process is not None
    assert adopting_box._process.wait(40) == 0, adopting_box.said()
    adopting_box._process = None
