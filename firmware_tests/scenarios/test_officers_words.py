"""Officers stop and limit a running box: at once, on connections that stand, exactly, and over a restart."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from appliance.box.settings import read_settings
from appliance.box.states import State, StatePage, refusal
from appliance.box.tamper import latch
from appliance.ceremonies.actions import (
    CreateTenant,
    HoldCertificate,
    Lock,
    Quota,
    RecoverFromTamper,
    ReleaseCertificate,
    ResumeApplication,
    ResumeTenant,
    SetQuota,
    Stop,
    SuspendApplication,
    SuspendTenant,
    Unlock,
)
from appliance.client.retries import new_idempotency_key
from appliance.errors import CinnabarError
from appliance.keymaster.client import DeskClient
from appliance.log import log_directory
from firmware_tests.running import RunningBox, cinnabar, wait_until
from firmware_tests.scenarios.governed import GovernedBox

AT_ONCE_S = 1.0


@pytest.fixture(scope="module")
def governed(open_directory: Path) -> Iterator[GovernedBox]:
    box = GovernedBox(open_directory / "words", "demo", "other")
    box.provision()
    box.start("--metrics", "127.0.0.1:0")
    box.found()
    yield box
    if box.running:
        assert box.stop() == 0, box.said()


def stamp(client: httpx.Client, *, key: str | None = None) -> httpx.Response:
    digest = hashlib.sha256(os.urandom(16) if key is None else key.encode()).hexdigest()
    return client.post("/v1/stamps", json={"digest": digest}, headers={"Idempotency-Key": key or new_idempotency_key()})


def within(client: httpx.Client, status: int, seconds: float = AT_ONCE_S) -> httpx.Response:
    """The first answer with this status on a connection that stands; it comes in time."""
    begun = time.monotonic()
    while (answer := stamp(client)).status_code != status:
        assert time.monotonic() - begun < seconds, (answer.status_code, answer.text)
    return answer


def test_one_word_acts_on_open_connections(governed: GovernedBox) -> None:
    with governed.http("demo") as client, governed.http("other") as other:
        assert stamp(client).status_code == 200
        for away, back in (
            (SuspendApplication(tenant="demo", application="demo-app"),
             ResumeApplication(tenant="demo", application="demo-app")),
            (SuspendTenant(name="demo"), ResumeTenant(name="demo")),
        ):  # fmt: skip
            assert governed.one_word(away)["state"] == "executed"
            assert within(client, 401).json()["type"].endswith(":unknown-caller")
            assert stamp(other).status_code == 200
            governed.decide(back)
            within(client, 200)


def test_a_stopped_key_signs_nothing_from_now_on(box: RunningBox) -> None:
    with box.http("demo") as client, box.admin() as register:
        register.set_key_state("demo", "demo-tsu", "suspended")
        problem = within(client, 409).json()
        assert (problem["type"], problem["control"]) == ("urn:cinnabar:problem:key-stopped", "QUORUM")
        assert client.post("/v1/seals", json={"digest": "00" * 32}).status_code == 200
        register.set_key_state("demo", "demo-tsu", "active")
        within(client, 200)
        register.set_key_state("demo", "demo-seal", "active", until=int(time.time()) - 1)
        until(lambda: seal(client).status_code == 403)
        assert seal(client).json()["type"] == "urn:cinnabar:problem:key-expired"
        bulk = client.post("/v1/seals/bulk", json={"digests": ["00" * 32] * 3}, headers={"Prefer": "wait=10"}).json()
        assert {one["problem"]["type"] for one in bulk["verdicts"]} == {"urn:cinnabar:problem:key-expired"}
        register.set_key_state("demo", "demo-seal", "active", applications=["another"])
        until(lambda: seal(client).json()["type"].endswith(":not-authorised"))
        register.set_key_state("demo", "demo-seal", "active")
        until(lambda: seal(client).status_code == 200)


def test_a_protocol_request_to_a_stopped_unit_is_rejected_in_its_own_terms(box: RunningBox) -> None:
    with box.admin() as register:
        register.set_key_state("demo", "demo-tsu-rsa", "active", limit=0)
        with httpx.Client(base_url=f"http://{box.address('tsa')}") as anyone, box.http("demo") as own:
            for client, text in ((anyone, b"stamps for nobody now"), (own, b"may make 0 signatures")):
                answer = client.post(
                    "/tsa/demo-tsu-rsa",
                    content=stamp_query(),
                    headers={"Content-Type": "application/timestamp-query"},
                )
                assert answer.status_code == 200
                assert text in answer.content  # whoever is a stranger learns no number
        register.set_key_state("demo", "demo-tsu-rsa", "active")


def stamp_query() -> bytes:
    """A TimeStampReq (RFC 3161, section 2.4.1) without a nonce."""
    imprint = bytes.fromhex("3031300d060960864801650304020105000420") + os.urandom(32)
    return bytes.fromhex("3036020101") + imprint


def test_a_bulk_job_seals_exactly_up_to_the_limit(box: RunningBox) -> None:
    with box.admin() as register, box.http("demo") as client:
        made = register.query("key_signatures", "demo").get("demo-seal", 0)
        register.set_key_state("demo", "demo-seal", "active", limit=made + 150)
        asked = {"digests": [os.urandom(32).hex() for _ in range(400)]}
        job = client.post("/v1/seals/bulk", json=asked, headers={"Prefer": "wait=30"}).json()
        assert (job["state"], len(job["verdicts"])) == ("done", 400)
        states = [one["status"] for one in job["verdicts"]]
        assert states == ["sealed"] * 150 + ["refused"] * 250
        assert job["verdicts"][-1]["problem"]["type"] == "urn:cinnabar:problem:key-exhausted"
        shown = {one["key"]: one for one in client.get("/v1/quota").json()["keys"]}["demo-seal"]
        assert shown["signatures"] == {"limit": made + 150, "used": made + 150}
        register.set_key_state("demo", "demo-seal", "active")


def seal(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/seals", json={"digest": os.urandom(32).hex()})


def until(condition: Callable[[], bool]) -> None:
    wait_until(condition, AT_ONCE_S, "what was said")


def test_exactly_so_many_pass_under_load_by_two_workers(governed: GovernedBox) -> None:
    with governed.admin() as register:
        used = register.query("quota", "demo")["used"]
    governed.decide(SetQuota(name="demo", quota=Quota(stamps=used[1] + 50)))
    keys = [new_idempotency_key() for _ in range(240)]

    def load(which: int) -> list[tuple[str, httpx.Response]]:
        with governed.http("demo") as client:
            return [(key, stamp(client, key=key)) for key in keys[which::8]]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = dict(answer for some in pool.map(load, range(8)) for answer in some)
    passed = [key for key, answer in answers.items() if answer.status_code == 200]
    refused = [answer for answer in answers.values() if answer.status_code != 200]
    assert len(passed) == 50
    assert {answer.status_code for answer in refused} == {429}
    assert {answer.json()["type"] for answer in refused} == {"urn:cinnabar:problem:quota-exceeded"}
    assert all(0 < int(answer.headers["retry-after"]) <= 86_400 for answer in refused)
    with governed.http("demo") as client, governed.http("other") as other:
        # What was answered is answered again; another tenant neither feels nor sees anything.
        again = stamp(client, key=passed[0])
        assert (again.status_code, again.content) == (200, answers[passed[0]].content)
        assert stamp(other).status_code == 200
        own, foreign = client.get("/v1/quota").json(), other.get("/v1/quota").json()
        assert own["stamps"] == {"limit": used[1] + 50, "used": used[1] + 50}
        assert foreign["stamps"]["limit"] is None
        assert "demo" not in str(foreign)
        assert client.post("/v1/seals", json={"digest": "00" * 32}).status_code == 200
        assert "quotas" not in client.get("/health").json()
    watched = f"http://{governed.address('metrics')}"
    assert [one["what"] for one in httpx.get(f"{watched}/health").json()["quotas"]] == ["stamps"]
    assert 'limit="stamps",tenant="demo"' in httpx.get(f"{watched}/metrics").text
    governed.decide(SetQuota(name="demo", quota=Quota()))
    with governed.http("demo") as client:
        within(client, 200)


def test_a_held_certificate_stands_on_the_crl_until_it_is_released(governed: GovernedBox) -> None:
    own = x509.load_pem_x509_certificate(governed.credentials("demo")[0].read_bytes())
    digest = own.fingerprint(hashes.SHA256()).hex()

    def listed() -> x509.RevokedCertificate | None:
        crl = x509.load_der_x509_crl((governed.home.trust / "box-ca.crl").read_bytes())
        return crl.get_revoked_certificate_by_serial_number(own.serial_number)

    with governed.http("demo") as client:
        assert governed.one_word(HoldCertificate(tenant="demo", certificate=digest))["state"] == "executed"
        assert within(client, 401)
        entry = listed()
        assert entry is not None
        assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.name == "certificate_hold"
        (step,) = governed.decide(ReleaseCertificate(tenant="demo", certificate=digest))
        assert step["facts"]["crl"] is not None
        assert listed() is None
        within(client, 200)


def test_root_may_still_take_power_away_and_gives_none(governed: GovernedBox) -> None:
    home = str(governed.home.root)
    where = ("--home", home, "--tenant", "demo", "--application", "demo-app")
    assert cinnabar("register", "suspend", *where).returncode == 0
    refused = cinnabar("register", "resume", *where)
    assert refused.returncode == 1
    assert "officers" in refused.stderr
    enrolled = cinnabar("register", "enrol", *where, str(governed.credentials("demo")[0]))
    assert enrolled.returncode == 1
    with governed.admin() as register, pytest.raises(CinnabarError) as caught:
        register.enrol_tenant("third")
    assert caught.value.control == "QUORUM"
    governed.decide(ResumeApplication(tenant="demo", application="demo-app"))


def test_a_locked_box_stays_locked_until_a_ceremony(governed: GovernedBox) -> None:
    with governed.http("demo") as client:
        assert governed.one_word(Lock())["state"] == "executed"
        assert within(client, 503).json()["detail"] == refusal(State.LOCKED)
    assert governed.stop() == 0, governed.said()
    governed.start("--metrics", "127.0.0.1:0")
    with governed.http("demo") as client:
        assert stamp(client).status_code == 503
        governed.decide(Unlock())
        within(client, 200, 5.0)


def test_a_tamper_signal_stops_everything_until_a_ceremony(governed: GovernedBox) -> None:
    before = governed.processes()
    with governed.http("demo") as client:
        assert stamp(client).status_code == 200
    latch(governed.home, "the lid was opened")
    page = StatePage.open(governed.home.state_page)
    wait_until(lambda: page.state() is State.TAMPERED, AT_ONCE_S, "the state")
    wait_until(lambda: "log" not in governed.processes(), 20, "the log follower's end")
    wait_until(lambda: health(governed).get("live") is True, 20, "workers without tokens")
    with governed.http("demo") as client:
        answer = stamp(client)
        assert (answer.status_code, answer.json()["detail"]) == (503, refusal(State.TAMPERED))
    kept = [path.name for path in (governed.home.secrets / "for").glob("*/*.pin")]
    assert set(kept) <= {"box.pin"}
    assert all(governed.processes().get(name) != before[name] for name in ("api-0", "api-1", "keymaster", "log"))
    # It holds over a restart as well.
    assert governed.stop() == 0, governed.said()
    governed.start("--metrics", "127.0.0.1:0")
    assert health(governed)["state"] == "tampered"
    wait_until(governed.home.desk_socket.exists, 20, "the keymaster")
    with pytest.raises(CinnabarError, match="only a ceremony that recovers"):
        governed.decide(SetQuota(name="demo", quota=Quota(stamps=1)))
    governed.decide(RecoverFromTamper(finding="A technician forgot a screw."))
    wait_until(lambda: health(governed).get("state") == "operational", 30, "the box")
    with governed.http("demo") as client:
        wait_until(lambda: stamp(client).status_code == 200, 20, "a stamp")


def health(box: GovernedBox) -> dict[str, object]:
    try:
        found: dict[str, object] = httpx.get(f"http://{box.address('metrics')}/health").json()
    except (httpx.HTTPError, ValueError):
        return {}
    return found


def test_one_word_shuts_the_box_down_once(governed: GovernedBox) -> None:
    digest = governed.submit(Stop())
    governed.say(digest, "take-away ann")
    wait_until(lambda: not governed.running, 40, "the end")
    assert governed._process is not None
    assert governed._process.wait() == 0
    governed.home.addresses.unlink(missing_ok=True)
    governed.start("--metrics", "127.0.0.1:0")
    time.sleep(3)
    assert governed.running
    with governed.http("demo") as client:
        assert stamp(client).status_code == 200


def test_officers_make_a_tenant_while_the_box_works(governed: GovernedBox) -> None:
    action = CreateTenant(
        name="third", title="Third Bank 第三银行", token="third", published=True, quota=Quota(stamps=1_000)
    )
    answers: list[int] = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool, governed.http("demo") as client:
        deciding = pool.submit(governed.decide, action, patience_s=30.0)
        while not deciding.done():
            answers.append(stamp(client).status_code)
            time.sleep(0.02)
        (step,) = deciding.result()
    assert set(answers) == {200}
    facts = step["facts"]
    settings = read_settings(governed.home.settings)
    (log,) = [one for one in settings.logs if one.tenant == "third"]
    assert (log.origin, log.published) == (facts["log"], True)
    assert [one.token for one in settings.tenants if one.name == "third"] == ["third"]
    with governed.admin() as register:
        assert register.query("quota", "third")["quota"] == [None, 1_000, None]
        assert dict(register.query("register_states")["tenants"])["third"] == "active"
    assert facts["trust_bundle"] is not None
    shown = (governed.home.trust / "bundle.json").read_text()
    assert facts["verifier"] in shown
    directory = log_directory(governed.home.logs, facts["log"])
    wait_until((directory / "checkpoint").exists, 20, "the log's first checkpoint")
    for name in ("third.pin", "third.so-pin"):
        secret = governed.home.secrets / name
        assert secret.stat().st_mode & 0o077 == 0
        assert secret.read_text() not in governed.said()
    with pytest.raises(CinnabarError, match="has a tenant third"):
        governed.submit(action)
    with pytest.raises(CinnabarError, match="another one's"):
        governed.submit(CreateTenant(name="box", title="x", token="another"))
    with pytest.raises(CinnabarError, match="sm3 is a hash"):
        governed.submit(CreateTenant(name="sm3", title="x", token="another"))


@pytest.mark.parametrize("delays", [(0.05, 0.4, 0.9), (0.2, 0.7, 1.6)])
def test_a_tenant_is_made_once_however_often_the_keymaster_dies(
    governed: GovernedBox, delays: tuple[float, ...]
) -> None:
    name = f"killed-{int(1000 * delays[0])}"
    digest = governed.submit(CreateTenant(name=name, title="Killed Bank", token=name))
    governed.say(digest, "request ann", "approve bo", "approve cai")
    with contextlib.suppress(CinnabarError), DeskClient(governed.home.desk_socket) as desk:
        desk.execute(digest)
    for delay in delays:
        wait_until(lambda: "keymaster" in governed.processes(), 20, "the keymaster")
        time.sleep(delay)
        with contextlib.suppress(KeyError, ProcessLookupError):
            os.kill(governed.processes()["keymaster"], signal.SIGKILL)

    def state() -> str:
        with contextlib.suppress(CinnabarError), DeskClient(governed.home.desk_socket) as desk:
            return str(desk.proposal(digest)["state"])
        return ""

    wait_until(lambda: state() in {"executed", "failed"}, 60, "the end")
    assert state() == "executed", governed.said()
    settings = read_settings(governed.home.settings)
    assert [tenant.name for tenant in settings.tenants].count(name) == 1
    shown = subprocess.run(
        ["softhsm2-util", "--show-slots"],
        env={"SOFTHSM2_CONF": str(governed.home.tokens / "softhsm2.conf"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert len(re.findall(rf"Label:\s+{name}\s", shown)) == 1
    assert not list((governed.home.keymaster / "work").glob(f"{digest}-*"))
    wait_until(lambda: health(governed).get("state") == "operational", 30, "the box")
