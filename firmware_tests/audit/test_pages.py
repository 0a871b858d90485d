"""Pages: what a filter takes, from both ends, and that whoever reads content is on record before seeing it."""

from __future__ import annotations

import hashlib
import json
import socket

import msgspec
import pytest

from appliance.audit.client import AuditClient
from appliance.audit.filters import Filter
from appliance.audit.letters import LetterFilter
from appliance.audit.pages import PageView
from appliance.calls.problems import problem_of
from appliance.errors import CinnabarError
from appliance.log.keys import read_log_keys
from appliance.log.proofs import TlogProof, verify_tlog_proof
from appliance.record import commitment
from firmware_tests.audit.auditing import AuditBox
from firmware_tests.log.box import origin_of, wait_for


def all_pages(client: AuditClient, log: str, wanted: Filter, *, newest: bool, limit: int) -> list[int]:
    found: list[int] = []
    cursor = None
    while True:
        page = client.entries(log, wanted, newest=newest, cursor=cursor, limit=limit)
        found += [entry.index for entry in page.entries]
        cursor = page.next
        if cursor is None:
            return found


def readings(page: PageView) -> list[dict[str, object]]:
    found = [json.loads(entry.content or "{}") for entry in page.entries]
    return [one for one in found if one.get("format") == "cinnabar-reading/1"]


def test_pages_from_both_ends_give_each_record_once(shared: AuditBox) -> None:
    first = shared.some("alfa", 130)
    shared.some("alfa", 7, "seal", "seal")
    wanted = Filter(kinds=["stamp", "seal"])
    with shared.client("alice") as client:
        newest = all_pages(client, "alfa", wanted, newest=True, limit=40)
        oldest = all_pages(client, "alfa", wanted, newest=False, limit=33)
        assert oldest == list(range(first, first + 137))
        assert newest == oldest[::-1]
        assert all_pages(client, "alfa", Filter(kinds=["seal"]), newest=True, limit=5) == list(
            range(first + 136, first + 129, -1)
        )
        assert all_pages(client, "alfa", Filter(keys=["seal"], applications=["app"]), newest=False, limit=50) == list(
            range(first + 130, first + 137)
        )
        assert client.entries("alfa", Filter(applications=["nobody"])).entries == []


def test_a_read_of_content_is_on_record_and_a_look_at_administration_is_not(shared: AuditBox) -> None:
    shared.some("bravo", 12)
    with shared.client("officer:alice") as client:
        wait_for(lambda: all(log["indexed"] == log["size"] for log in client.logs()), "the index")
        before = [log["size"] for log in client.logs()]
        assert client.entries("bravo", Filter(kinds=["administration"])).entries
        assert [log["size"] for log in client.logs()] == before
        page = client.entries("bravo", Filter(kinds=["stamp"]), limit=10)
        assert len(page.entries) == 10
        told = readings(client.entries("bravo", Filter(kinds=["administration"]), limit=1))
        assert told[0]["person"] == "officer:alice"
        assert told[0]["action"] == "content-read"
        assert told[0]["count"] == 10
        assert (told[0]["first"], told[0]["end"]) == (page.entries[-1].index, page.entries[0].index + 1)
        assert json.loads(str(told[0]["filter"])) == {"kinds": ["stamp"]}


def test_a_question_that_finds_nothing_is_on_record_too(shared: AuditBox) -> None:
    """Counts, and that there is nothing, are told as well."""
    with shared.client("officer:alice") as client:
        asked = {
            "letters": lambda: client.letters("bravo", LetterFilter(kind="no-such-kind")),
            "intakes": lambda: client.intakes("bravo"),
            "drafts": lambda: client.drafts("bravo"),
        }
        for what, ask in asked.items():
            before = len(readings(client.entries("bravo", Filter(kinds=["administration"]), limit=200)))
            ask()
            wait_for(lambda: all(log["indexed"] == log["size"] for log in client.logs()), "the index")
            told = readings(client.entries("bravo", Filter(kinds=["administration"]), limit=200))
            assert (len(told), told[0]["person"], told[0]["count"]) == (before + 1, "officer:alice", 0)
            assert list(json.loads(str(told[0]["filter"]))) == [what]


def test_what_is_shown_is_what_was_recorded(shared: AuditBox) -> None:
    made = shared.made("alfa", 7_777, artifact=b"the token")
    index = shared.record("alfa", [made])
    with shared.client("bob") as client:
        for which in (index, made.record_id.hex()):
            found = client.entry("alfa", which)
            assert found.entry.index == index
            assert found.artifact == b"the token"
            assert json.loads(found.entry.content or "")["tenant"] == "alfa"
        wait_for(lambda: client.entry("alfa", index).tlog_proof is not None, "a signed head over it")
        proof = TlogProof.parse((client.entry("alfa", index).tlog_proof or "").encode())
        keys = read_log_keys(shared.directory(origin_of("alfa")))
        verify_tlog_proof(proof, made.commitment, origin_of("alfa"), keys)


def test_times_are_held_to_the_microsecond(shared: AuditBox) -> None:
    entries = [shared.made("alfa", 50_000 + number) for number in range(600)]
    first = shared.record("alfa", entries)
    since, until = entries[100].time, entries[500].time
    with shared.client() as client:
        found = all_pages(client, "alfa", Filter(since=since, until=until, kinds=["stamp"]), newest=False, limit=90)
        assert found == [first + n for n, entry in enumerate(entries) if since <= entry.time < until]
        assert client.entries("alfa", Filter(since=until, until=until)).entries == []
        counted = client.counts("alfa", since, until)
        assert sum(count for _, kind, count in counted if kind == "stamp") >= 600


def test_a_text_is_found_in_the_records(shared: AuditBox) -> None:
    shared.some("alfa", 1_500)
    needle = shared.made("alfa", 123_456_789)
    index = shared.record("alfa", [needle])
    shared.some("alfa", 1_200)
    digest = hashlib.sha256((123_456_789).to_bytes(8, "big")).hexdigest()
    with shared.client() as client:
        wanted = Filter(kinds=["stamp"], text=digest.upper())  # what is asked for stands in the log too, as reads
        first = client.entries("alfa", wanted)
        assert first.entries == []  # more than one page opens stand before it
        assert first.next is not None
        assert all_pages(client, "alfa", wanted, newest=True, limit=50) == [index]


def test_the_index_is_made_anew_when_it_is_gone_or_damaged(own: AuditBox) -> None:
    own.some("alfa", 40)
    index = own.home.audit / "index.sqlite"
    for damage in (b"", b"no database" * 1_000):
        assert own.audit is not None
        own.stop(own.audit)
        for path in own.home.audit.glob("index.sqlite*"):
            path.unlink()
        if damage:
            index.write_bytes(damage)
        own.start_audit()
        with own.client() as client:
            assert len(all_pages(client, "alfa", Filter(kinds=["stamp"]), newest=True, limit=50)) == 40


def test_the_recorder_may_be_started_again(own: AuditBox) -> None:
    own.some("alfa", 3)
    with own.client() as client:
        assert len(client.entries("alfa", Filter(kinds=["stamp"])).entries) == 3
        recorder = own.processes[0]
        recorder.kill()
        recorder.wait()
        own.start_recorder()
        assert len(client.entries("alfa", Filter(kinds=["stamp"])).entries) == 3
        told = [
            json.loads(e.content or "")
            for e in client.entries("alfa", Filter(kinds=["administration"], text="content-read")).entries
        ]
        assert len(told) == 2, "each read is on record once"


@pytest.mark.parametrize(
    "wanted",
    [
        {"kinds": ["'; DROP TABLE places; --"]},
        {"keys": ['"'], "text": "%_\\"},
        {"text": "\u202e\x00\U0001f600"},
        {"since": 0, "until": 253_402_300_799_999_999},
        {"applications": ["../../etc/passwd"] * 32},
    ],
)
def test_hostile_words_are_words(shared: AuditBox, wanted: dict[str, object]) -> None:
    with shared.client() as client:
        assert client.entries("alfa", msgspec.convert(wanted, Filter), limit=5).size > 0


OF_ANOTHER_TYPE = [
    ("entries", ("", "alfa", {"kinds": "stamp"}, True, None, 10)),
    ("entries", ("", "alfa", {"unknown": 1}, True, None, 10)),
    ("entries", ("", "alfa", {"since": -1}, True, None, 10)),
    ("entries", ("", "alfa", {"since": 1 << 63}, True, None, 10)),
    ("entries", ("", "alfa", {"text": "x" * 201}, True, None, 10)),
    ("entries", ("", "alfa", {"kinds": ["k"] * 33}, True, None, 10)),
    ("entries", ("", "alfa", {}, True, -1, 10)),
    ("entries", ("", "alfa", {}, True, True, 10)),
    ("entries", ("", "alfa", {}, 1, None, 10)),
    ("entries", ("", "alfa", {}, True, None, "10")),
    ("entries", ("", ["alfa"], {}, True, None, 10)),
    ("entries", ("p" * 201, "alfa", {}, True, None, 10)),
    ("entries", (7, "alfa", {}, True, None, 10)),
    ("entries", ()),
    ("entry", ("", "alfa", None)),
    ("entry", ("", "alfa", [1])),
    ("entry", ("", "alfa", True)),
    ("export_start", ("", "alfa", {}, None)),
    ("export_part", (None, 0, 0)),
    ("export_part", ("name", 0, -1)),
]
NOT_UNDERSTOOD = [
    ("entries", ("", "alfa", {"since": 2, "until": 1}, True, None, 10)),
    ("entries", ("", "alfa", {"kinds": ["\u4e00" * 64] * 32}, True, None, 10)),
    ("entries", ("", "alfa", {}, True, None, 0)),
    ("entries", ("", "alfa", {}, True, None, 201)),
    ("entries", ("line\nbreak", "alfa", {}, True, None, 10)),
    ("entry", ("", "alfa", "not hexadecimal")),
    ("export_start", ("", "alfa", {}, "exe")),
]


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        *((*one, "bad-request") for one in OF_ANOTHER_TYPE),
        *((*one, "filter-refused") for one in NOT_UNDERSTOOD),
    ],
)
def test_what_is_of_another_type_or_cannot_be_understood_is_refused(
    shared: AuditBox, method: str, arguments: tuple[object, ...], code: str
) -> None:
    with shared.client() as client:
        with pytest.raises(CinnabarError) as caught:
            client.call(method, *arguments)
        assert (caught.value.status, caught.value.code) == (400, code)
        assert client.logs(), "the connection lives"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("entries", ("", "nobody", {}, True, None, 10)),
        ("entry", ("", "alfa", 1 << 61)),
        ("entry", ("", "alfa", -1)),
        ("entry", ("", "alfa", "00" * 22)),
        ("export_progress", ("../../secrets",)),
        ("export_part", ("", 0, 0)),
        ("export_cancel", ("",)),
        ("no_such_method", ()),
        ("__init__", ()),
        ("table", ()),
    ],
)
def test_what_is_not_there_is_not_found(shared: AuditBox, method: str, arguments: tuple[object, ...]) -> None:
    with shared.client() as client, pytest.raises(CinnabarError) as caught:
        client.call(method, *arguments)
    assert caught.value.status == 404


def test_a_log_shows_nothing_of_another_tenant(shared: AuditBox) -> None:
    theirs = shared.made("bravo", 99)
    shared.record("bravo", [theirs])
    with shared.client() as client:
        unknown = theirs.record_id[:-1] + bytes([theirs.record_id[-1] ^ 1])
        answers = []
        for record_id in (theirs.record_id, unknown):
            with pytest.raises(CinnabarError) as caught:
                client.entry("alfa", record_id.hex())
            answers.append(problem_of(caught.value))
        assert answers[0] == answers[1], "another tenant's id answers as an unknown one"
        for entry in client.entries("alfa", limit=200).entries:
            assert '"tenant":"bravo"' not in (entry.content or "")


def test_bytes_that_are_no_request_end_the_connection_only(shared: AuditBox) -> None:
    for payload in (b"\xff\xff\xff\xff", b"\0\0\0\5hello", b"\0\0\0\1\xc1", b"\0\0\0\3\x93\x01\x02"):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(str(shared.home.audit_socket))
            link.sendall(payload)
            link.shutdown(socket.SHUT_WR)
            assert link.recv(100) == b""
    with shared.client() as client:
        assert client.logs()


def test_a_page_is_not_shown_when_it_cannot_be_put_on_record(own: AuditBox) -> None:
    own.some("alfa", 3)
    limits = msgspec.structs.replace(own.settings.limits, disk_refuse_bytes=1 << 60)
    own.settings = msgspec.structs.replace(own.settings, limits=limits)
    own.write()
    recorder = own.processes[0]
    own.stop(recorder)
    own.start_recorder()

    def refused() -> bool:
        with own.client() as client:
            try:
                client.entries("alfa", Filter(kinds=["stamp"]))
            except CinnabarError as error:
                return error.code == "read-only"
        return False

    wait_for(refused, "reads of content are refused on a full disk")
    with own.client() as client:
        assert client.entries("alfa", Filter(kinds=["administration"])).entries, "what is in clear is still shown"


def test_a_damaged_record_is_not_shown(own: AuditBox) -> None:
    own.some("alfa", 3)
    made = own.made("alfa", 1)
    index = own.record("alfa", [msgspec.structs.replace(made, body=made.body[:-1] + bytes([made.body[-1] ^ 1]))])
    with own.client() as client:
        with pytest.raises(CinnabarError) as caught:
            client.entry("alfa", index)
        assert caught.value.code == "record-damaged"
        assert caught.value.control == "APPEND"


def test_salt_and_content_open_the_commitment(shared: AuditBox) -> None:
    index = shared.some("alfa", 1)
    with shared.client() as client:
        found = client.entry("alfa", index)
    opened = commitment(bytes.fromhex(found.salt), (found.entry.content or "").encode())
    assert opened.hex() == found.entry.commitment
