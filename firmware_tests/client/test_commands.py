"""The client's commands as a person runs them, against a whole box: what is told, and what is never lost."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.client.cli import GROUP, SHORT_HELP
from firmware_tests.running import RunningBox, cinnabar


@pytest.fixture(scope="module")
def whole_box(open_directory: Path) -> Iterator[RunningBox]:
    made = RunningBox(open_directory / "commands-box")
    made.provision()
    made.start(management="127.0.0.1:0")
    yield made
    if made.running:
        made.stop()


def letters(directory: Path, *names: str) -> list[str]:
    paths = [directory / name for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"letter {path}")
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    ("command", "suffix"), [("stamp", ".tst"), ("seal", ".p7s"), ("bulk-stamp", ".ers"), ("bulk-seal", ".p7s")]
)
def test_what_was_made_is_not_written_over(whole_box: RunningBox, tmp_path: Path, command: str, suffix: str) -> None:
    home = ("--home", str(whole_box.home.root))
    files = letters(tmp_path, "one", "two")
    first = cinnabar(command, *home, files[1])
    assert first.returncode == 0, first.stderr
    made = tmp_path / f"two{suffix}"
    before = made.read_bytes()
    refused = cinnabar(command, *home, *files)
    assert refused.returncode == 1
    assert f"{made} is there already; --force writes over it" in refused.stderr
    assert made.read_bytes() == before
    assert not (tmp_path / f"one{suffix}").exists(), "all is refused before anything is signed"
    forced = cinnabar(command, *home, "--force", *files)
    assert forced.returncode == 0, forced.stderr
    assert (tmp_path / f"one{suffix}").exists()
    twins = letters(tmp_path / "a", "same") + letters(tmp_path / "b", "same")
    both = cinnabar(command, *home, "--output", str(tmp_path / "out"), *twins)
    assert both.returncode == 1
    assert "would both be answered into" in both.stderr


@pytest.mark.parametrize(("command", "suffix"), [("stamp", ".tst"), ("seal", ".p7s")])
def test_a_record_without_a_proof_is_told_and_fetched_later(
    whole_box: RunningBox, tmp_path: Path, command: str, suffix: str
) -> None:
    file, follower = letters(tmp_path, "bond")[0], whole_box.processes()["log"]
    os.kill(follower, signal.SIGSTOP)
    try:
        made = cinnabar(command, "--home", str(whole_box.home.root), "--wait", "0.2", file)
    finally:
        os.kill(follower, signal.SIGCONT)
    assert made.returncode == 0
    record = json.loads(Path(f"{file}{suffix}.record.json").read_text())
    assert record["proof"] is None
    told, _, again = made.stderr.strip().partition("later: ")
    assert told == "no proof yet within 0.2 s; fetch it "
    assert again == f"cinnabar record {record['record']} --output {tmp_path} --home {whole_box.home.root}"
    fetched = cinnabar(*shlex.split(again)[1:])
    assert fetched.returncode == 0
    assert not fetched.stderr
    found = json.loads((tmp_path / f"{record['record']}.record.json").read_text())
    assert found["proof"] is not None
    assert found["commitment"] == record["commitment"]


def test_ids_are_checked_before_the_box_is_asked(whole_box: RunningBox) -> None:
    for command in ("record", "job"):
        for wrong in ("00", "0" * 45, "g" * 44):
            asked = cinnabar(command, "--home", str(whole_box.home.root), wrong)
            assert asked.returncode == 2
            assert f"{wrong} is not a {command} id (44 hexadecimal digits)" in asked.stderr
    unknown = cinnabar("record", "--home", str(whole_box.home.root), "0" * 44)
    assert "not-found" in unknown.stderr


def test_ids_are_shown_whole(whole_box: RunningBox, tmp_path: Path) -> None:
    home = ("--home", str(whole_box.home.root))
    file = letters(tmp_path, "bond")[0]
    job = cinnabar("bulk-seal", *home, file).stdout.split()[1]
    followed = cinnabar("job", *home, job)
    assert followed.stdout == f"job {job}: 1 items, 0 refused\n"
    for command in (("stamp", "--no-record"), ("bulk-stamp",)):
        words = cinnabar(*command, *home, file).stdout.replace(":", "").split()
        shown = cinnabar("record", *home, words[words.index("record") + 1])
        assert shown.returncode == 0, shown.stderr


def another_authority(directory: Path) -> dict[str, Path]:
    """A certificate of a CA that this box does not know, its key, and that CA; and a file that is none of them."""
    made: dict[str, Path] = {name: directory / f"{name}.pem" for name in ("ca", "ca-key", "cert", "key", "request")}
    new = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for command in (
        (*new, "-x509", "-subj", "/CN=Another CA", "-keyout", made["ca-key"], "-out", made["ca"]),
        (*new, "-subj", "/CN=stranger", "-keyout", made["key"], "-out", made["request"]),
        ("openssl", "x509", "-req", "-in", made["request"], "-CA", made["ca"], "-CAkey", made["ca-key"],
         "-CAcreateserial", "-out", made["cert"]),
    ):  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
    made["text"] = directory / "text"
    made["text"].write_text("no PEM at all")
    return made


def test_what_is_wrong_with_credentials_or_address_is_said(whole_box: RunningBox, tmp_path: Path) -> None:
    home, other = whole_box.home, another_authority(tmp_path)
    mine, mine_key = whole_box.credentials()
    letter = letters(tmp_path, "bond")[0]

    def told(command: tuple[str, ...] = ("health",), **given: object) -> str:
        options = {"url": whole_box.url, "cert": mine, "key": mine_key, "ca": home.trust / "box-ca.pem", **given}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        done = cinnabar(*command, "--home", str(home.root), *words)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr

    mismatched = f"UnusableCredentials: {other['key']} is not the key of the certificate in {mine}\n"
    for command in ("seal", "stamp", "bulk-seal", "bulk-stamp"):
        assert told((command, letter), key=other["key"]) == mismatched
    assert told(key=other["key"]) == mismatched
    assert "are not a certificate and its key, both in PEM" in told(cert=other["text"])
    assert told(ca=other["text"]) == f"UnusableCredentials: {other['text']} holds no certificate in PEM\n"
    untrusted = told(ca=other["ca"])
    assert untrusted.startswith(f"NotTrusted: what answers at {whole_box.url} shows a certificate that the CA given")
    stranger = told(cert=other["cert"], key=other["key"])
    assert "was not issued by this box's CA" in stranger
    assert "It is of “CN=Another CA”." in stranger
    pages = json.loads(home.addresses.read_text())["management"]
    assert f"what answers at https://{pages} (status 308) has pages for browsers" in told(url=f"https://{pages}")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        wrong = f"https://127.0.0.1:{unused.getsockname()[1]}"
        assert f"nothing listens at {wrong}. Is it running, and is that its address?" in told(url=wrong)
    assert "is not an address of a box, which is https://HOST:PORT" in told(url=whole_box.url.removeprefix("https://"))
    assert "is not an address of a box, which is https://HOST:PORT" in told(url="https://127.0.0.1:port")


def test_a_box_that_does_not_run_is_named(whole_box: RunningBox, open_directory: Path, tmp_path: Path) -> None:
    root = whole_box.home.root
    nowhere = cinnabar("health", "--home", str(tmp_path / "nothing"))
    assert (
        nowhere.stderr
        == f"Error: there is no box in {tmp_path / 'nothing'}; say where it is with --home, or give --url\n"
    )
    addresses, url = whole_box.home.addresses.read_bytes(), whole_box.url
    whole_box.stop()
    told = f"Error: the box in {root} is not running (start it: cinnabar run --home {root})\n"
    assert cinnabar("health", "--home", str(root)).stderr == told
    whole_box.home.addresses.write_bytes(addresses)  # as a power cut leaves it
    assert cinnabar("health", "--home", str(root)).stderr == told
    assert "does not answer" in cinnabar("health", "--home", str(root), "--url", url).stderr


def test_every_command_has_its_help(tmp_path: Path) -> None:
    listed = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert set(listed["project"]["entry-points"][GROUP]) == set(SHORT_HELP)
    source = (
        "import json; from click.testing import CliRunner; from appliance.client.cli import SHORT_HELP, group;"
        "print(json.dumps({name: CliRunner().invoke(group, [name, '--help']).output for name in SHORT_HELP}))"
    )
    told = subprocess.run([sys.executable, "-P", "-c", source], check=True, capture_output=True, cwd=tmp_path)
    helps = {name: " ".join(text.split()) for name, text in json.loads(told.stdout).items()}
    for name, text in helps.items():
        assert text.startswith("Usage: "), name
        assert "Seconds. " not in text
    for name in ("stamp", "seal", "bulk-stamp", "bulk-seal", "record", "job", "log-fetch", "health"):
        assert "[env var: CINNABAR_HOME; default: var]" in helps[name]
