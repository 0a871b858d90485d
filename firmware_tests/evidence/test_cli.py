"""`cinnabar verify` as a person or a script uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.evidence.cli import verify_command
from appliance.keymaster.certificates.trust_bundles import write_bundle
from firmware_tests.evidence.material import DAY, T0, World, seal, token
from firmware_tests.running import cinnabar

AT = "2026-03-02T12:00:00Z"


class Place:
    def __init__(self, root: Path, world: World) -> None:
        self.root = root
        self.world = world
        (root / "bond.json").write_bytes(b'{"amount":"1.00"}')
        (root / "bond.tst").write_bytes(token(world.tsa, b'{"amount":"1.00"}'))
        (root / "bond.p7s").write_bytes(seal(world.sealer, b'{"amount":"1.00"}', stamped_by=world.tsa))
        write_bundle(root / "trust", world.bundle_files())

    def run(self, *arguments: str, at: str = AT) -> Result:
        trust = ["--trust", str(self.root / "trust"), "--state", str(self.root / "state"), "--at", at]
        return CliRunner().invoke(verify_command, [*arguments, *trust])

    def path(self, name: str) -> str:
        return str(self.root / name)


@pytest.fixture
def place(tmp_path: Path, world: World) -> Place:
    return Place(tmp_path, world)


def test_passed(place: Place) -> None:
    result = place.run(place.path("bond.json"), place.path("bond.tst"), place.path("bond.p7s"))
    assert result.exit_code == 0, result.output
    assert "Overall: TOTAL-PASSED" in result.output
    assert "\x1b" not in result.output, "plain where nobody watches"
    assert place.root.name not in result.output, "files are called by their names, not by their places"


def test_failed_and_undecided(place: Place) -> None:
    (place.root / "bond.json").write_bytes(b"{}")
    assert place.run(place.path("bond.json"), place.path("bond.tst")).exit_code == 1
    assert place.run(place.path("bond.tst")).exit_code == 2


def test_brief_keeps_every_verdict_and_hides_no_failure(place: Place) -> None:
    files = [place.path(name) for name in ("bond.json", "bond.tst", "bond.p7s")]
    held = place.run("--brief", *files)
    assert held.exit_code == 0
    assert "✓" not in held.output
    assert held.output.count("TOTAL-PASSED") == 4
    (place.root / "bond.json").write_bytes(b"{}")
    failed = place.run("--brief", *files)
    assert failed.exit_code == 1
    assert "✗" in failed.output


def test_json(place: Place) -> None:
    result = place.run("--json", place.path("bond.json"), place.path("bond.tst"))
    report: dict[str, Any] = json.loads(result.output)
    assert report["indication"] == "TOTAL-PASSED"
    assert report["format"] == "cinnabar-report/1"
    assert [file["kind"] for file in report["files"]] == ["document", "time-stamp"]
    assert report["files"][0]["existed_no_later_than"] is None
    assert report["trust"]["rehearsal"] is True


def test_equal_input_gives_equal_output(place: Place) -> None:
    place.run(place.path("bond.tst"))
    first, second = (place.run("--json", place.path("bond.p7s"), place.path("bond.tst")).output for _ in range(2))
    assert first == second


def test_digest_and_nonce(place: Place) -> None:
    digest = "sha256:" + __import__("hashlib").sha256(b'{"amount":"1.00"}').hexdigest()
    assert place.run("--digest", digest, place.path("bond.tst")).exit_code == 0
    assert place.run("--digest", digest, "--nonce", "2a", place.path("bond.tst")).exit_code == 2
    assert place.run("--digest", "md5:00", place.path("bond.tst")).exit_code == 64
    assert place.run("--digest", "sha256:00", place.path("bond.tst")).exit_code == 64


@pytest.mark.parametrize(
    "wrong",
    [
        ("no such file",),
        ("bond.tst", "--no-such-option"),
        ("bond.tst", "--nonce", "x"),
        ("bond.tst", "--language", "xx"),
        ("bond.tst", "--trust-key", "no such file"),
        ("bond.tst", "--report", "bond.txt"),
        ("bond.tst", "--report", "no/such/directory/bond.html"),
        (),
    ],
)
def test_wrong_use_is_told_from_every_answer(
    place: Place, wrong: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.root)
    refused = place.run(*wrong)
    assert refused.exit_code == 64
    assert "Usage: " in refused.output


def test_wrong_use_as_the_shell_sees_it(place: Place) -> None:
    found = cinnabar("verify", place.path("bond.tst"))
    assert (found.returncode, "--trust" in found.stderr) == (64, True)
    assert "64 when the command was called wrongly" in " ".join(cinnabar("verify", "--help").stdout.split())


def test_trust_key(place: Place) -> None:
    public = place.world.constitution.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (place.root / "key.pem").write_bytes(public)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    (place.root / "other.pem").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    files = (place.path("bond.json"), place.path("bond.tst"))
    result = place.run("--trust-key", place.path("key.pem"), *files)
    assert result.exit_code == 0
    assert "first one seen" not in result.output
    assert "first one seen" not in place.run(*files).output
    refused = place.run("--trust-key", place.path("other.pem"), *files)
    assert refused.exit_code == 2
    assert "not trusted" in refused.output


def test_refused_bundle_decides_nothing_and_says_why(place: Place) -> None:
    (place.root / "trust" / "bundle.json.sig").write_bytes(b"x")
    result = place.run("--json", place.path("bond.tst"))
    assert result.exit_code == 2
    refusal = json.loads(result.output)
    assert refusal["indication"] == "INDETERMINATE"
    assert "signature" in refusal["reason"]


def test_expired_bundle(place: Place) -> None:
    result = place.run(place.path("bond.json"), place.path("bond.tst"), at="2040-01-01T00:00:00Z")
    assert result.exit_code == 2
    assert "not in force" in result.output


def test_older_bundle(place: Place) -> None:
    first = place.world.bundle_files()
    write_bundle(place.root / "trust", first)
    write_bundle(place.root / "trust", place.world.bundle_files(previous=first, expires=T0 + 3000 * DAY))
    assert place.run(place.path("bond.json"), place.path("bond.tst")).exit_code == 0
    write_bundle(place.root / "trust", first)
    result = place.run(place.path("bond.json"), place.path("bond.tst"))
    assert result.exit_code == 2
    assert "already been seen" in result.output


def test_default_state_follows_xdg(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(place.root / "xdg"))
    arguments = [place.path("bond.json"), place.path("bond.tst"), "--trust", str(place.root / "trust"), "--at", AT]
    assert CliRunner().invoke(verify_command, arguments).exit_code == 0
    assert len(list((place.root / "xdg" / "cinnabar" / "trust").iterdir())) == 1


def test_imports_nothing_of_the_box() -> None:
    """The verifier installs without the appliance's extras, and loads none of them where they are there."""
    program = (
        "import sys, appliance.evidence.cli\n"
        "bad = {'pkcs11', 'uvloop', 'httptools', 'structlog', 'prometheus_client', 'httpx', 'sqlite3', 'hsm'}\n"
        "bad |= {'aiohttp', 'requests'}\n"
        "found = {name.split('.')[0] for name in sys.modules}\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('appliance.')}\n"
        "print(sorted(found & bad), sorted(rooms & {'box', 'api', 'recorder', 'store', 'clock', 'client'}))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert shown.stdout == "[] []\n"


def test_touches_no_network_and_no_other_file(place: Place) -> None:
    """Under a network name space of its own the answer is the same; strace is not needed for that."""
    program = (
        "import socket\n"
        "def refuse(*_, **__): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "from appliance.evidence.cli import verify_command\n"
        "verify_command()\n"
    )
    arguments = ["bond.json", "bond.tst", "--trust", "trust", "--state", "state", "--at", AT]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=place.root,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": root, "HOME": str(place.root)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
