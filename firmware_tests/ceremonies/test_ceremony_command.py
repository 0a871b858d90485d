"""A ceremony without a browser: a card's officer enrolled at the console, and every command that the page names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.keymaster.ceremony_cli import standing, step_lines
from firmware_tests.governed import Governed
from firmware_tests.officers import card_certificate
from firmware_tests.running import RunningBox, wait_until


def test_what_comes_next_is_said() -> None:
    part = {"scope": "tenant/demo", "threshold": 2, "approved": [], "rejected": [], "may_still": ["bo", "cai"]}
    row = {"digest": "d", "state": "open", "requester": "ann", "takes_away": False, "error": None, "waiting": []}
    tallied = {"outcome": "open", "must_accept": [], "scopes": [part]}
    assert standing({**row, "tally": tallied})[-1] == "Next: 2 more approvals of tenant/demo, by bo or cai."
    one = {**tallied, "scopes": [{**part, "approved": ["bo"], "may_still": ["cai"]}]}
    assert standing({**row, "tally": one})[-1] == "Next: one more approval of tenant/demo, by cai."
    failed = {**row, "state": "failed", "error": "not-found: x", "tally": {**tallied, "outcome": "approved"}}
    assert "whoever approved it withdraws it" in standing(failed)[-1]
    asks = [{"number": 3, "kind": "ask", "prompt": "The PIN"}]
    waiting = standing({**row, "state": "executing", "tally": {**tallied, "outcome": "approved"}, "waiting": asks})
    assert waiting[-1] == "It waits at the console: The PIN (there: cinnabar console answer 3)"


def test_a_kind_that_waits_for_policies_is_told_with_its_step() -> None:
    """Else nobody learns of it before the first letter is refused."""
    step = {"step": 0, "action": "install-kind", "state": "done", "error": None}
    assert step_lines({**step, "facts": {"tenant": "demo", "missing_policies": []}}) == ["1. install-kind: done"]
    first, *more = step_lines({**step, "facts": {"tenant": "demo", "missing_policies": ["issue", "senior"]}})
    assert first == "1. install-kind: done"
    assert more[0].endswith("asks: issue, senior")
    assert more[1].endswith("cinnabar ceremony policies demo --output actions.json")


def test_an_officer_with_a_card_holds_a_ceremony(open_directory: Path, tmp_path: Path) -> None:
    box = RunningBox(open_directory / "carded")
    box.provision()
    box.start()
    made = Governed(box)
    environment = {
        **os.environ, "CINNABAR_HOME": made.root, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip

    def shell(text: str, status: int = 0, typed: str | None = None) -> str:
        done = subprocess.run(
            ["bash", "-euc", text], cwd=tmp_path, env=environment, input=typed,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == status, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    try:
        for name in ("ann", "bo"):
            made.enrol(name)
        key = ec.generate_private_key(ec.SECP256R1())
        (tmp_path / "card.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (tmp_path / "card.pem").write_bytes(card_certificate("dora", key).public_bytes(serialization.Encoding.PEM))
        read_out = shell("openssl x509 -in card.pem -noout -fingerprint -sha256").strip().rpartition("=")[2]
        assert "another certificate" in shell(
            "cinnabar console card dora Dora card.pem", 1, "00:11:22:33:44:55:66:77\n"
        )
        shell("cinnabar console card dora Dora card.pem", typed=read_out[:47] + "\n")
        founding = made.found()
        actions = [{"action": "suspend-application", "tenant": "demo", "application": "demo-app"}]
        (tmp_path / "actions.json").write_text(json.dumps(actions))
        said = shell(
            "cinnabar ceremony draft actions.json --requester dora --title Stop --reason Lost --output proposal.json"
        )
        assert "demo-app" in said
        assert "Mode: rehearsal: this is a rehearsal box" in said
        assert "state [OPTIONS] DIGEST" in shell("cinnabar ceremony state --help")
        digest = shell("cinnabar ceremony submit proposal.json").strip()
        assert f"SHA-256 {digest}" in said
        assert "Next: dora signs the request." in shell(f"cinnabar ceremony show {digest} --output again.json")
        assert (tmp_path / "again.json").read_bytes() == (tmp_path / "proposal.json").read_bytes()
        shell(
            "cinnabar proposal challenge proposal.json --verb take-away --output challenge\n"
            "openssl cms -sign -binary -in challenge -signer card.pem -inkey card.key -md sha256 -outform DER"
            " -out statement.p7s"
        )
        state = f"cinnabar ceremony state {digest} --officer dora --signature statement.p7s"
        assert "statement-refused" in shell(f"{state} --verb request", 1)
        assert "Give --statement" in shell(f"cinnabar ceremony state {digest}", 2)
        shell(f"{state} --verb take-away")
        assert "State: executed" in shell(f"cinnabar ceremony watch {digest}")
        assert digest in shell("cinnabar ceremony list")
        assert founding in shell("cinnabar ceremony constitution --output constitution.json")
        assert "--constitution" in shell(f"cinnabar ceremony bundle {digest} --output record.asice")
        words = shell("cinnabar ceremony constitution --output constitution.json").splitlines()[1]
        with made.desk() as desk:
            wait_until(lambda: desk.status()["founded"], what="the founding")
        shown = shell(f"cinnabar verify record.asice --trust {box.home.trust} --state state --constitution '{words}'")
        assert "take-away, signed with a card" in shown
        assert "(rehearsal, of the line that key" in " ".join(shown.split())
        resume = [{"action": "resume-application", "tenant": "demo", "application": "demo-app"}]
        (tmp_path / "actions.json").write_text(json.dumps(resume))
        shell("cinnabar ceremony draft actions.json --requester dora --title Go --reason Found --output proposal.json")
        tried = shell("cinnabar ceremony rehearse proposal.json")
        assert "not tried: it does nothing in a token" in tried
        assert "refuse" not in tried
        digest = shell("cinnabar ceremony submit proposal.json").strip()
        made.say(digest, "approve ann", "approve bo")
        shell(
            "cinnabar proposal challenge proposal.json --verb request --output challenge\n"
            "openssl cms -sign -binary -in challenge -signer card.pem -inkey card.key -md sha256 -outform DER"
            " -out statement.p7s"
        )
        said = shell(f"cinnabar ceremony state {digest} --verb request --officer dora --signature statement.p7s")
        assert f"Next: cinnabar ceremony execute {digest}" in said
        assert "1. resume-application: done" in shell(f"cinnabar ceremony execute {digest}")
        assert "proposal-closed" in shell(f"cinnabar ceremony execute {digest}", 1)
    finally:
        assert box.stop() == 0, box.said()
