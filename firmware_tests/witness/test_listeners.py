"""What stands around the protocol: a key in a token, TLS, slow and many peers, pages, health, and no part of a box."""

from __future__ import annotations

import contextlib
import html.parser
import json
import re
import socket
import ssl
import subprocess
import sys
import time
import tomllib

import httpx
import pytest

from appliance.log import VerifierKey, parse_note, verified_by
from appliance.log.note import COSIGNATURE_V1
from appliance.witness.texts import LANGUAGES
from firmware_tests.certificates import server_certificate
from firmware_tests.docs.pages import ROOT
from firmware_tests.running import wait_until
from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.running import RunningWitness, log_table
from hsm.keys import generate_key_pair
from hsm.testing.softhsm import SoftHsm


def test_a_key_in_a_token_cosigns_by_the_same_code(
    witness: RunningWitness, log: TestLog, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm.configuration))
    throwaway = softhsm.token()
    pin = throwaway.pin_file(witness.home)
    token = throwaway.open()
    generate_key_pair(token, "w1", "ed25519")
    token.close()
    uri = str(throwaway.uri).replace("?", ";object=w1?")
    witness.settings.write_text(
        'format = "cinnabar-witness/1"\n[submission]\nlisten = "127.0.0.1:0"\n[monitoring]\nlisten = "127.0.0.1:0"\n'
        f'[[keys]]\nname = "witness.example/hsm"\nuri = "{uri}"\npin_file = "{pin.name}"\n' + log_table(log)
    )
    witness.start()
    (text,) = witness.look("/logs.json").json()["keys"]
    key = VerifierKey.parse(text)
    assert (key.name, key.type) == ("witness.example/hsm", COSIGNATURE_V1)
    answer = witness.add(log.request(0))
    assert verified_by(parse_note(log.note() + answer.content), [key]) == [key]
    witness.stop()
    pin.write_text("0000")
    ran = witness.command("run")
    assert ran.returncode == 2
    assert "PinRefused" in ran.stderr
    assert "0000" not in ran.stderr


def test_over_tls(witness: RunningWitness, log: TestLog) -> None:
    shown = server_certificate(witness.home, "localhost", "tls").certificate
    witness.configure([log_table(log)])
    text = witness.settings.read_text()
    witness.settings.write_text(
        text.replace("[monitoring]", 'certificate = "tls.pem"\nkey = "tls.key"\n[monitoring]', 1)
    )
    witness.start()
    port = witness.addresses["submission"].rpartition(":")[2]
    context = ssl.create_default_context(cafile=str(shown))
    with httpx.Client(verify=context, trust_env=False) as client:
        for _ in range(2):
            answer = client.post(f"https://localhost:{port}/add-checkpoint", content=log.request(0))
            assert answer.status_code in (200, 409)
    with pytest.raises(httpx.RequestError):
        httpx.get(f"http://localhost:{port}/", trust_env=False)
    witness.stop()
    (witness.home / "tls.key").write_text("nothing")
    ran = witness.command("run")
    assert ran.returncode == 2
    assert "tls.key" in ran.stderr


def connect(witness: RunningWitness) -> socket.socket:
    host, _, port = witness.addresses["submission"].rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


SHORT_TIMES = """
from appliance.api import request_reader
request_reader.HEAD_SECONDS = request_reader.BODY_SECONDS = request_reader.IDLE_SECONDS = 2.0
request_reader.BODY_BYTES_A_SECOND = 1 << 20
"""


def test_slow_peers_are_cut_off_and_hold_up_nobody(witness: RunningWitness, log: TestLog) -> None:
    from firmware_tests.witness.running import python_with

    witness.configure([log_table(log)])
    witness.start(python_with(SHORT_TIMES))
    started = time.monotonic()
    silent, halfway, dripping = connect(witness), connect(witness), connect(witness)
    halfway.sendall(b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\n")
    dripping.sendall(b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 1000\r\n\r\nold")
    assert witness.add(log.request(0)).status_code == 200
    assert silent.recv(100) == b""
    assert halfway.recv(100).startswith(b"HTTP/1.1 408 ")
    assert dripping.recv(100).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 40
    for one in (silent, halfway, dripping):
        one.close()


FEW_CONNECTIONS = """
from appliance.witness import server
server.CONNECTIONS = 4
server.CONNECTIONS_OF_ONE = 4
"""


def test_no_more_connections_than_it_takes(witness: RunningWitness, log: TestLog) -> None:
    from firmware_tests.witness.running import python_with

    witness.configure([log_table(log)])
    witness.start(python_with(FEW_CONNECTIONS))
    held = [connect(witness) for _ in range(4)]
    for one in held:
        one.sendall(b"GET / HTTP/1.1\r\nhost: w\r\n\r\n")
        assert one.recv(20).startswith(b"HTTP/1.1 404")
    with connect(witness) as fifth, contextlib.suppress(ConnectionResetError):
        assert fifth.recv(10) == b""
    held.pop().close()

    def taken() -> bool:
        with contextlib.suppress(httpx.RequestError):
            return witness.add(log.request(0)).status_code == 200
        return False

    wait_until(taken, 20, "a place")
    for one in held:
        one.close()


def test_a_connection_is_kept(running: RunningWitness, log: TestLog) -> None:
    log.grow(20)
    with connect(running) as connection:
        stream = connection.makefile("rb")
        for size in range(20):
            body = log.request(size, size + 1)
            connection.sendall(
                b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            assert stream.readline().startswith(b"HTTP/1.1 200")
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.startswith(b"content-length:"):
                    length = int(line.split()[1])
            assert stream.read(length).startswith("— witness.example/w1 ".encode())


class Reader(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.language = ""
        self.said = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "html":
            self.language = dict(attributes)["lang"] or ""

    def handle_data(self, data: str) -> None:
        self.said += data


def test_what_people_see(witness: RunningWitness, log: TestLog) -> None:
    other = TestLog("log.example/never").grow(1)
    hostile = '<script>alert(1)</script>\\u202e\\"'
    witness.configure([log_table(log, title=hostile), log_table(other, title="甲银行")])
    witness.start()
    assert witness.add(log.request(0)).status_code == 200
    english = witness.look("/", **{"accept-language": "fr, en;q=0.5"})
    assert english.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in english.headers["content-security-policy"]
    page = Reader(english.text)
    assert page.language == "en"
    assert "script" not in page.tags
    assert "<script>alert(1)</script>⟨U+202E⟩" in page.said
    assert "current" in page.said
    assert "not-seen" in page.said
    for asked in ({"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}, {}):
        path = "/" if asked else "/?language=zh-Hans"
        page = Reader(witness.look(path, **asked).text)
        assert page.language == "zh-Hans"
        assert "正常" in page.said
        assert "尚未出现" in page.said
    for one in witness.look("/logs.json").json()["logs"]:
        for language in LANGUAGES:
            page = Reader(witness.look(f"/log/{one['id']}?language={language}").text)
            assert page.language == language
            assert one["origin"] in page.said
    for path in ("/log/" + "0" * 64, "/forks/1.json", "/log/x", "/nothing", f"/log/{'0' * 64}/checkpoint"):
        assert witness.look(path).status_code == 404, path


def test_what_programs_see(running: RunningWitness, log: TestLog) -> None:
    (one,) = running.look("/logs.json").json()["logs"]
    assert (one["state"], one["size"], one["time"]) == ("not-seen", None, None)
    assert running.add(log.request(0)).status_code == 200
    assert running.add(log.request(3)).status_code == 409
    assert running.add(b"x").status_code == 400
    # An overview is shown again as it is for a second.
    wait_until(lambda: running.look("/logs.json").json()["logs"][0]["refusals"], 20, "the next overview")
    seen = running.look("/logs.json").json()
    (one,) = seen["logs"]
    assert seen["format"] == "cinnabar-witness-view/1"
    assert seen["status"] == "sound"
    assert (one["state"], one["size"], one["cosigned"]) == ("current", 7, 1)
    assert one["refusals"] == {"other-size": 1}
    head = running.look(f"/log/{one['id']}/checkpoint").content
    assert verified_by(parse_note(head), [log.verifier, running.verifier]) == [log.verifier, running.verifier]
    assert running.look("/health").json() == {"status": "sound"}
    metrics = running.look("/metrics").text
    page = (ROOT / "docs" / "witness.md").read_text()
    described = {name.removesuffix("_total") for name in re.findall(r"^# TYPE (\w+)", metrics, re.MULTILINE)}
    assert {name.removesuffix("_total") for name in re.findall(r"`(cinnabar_witness_\w+)`", page)} == described
    assert 'cinnabar_witness_size{origin="log.example/rehearsal/alfa"} 7.0' in metrics
    assert 'cinnabar_witness_answers_total{listener="submission",status="200"} 1.0' in metrics
    assert "cinnabar_witness_unknown_total 1.0" in metrics


def test_a_log_that_says_nothing_is_shown_as_silent(witness: RunningWitness, log: TestLog) -> None:
    witness.configure([log_table(log) + "silent_after_s = 1\n"])
    witness.start()
    assert witness.add(log.request(0)).status_code == 200
    wait_until(
        lambda: json.loads(witness.command("show", "--json").stdout)["logs"][0]["state"] == "silent", 60, "silence"
    )
    assert witness.look("/health").status_code == 200


def test_journal_lines_in_the_page_are_journal_lines() -> None:
    table = (ROOT / "docs" / "witness.md").read_text().partition("| Journal line |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([a-z-]+)`", "\n".join(line.partition(" | ")[0] for line in table.splitlines())))
    sources = "\n".join(path.read_text() for path in (ROOT / "appliance" / "witness").glob("*.py"))
    told = set(re.findall(r"log\.(?:info|warning|error|critical|exception)\(\s*\"([a-z-]+)\"", sources))
    assert named == told - {"request-failed", "log-cosigned"}


def test_the_process_with_the_key_asks_nobody() -> None:
    program = "import sys, appliance.witness.process\nprint({'httpx', 'httpcore', 'requests'} & sys.modules.keys())"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert shown.stdout == "set()\n"


def test_it_needs_no_part_of_a_box() -> None:
    program = (
        "import sys, appliance.witness.process, appliance.witness.cli, appliance.witness.follow\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('appliance.')}\n"
        "bad = {'recorder', 'store', 'keymaster', 'backup', 'letters', 'audit', 'documents', 'filing', 'seals'}\n"
        "print(sorted(rooms & bad), sorted({'hsm', 'typst', 'uvloop', 'flask'} & sys.modules.keys()))\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert shown.stdout == "[] []\n"


ALONE = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.partition('.')[0] in {missing!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
"""


def test_it_runs_with_the_witness_extra_alone(witness: RunningWitness, log: TestLog) -> None:
    """What the other extras bring, and what only a box has, is not there."""
    from firmware_tests.witness.running import python_with

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {
        extra: {re.split(r"[<>=\[]", one)[0] for one in extras[extra]}
        for extra in ("appliance", "management", "witness")
    }
    missing = {name.replace("-", "_") for name in (names["appliance"] | names["management"]) - names["witness"]}
    assert {"uvloop", "flask", "typst"} <= missing
    witness.configure([log_table(log)])
    witness.start(python_with(ALONE.format(missing=missing | {"hsm"})))
    assert witness.add(log.request(0)).status_code == 200
    assert witness.look("/").status_code == 200
    assert witness.stop() == 0
