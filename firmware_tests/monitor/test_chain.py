"""A tenant follows what the box commits to about its log: on a real box, and on boxes that lie."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from appliance.box.settings import read_settings, write_settings
from appliance.log import LogReader
from appliance.log.box_leaf import NO_COMMITMENT, BoxLeaf, TenantStatement, make_box_leaf
from appliance.log.tree import EMPTY_ROOT
from firmware_tests.running import CLI, RunningBox, wait_until
from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.published import PublishingServer, publish

OWN, BOX = "log.example/rehearsal/tenant", "log.example/rehearsal/box"


@dataclass
class LyingBox:
    """Two logs and a chain of commitments, published by a server that answers as the box's API does."""

    place: Path
    own: TestLog = field(default_factory=lambda: TestLog(OWN).grow(20))
    box: TestLog = field(default_factory=lambda: TestLog(BOX))
    leaves: list[tuple[int, BoxLeaf]] = field(default_factory=list)
    previous: str = NO_COMMITMENT

    def __post_init__(self) -> None:
        self.directory = self.place / "published"
        self.server = PublishingServer(self.directory)
        self.server.lie = self.answer

    def commit(self, own: TestLog | None = None, size: int | None = None, **changes: object) -> None:
        """Make a leaf that commits to the tenant's head, and publish it."""
        log = own or self.own
        at = log.size if size is None else size
        root = log.root(at) if at else EMPTY_ROOT
        values = {"origin": OWN, "previous": self.previous, "root": root.hex(), "size": at, **changes}
        made = make_box_leaf({"tenant": TenantStatement(**values)}, 1_700_000_000_000_000 + len(self.leaves))  # type: ignore[arg-type]
        self.box.grow(2, f"other {len(self.leaves)} ")
        self.leaves.append((self.box.size, made))
        self.box.entries.append(made.leaf.entry())
        self.previous = made.openings["tenant"].commitment().hex()
        self.publish()

    def publish(self) -> None:
        publish(self.own, self.directory / "log" / OWN)
        publish(self.box, self.directory / "log" / BOX)

    def opening(self, first: int) -> dict[str, object] | None:
        found = next(((index, made) for index, made in self.leaves if index >= first), None)
        if found is None:
            return None
        index, made = found
        proof = LogReader(self.directory / "log" / BOX).tlog_proof(index)
        opening = made.openings["tenant"].encode().decode()
        return {"origin": BOX, "index": index, "opening": opening, "tlog_proof": proof.decode()}

    def answer(self, path: str, true: bytes | None) -> bytes | None:
        if not path.startswith("/v1/log/openings?from="):
            return true
        found = self.opening(int(path.rpartition("=")[2]))
        return None if found is None else json.dumps(found).encode()

    def look(self) -> tuple[int, list[dict[str, object]]]:
        ran = subprocess.run(
            [
                *CLI, "log", "watch", f"{self.server.url}/log/{OWN}", "--state", str(self.place / "state"), "--once",
                "--key", str(self.own.verifier), "--openings", self.server.url, "--box-key", str(self.box.verifier),
            ],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()]

    def broken(self) -> str:
        """What is said of the chain, which must be broken."""
        status, lines = self.look()
        assert status == 1
        (alarm,) = [line for line in lines if line["event"] == "alarm"]
        assert alarm["alarm"] == "commitments-broken"
        assert (self.place / "state" / str(alarm["evidence"])).exists()
        return str(alarm["detail"])

    def checked(self) -> int:
        """Index of the last opening that was checked."""
        states = [json.loads(file.read_bytes()) for file in (self.place / "state").glob("*.json")]
        (own,) = [one for one in states if one.get("origin") == OWN]
        return own["chain"]["index"]  # type: ignore[no-any-return]


@pytest.fixture
def lying(tmp_path: Path) -> Iterator[LyingBox]:
    made = LyingBox(tmp_path)
    yield made
    made.server.close()


def test_a_chain_that_holds(lying: LyingBox) -> None:
    lying.commit(size=0)
    lying.commit()
    lying.commit()
    assert lying.look()[0] == 0
    assert lying.checked() == lying.leaves[-1][0]
    lying.own.grow(500)
    lying.commit()
    assert lying.look()[0] == 0
    assert lying.checked() == lying.leaves[-1][0]
    # What was checked is not asked for again.
    lying.server.asked.clear()
    assert lying.look()[0] == 0
    assert [path for path in lying.server.asked if "openings" in path] == [
        f"/v1/log/openings?from={lying.leaves[-1][0] + 1}"
    ]


def test_a_missing_opening_shows(lying: LyingBox) -> None:
    for _ in range(3):
        lying.commit()
    del lying.leaves[1]
    assert "does not follow" in lying.broken()


def test_the_first_opening_is_the_first(lying: LyingBox) -> None:
    lying.commit()
    lying.commit()
    del lying.leaves[0]
    assert "does not follow" in lying.broken()


def test_two_heads_of_one_tenant(lying: LyingBox) -> None:
    """The box commits to another history than it shows the tenant: towards witnesses and anchors it would count."""
    lying.commit()
    assert lying.look()[0] == 0
    lying.own.grow(30)
    lying.commit(lying.own.fork(5, 45))
    assert "not on the history" in lying.broken()
    # It stays, whatever follows.
    lying.commit()
    assert lying.look()[0] == 1


def test_a_commitment_that_goes_back(lying: LyingBox) -> None:
    lying.commit()
    lying.commit(size=19)
    assert "does not extend" in lying.broken()


def test_another_root_at_the_same_size(lying: LyingBox) -> None:
    lying.commit()
    lying.commit(lying.own.fork(3, 17))
    assert "does not extend" in lying.broken()


def test_another_s_opening(lying: LyingBox) -> None:
    lying.commit(origin="log.example/rehearsal/somebody")
    assert "another's" in lying.broken()


@pytest.mark.parametrize(
    ("member", "change", "said"),
    [
        ("index", lambda value: value + 1, "its proof is of entry"),
        ("origin", lambda value: value + "x", "it is of the box log"),
        ("opening", lambda value: value.replace('"width":16', '"width":32'), "hashes"),
        ("opening", lambda value: value.replace('"salt":"', '"salt":"00', 1), "hexadecimal"),
        ("tlog_proof", lambda value: value.replace("index 2", "index 3", 1), "its proof is of entry 3"),
        ("tlog_proof", lambda value: value[:-10], ""),
        ("opening", lambda _: "{}", "not an opening"),
        ("opening", lambda _: 7, "not an opening"),
    ],
)
def test_answers_that_are_forged(lying: LyingBox, member: str, change: object, said: str) -> None:
    lying.commit()
    true = lying.opening

    def forged(first: int) -> dict[str, object] | None:
        found = true(first)
        return None if found is None else {**found, member: change(found[member])}  # type: ignore[operator]

    lying.opening = forged  # type: ignore[method-assign]
    assert said in lying.broken()


def test_the_box_s_log_forks_behind_the_chain(lying: LyingBox) -> None:
    lying.commit()
    assert lying.look()[0] == 0
    lying.own.grow(5)
    lying.commit()
    # Towards this tenant the proof is under a head of another history than the box's log shows to all.
    true = lying.opening
    secret = TestLog(BOX, [*lying.box.entries], lying.box.key)
    secret.entries[0] = bytes(32)
    place = lying.place / "secret"
    publish(secret, place)

    def forged(first: int) -> dict[str, object] | None:
        found = true(first)
        if found is None:
            return None
        return {**found, "tlog_proof": LogReader(place).tlog_proof(int(str(found["index"]))).decode()}

    lying.opening = forged  # type: ignore[method-assign]
    status, lines = lying.look()
    assert status == 1
    (alarm,) = [line for line in lines if line["event"] == "alarm"]
    assert (alarm["origin"], alarm["alarm"]) == (BOX, "history-forked")


def test_a_tenant_watches_a_real_box(open_directory: Path) -> None:
    box = RunningBox(open_directory / "monitored")
    box.provision()
    settings = msgspec.structs.replace(read_settings(box.home.settings), box_leaf_interval_s=1)
    write_settings(box.home.settings, settings)
    own = next(log.origin for log in settings.logs if log.tenant == "demo")
    of_box = next(log.origin for log in settings.logs if log.tenant is None)
    box.start()
    state = open_directory / "watching"

    def look() -> tuple[int, str]:
        certificate, key = box.credentials()
        ran = subprocess.run(
            [
                *CLI, "log", "watch", f"{box.url}/log/{own}", "--state", str(state), "--once", "--origin", own,
                "--trust", str(box.home.trust), "--openings", box.url, "--box-origin", of_box,
                "--cert", str(certificate), "--cert-key", str(key), "--ca", str(box.home.trust / "box-ca.pem"),
            ],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        return ran.returncode, ran.stdout + ran.stderr

    def chain() -> dict[str, int]:
        states = [json.loads(file.read_bytes()) for file in state.glob("*.json")]
        return next((one["chain"] for one in states if one["origin"] == own), None) or {"index": -1, "size": -1}

    try:
        with box.http() as client:
            for _ in range(3):
                assert client.post("/v1/stamps", json={"digest": "00" * 32}).status_code == 200

            def followed() -> bool:
                status, said = look()
                assert status in (0, 2), said  # 2: the first heads are not there yet
                return status == 0 and chain()["size"] >= 3

            wait_until(followed, 40, "the chain of a real box")
            first = chain()
            assert client.post("/v1/stamps", json={"digest": "01" * 32}).status_code == 200

            def grown() -> bool:
                status, said = look()
                assert status == 0, said
                return chain()["size"] > first["size"]

            wait_until(grown, 40, "the chain goes on")
            assert chain()["index"] > first["index"]
        # A stranger is told nothing, and no key is believed that the bundle does not name.
        ran = subprocess.run(
            [*CLI, "log", "watch", f"{box.url}/log/{own}", "--state", str(state), "--once", "--origin", "log.example/x",
             "--trust", str(box.home.trust), "--ca", str(box.home.trust / "box-ca.pem")],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert ran.returncode == 2
        assert "no key of the log" in ran.stderr
    finally:
        assert box.stop() == 0, box.said()
