"""Forwarding: nothing is lost whatever the receiver does, and the box never waits for it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.audit.source import StoredRow
from appliance.audit.syslog import message
from appliance.box.audit_word import AuditWord, not_kept
from appliance.box.settings import AuditSettings
from appliance.box.words import write_word
from appliance.recorder.admin import AdminClient
from firmware_tests.audit.auditing import AuditBox
from firmware_tests.audit.receiver import NAME, Receiver, structured
from firmware_tests.certificates import server_certificate
from firmware_tests.log.box import wait_for
from hsm.testing.softhsm import SoftHsm

HEADER = re.compile(
    r"<109>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [!-~]{1,255} cinnabar - [!-~]{1,32} \[cinnabar@32473 .*?\]"
    r"(?: \ufeff\{.*\})?"
)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.mode = "read"
    made.stop()


@pytest.fixture
def box(tmp_path: Path, softhsm: SoftHsm, receiver: Receiver) -> Iterator[AuditBox]:
    """A box that forwards; its audit process is not up yet."""
    made = AuditBox(tmp_path / "home", softhsm)
    try:
        (made.home.root / "syslog-ca.pem").write_bytes(receiver.certificate.read_bytes())
        made.set(AuditSettings(syslog=f"127.0.0.1:{receiver.port}", syslog_ca="syslog-ca.pem", syslog_name=NAME))
        made.start_recorder()
        made.enrol()
        made.start_follower()
        yield made
    finally:
        made.close()


def administer(box: AuditBox, times: int, start: int = 0) -> None:
    with AdminClient(box.home.admin_socket) as admin:
        for number in range(start, start + times):
            admin.enrol_application("alfa", f"app-{number}", ["*"])


def test_administrative_entries_arrive_in_order_and_form(box: AuditBox, receiver: Receiver) -> None:
    box.some("alfa", 5)
    administer(box, 10)
    box.start_audit()
    wait_for(lambda: len(receiver.indexes("alfa") + receiver.indexes("bravo")) >= 14, "all have come")
    assert receiver.indexes("alfa") == [0, 1, *range(7, 17)], "records of signatures are not forwarded"
    assert receiver.indexes("bravo") == [0, 1]
    assert all(HEADER.fullmatch(one) for one in receiver.messages), receiver.messages[0]
    assert "enrol-application" in receiver.messages[-1] or "enrol" in receiver.messages[0]


def test_signing_records_are_forwarded_without_their_content(box: AuditBox, receiver: Receiver) -> None:
    box.set(
        AuditSettings(syslog=f"127.0.0.1:{receiver.port}", syslog_ca="syslog-ca.pem", syslog_name=NAME, records=True)
    )
    box.some("alfa", 2_500)
    box.start_audit()
    wait_for(lambda: len(receiver.indexes("alfa")) >= 2_502, "all have come")
    assert receiver.indexes("alfa") == list(range(2_502))
    stamps = [one for one in receiver.messages if structured(one)["kind"] == "stamp"]
    assert len(stamps) == 2_500
    assert not any("{" in one for one in stamps)
    assert not any("content_digest" in one for one in stamps)


def test_an_outage_leaves_no_gap(box: AuditBox, receiver: Receiver) -> None:
    box.start_audit()
    wait_for(lambda: len(receiver.indexes("alfa") + receiver.indexes("bravo")) >= 4, "the first have come")
    receiver.stop()
    administer(box, 5)
    time.sleep(1)
    assert box.audit is not None
    box.audit.kill()
    box.audit.wait()
    administer(box, 5, 5)
    box.start_audit()
    with box.client() as client:
        wait_for(lambda: client.status()["forwarding"]["backlog"] == 10, "the backlog is told")
        wait_for(lambda: client.status()["forwarding"]["failing"], "the first try has failed")
        receiver.start()
        wait_for(lambda: client.status()["forwarding"]["backlog"] == 0, "the backlog is gone", 40)
    assert receiver.indexes("alfa") == list(range(12)), "each once, in order"


def test_a_log_that_cannot_be_read_holds_up_no_other(box: AuditBox, receiver: Receiver) -> None:
    box.start_archiving()
    box.some("alfa", 300)
    box.wait_for_archive()
    audit = box.start_audit()
    cursors = box.home.audit / "syslog.json"
    wait_for(lambda: cursors.exists() and json.loads(cursors.read_bytes()).keys() >= {"alfa", "bravo"}, "all have come")
    box.stop(audit)
    cursors.write_text(json.dumps(json.loads(cursors.read_bytes()) | {"alfa": 0}))
    archive = box.home.records / "archive"
    away = archive.with_name("away")
    archive.rename(away)
    with AdminClient(box.home.admin_socket) as admin:
        admin.enrol_application("bravo", "late", ["*"])
    box.start_audit()
    wait_for(lambda: receiver.indexes("bravo") == [0, 1, 2], "the other log goes on")
    with box.client() as client:
        wait_for(lambda: client.status()["forwarding"]["failing"].startswith("alfa: "), "it is told which does not")
    archive.mkdir(exist_ok=True)  # newer segments may have come there meanwhile
    for path in away.iterdir():
        path.rename(archive / path.name)
    wait_for(lambda: receiver.indexes("alfa") == [0, 1] * 2, "it comes when it can be read again")


def test_a_receiver_that_dies_with_unread_messages_gets_them_again(box: AuditBox, receiver: Receiver) -> None:
    receiver.mode = "reset"
    administer(box, 20)
    box.start_audit()
    wait_for(lambda: receiver.sessions >= 2, "it was tried again")
    assert receiver.messages == []
    receiver.mode = "read"
    wait_for(lambda: len(set(receiver.indexes("alfa"))) == 22, "all have come", 40)


def test_a_receiver_that_hangs_stops_nothing(box: AuditBox, receiver: Receiver) -> None:
    receiver.mode = "hang"
    box.start_audit()
    begun = time.monotonic()
    administer(box, 20)
    box.some("alfa", 500)
    with box.client() as client:
        assert client.entries("alfa", limit=50).entries
        assert client.export_start("alfa", form="jsonl")
        assert client.status()["forwarding"]["backlog"] >= 0
    assert time.monotonic() - begun < 5
    wait_for(box.home.audit_word.exists, "the word")
    time.sleep(1.2)
    written = box.home.audit_word.stat().st_mtime
    assert time.time() - written < 2, "the word goes on while a batch hangs"
    receiver.mode = "read"
    wait_for(lambda: len(set(receiver.indexes("alfa"))) >= 22, "all have come", 60)


def test_a_receiver_of_another_name_or_ca_gets_nothing(box: AuditBox, receiver: Receiver) -> None:
    box.set(AuditSettings(syslog=f"127.0.0.1:{receiver.port}", syslog_ca="syslog-ca.pem", syslog_name="other.example"))
    box.start_audit()
    with box.client() as client:
        wait_for(lambda: "CERTIFICATE_VERIFY_FAILED" in client.status()["forwarding"]["failing"], "it is refused")
    assert receiver.messages == []


def test_without_its_cursor_everything_is_sent_again(box: AuditBox, receiver: Receiver) -> None:
    box.start_audit()
    wait_for(lambda: len(receiver.indexes("alfa")) >= 2, "the first have come")
    assert box.audit is not None
    wait_for((box.home.audit / "syslog.json").exists, "the cursor")
    box.stop(box.audit)
    (box.home.audit / "syslog.json").unlink()
    box.start_audit()
    wait_for(lambda: receiver.indexes("alfa") == [0, 1, 0, 1], "again, never a gap")


def test_hostile_text_stays_inside_its_parameter() -> None:
    row = StoredRow(7, bytes(22), 'app"] <13>1 - evil', "a b\nc", 'key\\"]', 1_700_000_000_000_001, bytes(32), b"")
    made = message(row, "alfa", "0" * 32, "box\n1", b'{"a":"\\u202e"}')
    length, _, text = made.partition(b" ")
    assert int(length) == len(text)
    assert b"2023-11-14T22:13:20.000001Z box?1 cinnabar - a?b?c [cinnabar@32473" in text
    data = structured(text.decode())
    assert data["application"] == 'app"] <13>1 - evil'
    assert data["key"] == 'key\\"]'


def test_a_long_content_is_told_by_its_digest() -> None:
    row = StoredRow(7, bytes(22), "", "ceremony", "", 0, bytes(32), b"")
    text = message(row, "alfa", "0" * 32, "box", b'{"a":"' + b"x" * 20_000 + b'"}')
    assert len(text) < 8_192
    assert "contentSha256" in structured(text.decode())


def test_forced_audit_refuses_what_nobody_might_see(tmp_path: Path) -> None:
    path = tmp_path / "word"
    forced = AuditSettings(syslog="127.0.0.1:6514", forced=True, backlog=10)
    now = time.time()
    assert not_kept(path, AuditSettings(syslog="127.0.0.1:6514")) is None
    assert not_kept(path, AuditSettings(forced=True)) == "audit is forced and no receiver is set"
    assert "does not say" in (not_kept(path, forced) or "")
    write_word(path, AuditWord(backlog=10, receiver="failing", time=now))
    assert not_kept(path, forced) is None
    write_word(path, AuditWord(backlog=11, receiver="failing", time=now))
    assert not_kept(path, forced) == "11 entries wait for the receiver"
    write_word(path, AuditWord(backlog=0, receiver="ready", time=now - 11))
    assert "for a while" in (not_kept(path, forced) or "")
    write_word(path, AuditWord(backlog=0, receiver="ready", time=now + 60))
    assert "for a while" in (not_kept(path, forced) or "")
    path.write_bytes(b"{")
    assert "does not say" in (not_kept(path, forced) or "")


def test_rsyslog_takes_what_we_send(box: AuditBox, tmp_path: Path) -> None:
    """A receiver that is not ours, with GnuTLS."""
    directory = tmp_path / "rsyslog"
    directory.mkdir()
    certificate, key = server_certificate(directory, NAME)
    port_file, out = directory / "port", directory / "out.log"
    configuration = directory / "rsyslog.conf"
    configuration.write_text(f"""
global(
  workDirectory="{directory}" maxMessageSize="16k"
  defaultNetstreamDriverCAFile="{certificate}"
  defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="whole" type="string" string="%structured-data% %msg%\\n")
input(type="imtcp" port="0" address="127.0.0.1" listenPortFileName="{port_file}")
action(type="omfile" file="{out}" template="whole")
""")
    process = subprocess.Popen(
        ("/usr/sbin/rsyslogd", "-n", "-f", str(configuration), "-i", str(directory / "pid")),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: port_file.exists() and port_file.read_text(), "rsyslog listens")
        (box.home.root / "syslog-ca.pem").write_bytes(certificate.read_bytes())
        box.set(
            AuditSettings(syslog=f"127.0.0.1:{int(port_file.read_text())}", syslog_ca="syslog-ca.pem", syslog_name=NAME)
        )
        administer(box, 5)
        box.start_audit()
        with box.client() as client:
            wait_for(
                lambda: client.status()["forwarding"]["sent"] > 0 and client.status()["forwarding"]["backlog"] == 0,
                "all is confirmed", 30, lambda: str(client.status()),
            )  # fmt: skip
        wait_for(lambda: out.exists() and out.read_text().count('log="alfa"') == 7, "all is written")
        assert '"action":"enrol-application"' in out.read_text()
    finally:
        process.terminate()
        process.wait(20)
