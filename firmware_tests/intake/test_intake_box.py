"""Files of rows over the API of a running box: verdicts, duplicates, the same file again, kills, races, strangers."""

from __future__ import annotations

import csv
import doctest
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.api.intakes.schemas import Intake, RowVerdict
from appliance.asic import read_container
from appliance.client import Client, Credentials
from appliance.client.errors import Refused
from appliance.client.intake_files import all_verdicts, send_intake, watch_intake
from appliance.evidence_records import parse_evidence_record
from appliance.letters.event import read_event
from appliance.letters.fields import moment
from firmware_tests.intake.files import HEADER, cells, csv_file, workbook
from firmware_tests.letters.kinds import install
from firmware_tests.others.bouncycastle import BouncyCastle
from firmware_tests.running import RunningBox, cinnabar

KIND = "performance-bond"
MAPPING = {"币种": "fields.amount.currency"}


@pytest.fixture(scope="module")
def standing(open_directory: Path) -> Iterator[RunningBox]:
    """A box of this module's own: its processes are killed."""
    running = RunningBox(open_directory / "intake", "demo", "other")
    running.provision()
    for tenant in running.tenants:
        install(running.home, tenant)
    running.start()
    yield running
    status = running.stop()
    assert status == 0, running.said()


def client_of(box: RunningBox, tenant: str = "demo") -> Client:
    certificate, key = box.credentials(tenant)
    return Client(box.url, credentials=Credentials(certificate, key, box.home.trust / "box-ca.pem"))


@pytest.fixture
def client(standing: RunningBox) -> Iterator[Client]:
    with client_of(standing) as made:
        yield made


def own() -> int:
    """A number from which a test's rows are its own."""
    return int.from_bytes(os.urandom(3), "big") * 1_000


def taken_in(client: Client, path: Path, content: bytes, **options: Any) -> tuple[Intake, list[RowVerdict]]:
    path.write_bytes(content)
    run = send_intake(client, KIND, path, mapping=MAPPING, **options)
    run = watch_intake(client, run.intake, every_s=0.05)
    return run, list(all_verdicts(client, run.intake))


def said(verdicts: list[RowVerdict]) -> list[str]:
    return [one.verdict if one.code is None else f"{one.verdict} {one.code}" for one in verdicts]


def test_each_row_gets_a_verdict_and_the_same_file_again_does_nothing_twice(client: Client, tmp_path: Path) -> None:
    first = own()
    rows = [
        cells(first),
        cells(first + 1, 最高担保金额="100000"),
        cells(first + 2, documents="招标\u202e文件"),
        cells(first + 3)[:-1],
        cells(first + 4),
        cells(first),  # the same bond once more: what it holds to be unique is used
    ]
    run, verdicts = taken_in(client, tmp_path / "rows.csv", csv_file(rows))
    assert (run.state, run.rows, run.accepted, run.refused, run.duplicate) == ("done", 6, 2, 4, 0)
    assert said(verdicts) == [
        "accepted", "refused field-refused", "refused field-refused", "refused row-refused", "accepted",
        "refused taken",
    ]  # fmt: skip
    assert [one.row for one in verdicts] == [2, 3, 4, 5, 6, 7]
    assert [one.column for one in verdicts[:4]] == [None, "最高担保金额", "documents", None]
    assert verdicts[2].text == "it holds the character U+202E, which does not show"
    assert verdicts[0].letter is not None
    letter = client.letter(verdicts[0].letter)
    assert (letter.state, letter.fields["number"]) == ("applied", f"LY-{first:06d}")
    (event,) = client.letter_events(letter.letter).events
    assert read_event(event.event).actor.application == "demo-app"
    only = client.intake_verdicts(run.intake, only="refused").verdicts
    assert only == [one for one in verdicts if one.verdict == "refused"]

    again, told = taken_in(client, tmp_path / "rows.csv", csv_file(rows))
    assert (again.accepted, again.duplicate, again.refused) == (0, 2, 4)
    assert [one.letter for one in told if one.verdict == "duplicate"] == [verdicts[0].letter, verdicts[4].letter]
    assert {run.intake, again.intake} <= {one.intake for one in client.intakes().intakes}


def test_a_corrected_file_of_the_same_batch_completes_what_was_left(client: Client, tmp_path: Path) -> None:
    first, batch = own(), os.urandom(4).hex()
    options = {"batch": batch, "row_key": ["number"]}
    wrong = [cells(first), cells(first + 1, 有效期至="2027-13-01"), cells(first + 2)]
    run, verdicts = taken_in(client, tmp_path / "one.csv", csv_file(wrong), **options)
    assert said(verdicts) == ["accepted", "refused field-refused", "accepted"]
    # A row put in before, one corrected, one that says something else now; and as a spreadsheet.
    right = [cells(first + 9), cells(first, documents="别的"), cells(first + 1), cells(first + 2), cells(first + 9)]
    run, told = taken_in(client, tmp_path / "two.xlsx", workbook(right), **options)
    assert run.state == "done"
    assert said(told) == ["accepted", "duplicate row-differs", "accepted", "duplicate", "duplicate"]
    assert [told[1].letter, told[3].letter, told[4].letter] == [verdicts[0].letter, verdicts[2].letter, told[0].letter]


def test_a_row_is_a_duplicate_of_one_in_the_slice_before(client: Client, tmp_path: Path) -> None:
    """Its slice is made while that one is on its way to the disk: the recorder says so, in its transaction."""
    first, rows = own(), 300
    file = csv_file([cells(first + at % rows) for at in range(2 * rows)])
    run, verdicts = taken_in(client, tmp_path / "rows.csv", file, batch=os.urandom(4).hex(), row_key=["number"])
    assert (run.state, said(verdicts)) == ("done", ["accepted"] * rows + ["duplicate"] * rows)
    assert [one.letter for one in verdicts[:rows]] == [one.letter for one in verdicts[rows:]]


def test_a_check_judges_and_makes_nothing(client: Client, tmp_path: Path) -> None:
    first = own()
    rows = [cells(first), cells(first + 1, 有效期至="soon"), cells(first + 2)]
    run, verdicts = taken_in(client, tmp_path / "rows.csv", csv_file(rows), check=True)
    assert (run.check, run.state, said(verdicts)) == (True, "done", ["accepted", "refused field-refused", "accepted"])
    assert [one.letter for one in verdicts] == [None] * 3
    _, made = taken_in(client, tmp_path / "rows.csv", csv_file(rows))
    assert said(made) == ["accepted", "refused field-refused", "accepted"]
    _, checked = taken_in(client, tmp_path / "rows.csv", csv_file(rows), check=True)
    assert said(checked) == ["duplicate", "refused field-refused", "duplicate"]
    assert checked[0].letter == made[0].letter


def test_rows_are_events_of_letters_that_they_name(client: Client, tmp_path: Path) -> None:
    first = own()
    _, begun = taken_in(client, tmp_path / "rows.csv", csv_file([cells(first), cells(first + 1)]))
    letters = [one.letter or "" for one in begun]
    header = ("函件编号", "reason")
    rows = [(letters[0], "材料不全"), (letters[1], ""), ("0" * 32, "材料不全"), ("x", "材料不全"), (letters[0], "再次")]
    path = tmp_path / "events.csv"
    path.write_bytes(csv_file(rows, header))
    run = watch_intake(client, send_intake(client, KIND, path, event="decline").intake, every_s=0.05)
    verdicts = list(all_verdicts(client, run.intake))
    assert said(verdicts) == [
        "accepted", "refused field-refused", "refused not-found", "refused not-found", "refused event-refused",
    ]  # fmt: skip
    assert [one.column for one in verdicts[1:4]] == ["reason", "函件编号", "函件编号"]
    assert (verdicts[0].letter, client.letter(letters[0]).state) == (letters[0], "declined")


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"number\n1\n", {}, "no column is contract_number"),
        (csv_file([cells(1)], (*HEADER[:-1], "colour")), {}, "column 'colour': no field is called so"),
        (csv_file([]), {}, "the file has no rows"),
        (csv_file([cells(1)]) + b'"', {}, "row 3: it is not CSV"),
        (csv_file([cells(1)]), {"encoding": "gb18030"}, "row 1: not gb18030"),
    ],
)
def test_a_file_that_cannot_be_read_to_its_end_makes_nothing(
    client: Client, tmp_path: Path, content: bytes, options: dict[str, Any], said: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    run = send_intake(client, KIND, path, mapping=MAPPING if b"\xe5\xb8\x81" in content else {}, **options)
    run = watch_intake(client, run.intake, every_s=0.05)
    assert (run.state, run.decided) == ("failed", 0)
    assert run.fault is not None
    assert said in run.fault.detail
    with pytest.raises(Refused, match="run is failed"):
        client.resume_intake(run.intake)


def test_the_command_line_sends_watches_and_exports(standing: RunningBox, tmp_path: Path) -> None:
    first = own()
    path, mapping, output = tmp_path / "rows.csv", tmp_path / "mapping.json", tmp_path / "verdicts.csv"
    path.write_bytes(csv_file([cells(first), cells(first + 1, 有效期至="=1+1")]))
    mapping.write_bytes(msgspec.json.encode(MAPPING))
    who = ("--home", str(standing.home.root), "--as", "demo-app")
    sent = cinnabar("intake", "send", KIND, str(path), "--mapping", str(mapping), "--watch", *who)
    assert sent.returncode == 1, sent.stderr
    run = sent.stdout.split()[1].rstrip(":")
    assert "done  2/2 rows: 1 accepted, 0 duplicate, 1 refused" in sent.stdout
    assert "row 3  refused  field-refused  有效期至" in sent.stdout
    exported = cinnabar("intake", "result", run, "--output", str(output), *who)
    assert exported.returncode == 0, exported.stderr
    table = list(csv.reader(io.StringIO(output.read_text("utf-8-sig"))))
    assert table[0] == ["row", "verdict", "letter", "code", "column", "text"]
    assert [line[:2] for line in table[1:]] == [["2", "accepted"], ["3", "refused"]]


def test_another_tenants_run_is_not_found(standing: RunningBox, client: Client, tmp_path: Path) -> None:
    run, _ = taken_in(client, tmp_path / "rows.csv", csv_file([cells(own())]))
    with client_of(standing, "other") as other:
        assert other.intakes().intakes == []
        answers = set()
        for name in (run.intake, os.urandom(16).hex()):
            for ask in (
                lambda: other.intake(name),  # noqa: B023 - called at once
                lambda: other.intake_verdicts(name),  # noqa: B023
                lambda: other.intake_result(name),  # noqa: B023
                lambda: other.stop_intake(name),  # noqa: B023
                lambda: other.resume_intake(name),  # noqa: B023
                lambda: other.send_intake_part(name, 0, b"x"),  # noqa: B023
                lambda: other.intakes(after=name),  # noqa: B023
            ):
                with pytest.raises(Refused) as found:
                    ask()
                answers.add((found.value.code, found.value.problem.detail))
        assert len(answers) == 1
        assert answers.pop()[0] == "not-found"
        # The same rows are the other tenant's own.
        _, verdicts = taken_in(other, tmp_path / "rows.csv", (tmp_path / "rows.csv").read_bytes())
        assert said(verdicts) == ["accepted"]


def test_two_runs_that_race_for_the_same_rows_take_each_once(client: Client, tmp_path: Path) -> None:
    """Other files, so that no key says it: what a bond holds to be unique decides, in the recorder's transaction."""
    first = own()
    one = csv_file([cells(first + at) for at in range(300)])
    two = csv_file([cells(first + at) for at in reversed(range(300))])
    with ThreadPoolExecutor(2) as threads:
        runs = list(
            threads.map(lambda given: taken_in(client, tmp_path / given[0], given[1]), (("1.csv", one), ("2.csv", two)))
        )
    counts = [Counter(said(verdicts)) for _, verdicts in runs]
    assert counts[0] + counts[1] == {"accepted": 300, "refused taken": 300}


def running(client: Client, intake: str, rows: int) -> None:
    deadline = time.monotonic() + 60
    while client.intake(intake).decided < rows:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_kill_of_worker_and_recorder_amid_a_run_loses_and_doubles_nothing(
    standing: RunningBox, client: Client, tmp_path: Path
) -> None:
    first, count = own(), 1_500
    path = tmp_path / "rows.csv"
    path.write_bytes(csv_file([cells(first + at) for at in range(count)]))
    run = send_intake(client, KIND, path, mapping=MAPPING)
    running(client, run.intake, 1)
    for name, rows in (("api-0", 300), ("recorder", 600), ("api-1", 900)):
        os.kill(standing.processes()[name], signal.SIGKILL)
        running(client, run.intake, rows)
    run = watch_intake(client, run.intake, every_s=0.05)
    assert (run.state, run.decided, run.accepted, run.refused, run.duplicate) == ("done", count, count, 0, 0)
    verdicts = list(all_verdicts(client, run.intake))
    assert [one.row for one in verdicts] == list(range(2, count + 2))
    letters = [one.letter for one in verdicts]
    assert len(set(letters)) == count
    numbers = {client.letter(letter or "").fields["number"] for letter in letters[::50]}
    assert numbers == {f"LY-{first + at:06d}" for at in range(0, count, 50)}
    again = watch_intake(client, send_intake(client, KIND, path, mapping=MAPPING).intake, every_s=0.05)
    assert (again.accepted, again.duplicate) == (0, count)


def test_a_run_is_stopped_and_goes_on(client: Client, tmp_path: Path) -> None:
    first, count = own(), 800
    path = tmp_path / "rows.csv"
    path.write_bytes(csv_file([cells(first + at) for at in range(count)]))
    run = send_intake(client, KIND, path, mapping=MAPPING)
    running(client, run.intake, 1)
    stopped = client.stop_intake(run.intake)
    assert (stopped.state, stopped.decided < count) == ("stopped", True)
    time.sleep(0.5)  # a slice in hand would be decided by now
    assert client.intake(run.intake).decided == stopped.decided
    assert client.resume_intake(run.intake).state == "running"
    run = watch_intake(client, run.intake, every_s=0.05)
    assert (run.state, run.accepted) == ("done", count)


def test_a_row_is_sealed_singly_and_stamped_with_others(
    standing: RunningBox, client: Client, bouncycastle: BouncyCastle, tmp_path: Path
) -> None:
    """Checked with tools that are not ours, and by its evidence file with the offline verifier."""
    first = own()
    _, verdicts = taken_in(client, tmp_path / "rows.csv", csv_file([cells(first + at) for at in range(5)]))
    letter = verdicts[1].letter or ""
    (event,) = client.letter_events(letter).events
    (tmp_path / "manifest").write_bytes(event.manifest)
    (tmp_path / "seal").write_bytes(event.seal)
    command = ("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "seal", "-content")
    trust = ("-CAfile", standing.home.trust / "seal-ca.pem", "-purpose", "any", "-out", "/dev/null")
    subprocess.run((*command, tmp_path / "manifest", *trust), check=True, capture_output=True)
    assert not isinstance(event.evidence_record, msgspec.UnsetType)
    (tmp_path / "record").write_bytes(event.evidence_record)
    arguments = [str(int(time.time()) + 3600), tmp_path / "record", tmp_path / "seal"]
    assert bouncycastle.run("EvidenceRecordVerify", *arguments) == ["ok"]
    stamp = parse_evidence_record(event.evidence_record).chains[0][0]
    (tmp_path / "token").write_bytes(stamp.token)
    stamped = ("-token_in", "-in", tmp_path / "token", "-digest", stamp.imprint.digest.hex())
    command = ("openssl", "ts", "-verify", *stamped, "-CAfile", standing.home.trust / "tsa-ca.pem")
    subprocess.run(command, check=True, capture_output=True)
    assert stamp.imprint.time_us >= moment(read_event(event.event).at, "")

    client.letter_event(letter, "decline", data={"reason": "材料不全"})  # by itself: its time-stamp is in its seal
    following = client.letter_events(letter).events[1]
    assert isinstance(following.evidence_record, msgspec.UnsetType)
    assert moment(read_event(following.event).at, "") > stamp.imprint.time_us
    client.record(following.record, wait_for_proof_s=10)
    content = client.evidence(letter)
    assert content == client.evidence(letter)
    names = [name for name in read_container(content) if "vidence" in name]
    assert names == ["META-INF/evidencerecord-0001.ers", "META-INF/ASiCEvidenceRecordManifest-0001.xml"]
    (tmp_path / "letter.asice").write_bytes(content)
    checked = cinnabar("verify", "--trust", str(standing.home.trust), str(tmp_path / "letter.asice"), "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    told = msgspec.json.decode(checked.stdout)["files"][0]["letter"]["events"]
    assert all(one["stamped"] for one in told)

    others = [client.letter_events(one.letter or "").events[0] for one in verdicts]
    roots = {parse_evidence_record(one.evidence_record or b"").chains[0][0].imprint.digest for one in others}
    assert len(roots) == 1, "one time-stamp for all rows of a slice"


def test_a_part_that_is_refused_leaves_nothing_on_the_disk(standing: RunningBox) -> None:
    documents = standing.home.documents

    def held() -> int:
        return sum(path.stat().st_size for path in documents.rglob("*") if path.is_file())

    with client_of(standing, "other") as other, standing.admin() as admin:
        content = os.urandom(200_000)
        run = other.begin_intake(KIND, "csv", 1_000_000, "0" * 64)
        admin.set_quota("other", storage_bytes=100_000)
        try:
            before = held()
            for _ in range(10):
                with pytest.raises(Refused, match="a day"):
                    other.send_intake_part(run.intake, 0, content)
            assert held() == before
        finally:
            admin.set_quota("other")
        assert other.send_intake_part(run.intake, 0, content).received == len(content)
        assert held() >= before + len(content)
        other.stop_intake(run.intake)


def test_the_commands_of_the_page_say_what_the_page_says(standing: RunningBox, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "intake.md").read_text()
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert [form for form, _ in blocks] == ["sh", "text"] * 2
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "box").symlink_to(standing.home.root)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "LANG": "C.UTF-8", "PYTHONUTF8": "1"
    }  # fmt: skip
    for (_, commands), (_, expected) in zip(blocks[::2], blocks[1::2], strict=True):
        here = commands.replace("--home var/box", "--home var/box --as demo-app")  # a box of two applications
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", here], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert doctest.OutputChecker().check_output(expected, ran.stdout, doctest.ELLIPSIS), ran.stdout
    assert "accepted" in (tmp_path / "verdicts.csv").read_text()
