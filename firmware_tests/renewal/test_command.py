"""`cinnabar evidence renew` as a person runs it: against a box, an authority of others, and authorities that fail."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from appliance.evidence_records import parse_evidence_record
from firmware_tests.others.bouncycastle import BouncyCastle
from firmware_tests.running import CLI, RunningBox, cinnabar

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextlib.contextmanager
def authority(answer: Answer) -> Iterator[str]:
    """An authority of the test's own at a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self, self.rfile.read(int(self.headers["content-length"])))

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running = threading.Thread(target=server.serve_forever, daemon=True)
    running.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        running.join()


def files_of(directory: Path, count: int) -> list[Path]:
    directory.mkdir(exist_ok=True)
    made = [directory / f"deed {number}.txt" for number in range(count)]
    for path in made:
        path.write_text(f"the content of {path.name}")
    return made


def stamped(box: RunningBox, directory: Path, count: int = 6, *options: str) -> list[Path]:
    files = files_of(directory, count)
    done = cinnabar("bulk-stamp", "--home", str(box.home.root), "--as", "demo-app", *options, *map(str, files))
    assert done.returncode == 0, done.stderr
    return files


def renew(box: RunningBox, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    options = ("--home", str(box.home.root), "--as", "demo-app", "--job", str(directory / "job"),
               "--state", str(directory / "state"))  # fmt: skip
    return cinnabar("evidence", "renew", *options, *arguments)


def verify(box: RunningBox, directory: Path, *arguments: str | Path) -> dict[str, object]:
    done = cinnabar("verify", "--trust", str(box.home.trust), "--state", str(directory / "state"), "--json",
                    *map(str, arguments))  # fmt: skip
    found: dict[str, object] = json.loads(done.stdout)
    return found


def ends(directory: Path, until: str, algorithm: str = "sha256") -> str:
    path = directory / "algorithms.json"
    path.write_text(json.dumps([{"algorithm": algorithm, "below_bits": None, "until": until}]))
    return str(path)


@pytest.fixture
def application(box: RunningBox) -> str:
    return next(iter(sorted(path.stem for path in box.home.clients.glob("demo*.crt"))))


@pytest.fixture(autouse=True)
def _named(application: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert application == "demo-app"
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def test_by_the_box_to_a_stronger_hash_and_what_others_say(
    box: RunningBox, tmp_path: Path, bouncycastle: BouncyCastle
) -> None:
    files = stamped(box, tmp_path / "kept")
    done = renew(box, tmp_path, "--to", "sha512", str(tmp_path / "kept"))
    assert (done.returncode, done.stdout) == (0, "6 renewed, 0 not renewed\n"), done.stderr
    assert "judging: 6 of 6" in done.stderr
    assert not (tmp_path / "job").exists()
    arguments: list[str | Path] = [str(int(time.time()) + 3600)]
    for path in files:
        record = parse_evidence_record(path.with_name(f"{path.name}.ers").read_bytes())
        assert [[stamp.algorithm.name for stamp in chain] for chain in record.chains] == [["sha256"], ["sha512"]]
        arguments += [path.with_name(f"{path.name}.ers"), path]
    arguments += [files[0].with_name(f"{files[0].name}.ers"), files[1]]
    assert [one == "ok" for one in bouncycastle.run("EvidenceRecordVerify", *arguments)] == [True] * 6 + [False]
    report = verify(box, tmp_path, files[0], f"{files[0]}.ers")
    assert report["indication"] == "TOTAL-PASSED"


def test_openssl_takes_the_token_of_a_renewal(box: RunningBox, tmp_path: Path) -> None:
    files = stamped(box, tmp_path / "kept", 2)
    assert renew(box, tmp_path, "--to", "sha512", str(tmp_path / "kept")).returncode == 0
    last = parse_evidence_record(files[0].with_name(f"{files[0].name}.ers").read_bytes()).chains[-1][-1]
    (tmp_path / "token").write_bytes(last.token)
    checked = subprocess.run(
        ("openssl", "ts", "-verify", "-token_in", "-in", str(tmp_path / "token"), "-digest", last.imprint.digest.hex(),
         "-CAfile", str(box.home.trust / "tsa-ca.pem")),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Verification: OK" in checked.stdout + checked.stderr


def test_by_an_authority_at_an_address(box: RunningBox, tmp_path: Path) -> None:
    """The box's own listener for anybody (RFC 3161 over HTTP) stands for another authority."""
    files = stamped(box, tmp_path / "kept", 3)
    url = f"http://{box.address('tsa')}/tsa/demo-tsu-rsa"
    done = renew(box, tmp_path, "--to", "sha384", "--tsa", url, *(f"{path}.ers" for path in files))
    assert (done.returncode, done.stdout) == (0, "3 renewed, 0 not renewed\n"), done.stderr


def test_the_second_digest_of_a_digest_only_client_stands_when_the_first_hash_ends(
    box: RunningBox, tmp_path: Path
) -> None:
    (path,) = stamped(box, tmp_path / "kept", 1, "--also", "sha512")
    strong = path.with_name(f"{path.name}.sha512.ers")
    digest = f"sha512:{hashlib.sha512(path.read_bytes()).hexdigest()}"
    assert verify(box, tmp_path, strong, "--digest", digest)["indication"] == "TOTAL-PASSED"
    ended = ends(tmp_path, "2020-01-01T00:00:00Z")
    report = verify(box, tmp_path, path, f"{path}.ers", "--algorithms", ended)
    assert report["indication"] == "INDETERMINATE"
    assert "CRYPTO_CONSTRAINTS_FAILURE_NO_POE" in report["sub_indications"]  # type: ignore[operator]
    parsed = parse_evidence_record(strong.read_bytes())
    assert [chain[0].algorithm.name for chain in parsed.chains] == ["sha512"]
    assert renew(box, tmp_path, str(strong), f"{path}.ers").returncode == 0, "its original is found, too"


def test_what_was_not_renewed_is_listed_and_changes_the_exit_status(box: RunningBox, tmp_path: Path) -> None:
    files = stamped(box, tmp_path / "kept", 3)
    files[0].write_text("changed")
    files[1].unlink()
    done = renew(box, tmp_path, "--to", "sha512", "--json", str(tmp_path / "kept"))
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    reasons = {Path(one["file"]).name: one["reason"] for one in answer["not_renewed"]}
    assert reasons == {"deed 0.txt.ers": "changed-original", "deed 1.txt.ers": "missing-original"}
    assert answer["renewed"] == 1
    again = renew(box, tmp_path, str(tmp_path / "kept" / "deed 0.txt.ers"))
    assert again.returncode == 2
    assert "not renewed (changed-original)" in again.stderr


def test_nothing_is_done_without_files_a_box_or_trust(box: RunningBox, tmp_path: Path) -> None:
    assert "there is no job" in renew(box, tmp_path).stderr
    files = stamped(box, tmp_path / "kept", 1)
    elsewhere = cinnabar("evidence", "renew", "--home", str(tmp_path / "none"), str(files[0]))
    assert (elsewhere.returncode, "nothing was done" in elsewhere.stderr) == (2, True)
    ended = renew(box, tmp_path, "--tsa", "http://127.0.0.1:1/", f"{files[0]}.ers")
    assert (ended.returncode, "does not answer" in ended.stderr) == (2, True), ended.stderr


def _status(code: int) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(code)
        handler.end_headers()

    return answer


def _endless(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1000):
            handler.wfile.write(bytes(4096))


FAILING: dict[str, tuple[Answer, str]] = {
    "an error": (_status(500), "answers with HTTP status 500"),
    "elsewhere": (_status(302), "answers with HTTP status 302"),
    "too much": (_endless, "the answer is too large"),
    "nothing": (lambda handler, _: handler.connection.shutdown(socket.SHUT_RDWR), "does not answer"),
}


@pytest.mark.parametrize("name", FAILING)
def test_authorities_that_fail(box: RunningBox, tmp_path: Path, name: str) -> None:
    (path,) = stamped(box, tmp_path / "kept", 1)
    before = path.with_name(f"{path.name}.ers").read_bytes()
    answer, said = FAILING[name]
    with authority(answer) as url:
        done = renew(box, tmp_path, "--to", "sha512", "--tsa", url, f"{path}.ers")
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert path.with_name(f"{path.name}.ers").read_bytes() == before
    assert (tmp_path / "job").exists()
    # The same job, with the box.
    assert renew(box, tmp_path).stdout == "1 renewed, 0 not renewed\n"


def test_killed_at_any_moment_it_goes_on(box: RunningBox, tmp_path: Path) -> None:
    """Killed again and again while it judges, while the authority hangs, and while it writes."""
    files = stamped(box, tmp_path / "kept", 40)
    asked = threading.Event()

    def hang(_handler: BaseHTTPRequestHandler, _: bytes) -> None:
        asked.set()
        time.sleep(60)

    command = (
        *CLI, "evidence", "renew", "--home", str(box.home.root), "--as", "demo-app", "--job", str(tmp_path / "job"),
        "--state", str(tmp_path / "state"),
    )  # fmt: skip
    with authority(hang) as url:
        process = subprocess.Popen((*command, "--to", "sha512", "--tsa", url, str(tmp_path / "kept")))
        assert asked.wait(60), "it asks once all was judged"
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = {path: path.with_name(f"{path.name}.ers").read_bytes() for path in files}
    kills = 0
    deadline = time.monotonic() + 120
    while (tmp_path / "job").exists() and time.monotonic() < deadline:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        changed = 0
        while process.poll() is None and kills < 4:
            changed = sum(before[path] != path.with_name(f"{path.name}.ers").read_bytes() for path in files)
            if 0 < changed < len(files):
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            os.sched_yield()
        process.wait()
    tokens = set()
    for path in files:
        record = parse_evidence_record(path.with_name(f"{path.name}.ers").read_bytes())
        assert [len(chain) for chain in record.chains] == [1, 1], "renewed once"
        tokens.add(record.chains[-1][-1].token)
    assert len(tokens) == 1


def test_evidence_of_a_letter_from_the_box(box: RunningBox, tmp_path: Path) -> None:
    """A file that does not pass is told so; what passes is renewed as a whole (firmware_tests/evidence)."""
    broken = tmp_path / "letter.asice"
    broken.write_bytes(b"PK\x03\x04 no letter")
    done = renew(box, tmp_path, str(broken))
    assert (done.returncode, "not renewed (not-passed)" in done.stderr) == (2, True), done.stderr
