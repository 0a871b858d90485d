"""Jobs of renewal: many files under one token, every refusal by its reason, and what an interruption leaves."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from appliance import der
from appliance.algorithms import DIGESTS_BY_OID
from appliance.der import Reader
from appliance.evidence import Indication
from appliance.evidence.bundle import AlgorithmEnd
from appliance.evidence.context import Context
from appliance.evidence_records import (
    CompactBatch,
    HashTree,
    expand,
    first_record,
    parse_evidence_record,
    verify_hash_chain,
)
from appliance.renewal.authority import http_authority, stamp_of
from appliance.renewal.errors import AuthorityFailed, JobRefused, Reason
from appliance.renewal.job import Job
from appliance.renewal.planning import Wanted
from appliance.renewal.run import run_job
from firmware_tests.evidence.letters import check, evidence, plain_letter, surroundings
from firmware_tests.evidence.material import DAY, POLICY, T0, certify, microseconds, time_stamper, token
from firmware_tests.evidence.renewing import YEAR, Later, later_world, until

NAMES = [f"letter {number}.txt" for number in range(12)]


@pytest.fixture(scope="module")
def later() -> Later:
    world, _ = surroundings()
    return later_world(world)


class Asked:
    """An authority of the test's own, which counts how often it was asked."""

    def __init__(self, later: Later, when: timedelta = YEAR) -> None:
        self.later, self.when, self.times = later, when, 0

    def __call__(self, request: bytes) -> bytes:
        self.times += 1
        body = Reader(request).enter()
        body.integer()
        imprint = body.enter()
        name = DIGESTS_BY_OID[imprint.enter().oid()].name
        digest = imprint.octet_string()
        made = self.later.stamp(digest, T0 + self.when, name, nonce=body.integer())
        return der.sequence(der.sequence(der.integer(0)), made)


def context(later: Later, ends: Sequence[AlgorithmEnd] = (), when: timedelta = YEAR) -> Context:
    trust = later.world.trust(algorithms=list(ends))
    return Context(trust, trust.revocation_lists, (), microseconds(T0 + when) + 1_000_000)


def then() -> int:
    return microseconds(T0 + YEAR)


def digest(data: bytes, name: str = "sha256") -> bytes:
    return hashlib.new(name.replace("sha3-", "sha3_"), data).digest()


def stocked(later: Later, directory: Path) -> list[Path]:
    """Documents with records of one batch, and a letter's evidence."""
    directory.mkdir(exist_ok=True)
    contents = [b"content of " + name.encode() for name in NAMES]
    tree = HashTree.build(b"".join(map(digest, contents)))
    batch = CompactBatch(tree, later.stamp(tree.root, T0, "sha256"))
    for number, name in enumerate(NAMES):
        (directory / name).write_bytes(contents[number])
        (directory / f"{name}.ers").write_bytes(batch.evidence_record(number))
    (directory / "bond.asice").write_bytes(evidence(plain_letter()))
    return [*(directory / f"{name}.ers" for name in NAMES), directory / "bond.asice"]


def renewed(
    path: Path, files: Sequence[Path], authority: Asked, *, wanted: Wanted | None = None,
    ends: Sequence[AlgorithmEnd] = (),
) -> dict[str, Reason]:  # fmt: skip
    """Do a job; gives what was not renewed."""
    with Job.begin(path, wanted or Wanted("sha512"), files) as job:
        run_job(
            job,
            context(authority.later, ends, authority.when),
            lambda: authority,
            lambda *_: None,
            lambda: microseconds(T0 + authority.when),
        )
        failures = {one.path.name: one.reason for one in job.failures()}
        assert job.counts() == {
            state: count for state, count in (("done", len(files) - len(failures)), ("failed", len(failures))) if count
        }
        job.remove()
    assert not path.exists()
    return failures


def test_one_token_for_all_and_a_record_for_each(later: Later, tmp_path: Path) -> None:
    files = stocked(later, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    asked = Asked(later)
    assert renewed(tmp_path / "job", files, asked) == {}
    assert asked.times == 1
    tokens = set()
    for name in NAMES:
        content = (tmp_path / name).read_bytes()
        assert content == before[tmp_path / name], "originals are read alone"
        record = parse_evidence_record((tmp_path / f"{name}.ers").read_bytes())
        assert len(verify_hash_chain(record, {"sha256": digest(content), "sha512": digest(content, "sha512")})) == 2
        tokens.add(record.chains[-1][-1].token)
        ends = [until(T0 + 2 * YEAR)]
        report = later.verify((name, content), (f"{name}.ers", (tmp_path / f"{name}.ers").read_bytes()), ends=ends)
        assert report.indication is Indication.PASSED
    assert len(tokens) == 1
    trust = later.world.trust(algorithms=[until(T0 + 2 * YEAR)])
    letter = check((tmp_path / "bond.asice").read_bytes(), now=T0 + 3 * YEAR, trust=trust)
    assert letter.indication is Indication.PASSED


def test_again_by_time_stamp_and_without_originals(later: Later, tmp_path: Path) -> None:
    files = stocked(later, tmp_path)
    asked = Asked(later)
    renewed(tmp_path / "job", files, asked)
    for name in NAMES:
        (tmp_path / name).rename(tmp_path / f"{name}.elsewhere")
    again = Asked(later, YEAR + DAY)
    failures = renewed(tmp_path / "job", files, again, wanted=Wanted("sha512"))
    assert failures == {f"{name}.ers": Reason.MISSING_ORIGINAL for name in NAMES}
    assert renewed(tmp_path / "job", files, again, wanted=Wanted("sha512", without_originals=True)) == {}
    chains = parse_evidence_record(files[0].read_bytes()).chains
    assert [len(chain) for chain in chains] == [1, 2]
    failures = renewed(tmp_path / "job", files[:1], again, wanted=Wanted("sha384", without_originals=True))
    assert failures == {files[0].name: Reason.MISSING_ORIGINAL}, "another hash needs what the record is of"


def test_each_under_its_own_hash_where_none_is_asked_for(later: Later, tmp_path: Path) -> None:
    """A tree and a token a hash: records of two hashes and a letter."""
    files = stocked(later, tmp_path)
    renewed(tmp_path / "job", files[:3], Asked(later))
    asked = Asked(later, YEAR + DAY)
    assert renewed(tmp_path / "job", files, asked, wanted=Wanted(None)) == {}
    assert asked.times == 2
    lengths = [[len(chain) for chain in parse_evidence_record(one.read_bytes()).chains] for one in files[:-1]]
    assert lengths == [[1, 2]] * 3 + [[2]] * 9


def test_originals_elsewhere_and_bare_tokens(later: Later, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "originals").mkdir()
    (tmp_path / "originals" / "deed.pdf").write_bytes(b"deed")
    stamp = tmp_path / "kept" / "deed.pdf.tst"
    stamp.write_bytes(later.stamp(digest(b"deed"), T0, "sha256"))
    wanted = Wanted("sha512", tmp_path / "originals")
    assert renewed(tmp_path / "job", [stamp], Asked(later), wanted=wanted) == {}
    record = (tmp_path / "kept" / "deed.pdf.ers").read_bytes()
    assert later.verify(("deed.pdf", b"deed"), ("deed.pdf.ers", record)).indication is Indication.PASSED
    assert renewed(tmp_path / "job", [stamp], Asked(later), wanted=wanted) == {"deed.pdf.tst": Reason.RECORD_THERE}


def _write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


REFUSED: dict[Reason, tuple[str, Callable[[Later, Path], object]]] = {
    Reason.MISSING_ORIGINAL: (f"{NAMES[0]}.ers", lambda _, path: (path.parent / NAMES[0]).unlink()),
    Reason.CHANGED_ORIGINAL: (f"{NAMES[0]}.ers", lambda _, path: (path.parent / NAMES[0]).write_bytes(b"changed")),
    Reason.UNREADABLE: (f"{NAMES[0]}.ers", lambda _, path: path.unlink()),
    Reason.NOT_EVIDENCE: (f"{NAMES[0]}.ers", lambda _, path: path.write_bytes(b"no record")),
    Reason.UNTRUSTED_TOKEN: (
        f"{NAMES[0]}.ers",
        lambda later, path: path.write_bytes(_record_by_a_stranger(later, (path.parent / NAMES[0]).read_bytes())),
    ),
    Reason.NOT_PASSED: ("bond.asice", lambda _, path: path.write_bytes(path.read_bytes()[:-1])),
    Reason.RENEWED_TOO_OFTEN: (
        f"{NAMES[0]}.ers",
        lambda _, path: path.write_bytes(_long(path.read_bytes())),
    ),
}


def _record_by_a_stranger(later: Later, content: bytes) -> bytes:
    stranger = time_stamper("Stranger", certify("Another CA", ca=True))
    return expand(digest(content), b"", later.stamp(digest(content), T0, "sha256", stranger))


def _long(record: bytes) -> bytes:
    """A record of as many time-stamps as one may have; that they do not lead to each other is not looked at."""
    version, listed, sequence = _members(record)
    (stamp,) = _members(_members(sequence)[0])
    return der.sequence(version, listed, der.sequence(der.sequence(*[stamp] * 256)))


def _members(encoded: bytes) -> list[bytes]:
    inner, found = Reader(encoded).enter(), []
    while inner:
        found.append(inner.raw())
    return found


@pytest.mark.parametrize("reason", REFUSED)
def test_one_bad_file_is_listed_and_the_others_are_renewed(later: Later, tmp_path: Path, reason: Reason) -> None:
    files = stocked(later, tmp_path)
    name, spoil = REFUSED[reason]
    spoil(later, tmp_path / name)
    spoilt = (tmp_path / name).read_bytes() if (tmp_path / name).exists() else None
    assert renewed(tmp_path / "job", files, Asked(later)) == {name: reason}
    assert spoilt is None or (tmp_path / name).read_bytes() == spoilt


def test_what_has_ended_is_not_renewed(later: Later, tmp_path: Path) -> None:
    files = stocked(later, tmp_path)
    failures = renewed(tmp_path / "job", files, Asked(later), ends=[until(T0 + DAY)])
    assert set(failures.values()) == {Reason.EXPIRED}
    assert len(failures) == len(files)


def test_a_file_that_changes_while_the_job_runs_is_left_alone(later: Later, tmp_path: Path) -> None:
    files = stocked(later, tmp_path)

    class Meddling(Asked):
        def __call__(self, request: bytes) -> bytes:
            files[3].write_bytes(b"somebody else wrote here")
            return super().__call__(request)

    assert renewed(tmp_path / "job", files, Meddling(later)) == {files[3].name: Reason.CHANGED_MEANWHILE}
    assert files[3].read_bytes() == b"somebody else wrote here"


def test_names_that_say_nothing_and_directories_that_take_nothing(later: Later, tmp_path: Path) -> None:
    files = stocked(later, tmp_path)
    other = tmp_path / "notes.txt"
    other.write_bytes(b"notes")
    assert renewed(tmp_path / "job", [*files, other], Asked(later)) == {"notes.txt": Reason.NOT_EVIDENCE}


def _fill(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.close(descriptor)


def test_a_full_disk_leaves_files_as_they_were(later: Later, tmp_path: Path) -> None:
    """A file system of 192 KiB that is nearly full: what could not be written is listed, and whole as it was."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(mounted)], check=True)
    try:
        files = stocked(later, mounted)[:-1]
        (mounted / "bond.asice").unlink()
        _fill(mounted / "filler")
        before = [one.read_bytes() for one in files]
        failures = renewed(tmp_path / "job", files, Asked(later))
        assert failures
        assert set(failures.values()) == {Reason.NOT_WRITTEN}
        assert [one.read_bytes() for one, old in zip(files, before, strict=True) if one.name in failures] == [
            old for one, old in zip(files, before, strict=True) if one.name in failures
        ]
        assert not [one for one in mounted.iterdir() if one.name.startswith(".")], "nothing half-written is left"
        (mounted / "filler").unlink()
        left = [one for one in files if one.name in failures]
        assert renewed(tmp_path / "job", left, Asked(later, YEAR + DAY)) == {}
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


# --- interruptions ---------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """As if the process had died here."""


@pytest.mark.parametrize("step", ["judging", "asking", "stored", "writing"])
def test_an_interrupted_job_goes_on_with_the_token_that_it_has(later: Later, tmp_path: Path, step: str) -> None:
    files = stocked(later, tmp_path)
    asked = Asked(later)

    def progress(what: str, done: int, total: int) -> None:
        if what == step and done == (1 if step == "judging" else 5):
            raise Killed
        if step == "stored" and what == "writing":
            raise Killed

    class Dying(Asked):
        def __call__(self, request: bytes) -> bytes:
            if step == "asking":
                raise Killed
            return asked(request)

    with Job.begin(tmp_path / "job", Wanted("sha512"), files) as job, pytest.raises(Killed):
        run_job(job, context(later), lambda: Dying(later), progress, then)
    again = Asked(later)
    found = Job.open(tmp_path / "job")
    assert found is not None
    with found as job:
        assert job.wanted == Wanted("sha512")
        run_job(job, context(later), lambda: again, lambda *_: None, then)
        assert job.counts() == {"done": len(files)}
    assert asked.times + again.times == 1
    for name in NAMES:
        content, record = (tmp_path / name).read_bytes(), (tmp_path / f"{name}.ers").read_bytes()
        assert [len(chain) for chain in parse_evidence_record(record).chains] == [1, 1], "renewed once"
        assert later.verify((name, content), (f"{name}.ers", record)).indication is Indication.PASSED


def test_no_two_processes_go_on_with_one_job(later: Later, tmp_path: Path) -> None:
    files = stocked(later, tmp_path)
    with Job.begin(tmp_path / "job", Wanted(None), files), pytest.raises(JobRefused, match="another process has it"):
        Job.open(tmp_path / "job")


def test_a_file_that_is_no_job_is_left_alone(tmp_path: Path) -> None:
    for content in (b"notes", b"notes of mine, which are long enough to be no database" * 40):
        (tmp_path / "job").write_bytes(content)
        with pytest.raises(JobRefused):
            Job.open(tmp_path / "job")
        assert (tmp_path / "job").read_bytes() == content
    (tmp_path / "job").write_bytes(b"")
    assert Job.open(tmp_path / "job") is None, "it died before it had begun"
    assert Job.open(tmp_path / "none") is None


# --- the authority ---------------------------------------------------------------------------------------------------


def test_authorities_that_lie(later: Later) -> None:
    """Each answer that is not a trusted token over what was asked."""
    sha512 = DIGESTS_BY_OID["2.16.840.1.101.3.4.2.3"]
    wanted = bytes(64)
    around = context(later)

    def answering(change: Callable[[bytes, int], bytes]) -> Callable[[bytes], bytes]:
        def ask(request: bytes) -> bytes:
            body = Reader(request).enter()
            body.integer()
            body.raw()
            return change(request, body.integer())

        return ask

    def granted(made: bytes) -> bytes:
        return der.sequence(der.sequence(der.integer(0)), made)

    stranger = time_stamper("Stranger", certify("Another CA", ca=True))
    cases: dict[str, Callable[[bytes, int], bytes]] = {
        "malformed": lambda *_: b"<html>",
        "refused": lambda *_: der.sequence(der.sequence(der.integer(2))),
        "something else": lambda _, nonce: granted(later.stamp(bytes([1] * 64), T0 + YEAR, "sha512", nonce=nonce)),
        "another request": lambda _, nonce: granted(later.stamp(wanted, T0 + YEAR, "sha512", nonce=nonce + 2)),
        "what was asked": lambda _, nonce: granted(
            token(
                later.world.tsa, b"", T0 + YEAR,
                info={
                    "message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(32)},
                    "policy": POLICY, "nonce": nonce,
                },
            )
        ),
        "No path leads": lambda _, nonce: granted(later.stamp(wanted, T0 + YEAR, "sha512", stranger, nonce=nonce)),
        "still to come": lambda _, nonce: granted(later.stamp(wanted, T0 + 2 * YEAR, "sha512", nonce=nonce)),
    }  # fmt: skip
    for said, change in cases.items():
        with pytest.raises(AuthorityFailed, match=said):
            stamp_of(answering(change), sha512, wanted, around, then)


def test_a_job_whose_authority_fails_has_written_nothing(later: Later, tmp_path: Path) -> None:
    files = stocked(later, tmp_path)
    before = [one.read_bytes() for one in files]

    class Failing(Asked):
        def __call__(self, _request: bytes) -> bytes:
            raise AuthorityFailed("no answer")

    with Job.begin(tmp_path / "job", Wanted("sha512"), files) as job, pytest.raises(AuthorityFailed):
        run_job(job, context(later), lambda: Failing(later), lambda *_: None, then)
    assert [one.read_bytes() for one in files] == before


def test_an_authority_that_answers_without_end_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.renewal.authority.TIMEOUT_S", 1.0)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                while True:
                    connection.sendall(b"a")
                    time.sleep(0.1)

    dripping = threading.Thread(target=drip)
    dripping.start()
    started = time.monotonic()
    with pytest.raises(AuthorityFailed, match="within 1 s"):
        http_authority(f"http://127.0.0.1:{listener.getsockname()[1]}/")(b"request")
    assert time.monotonic() - started < 10
    dripping.join(20)
    listener.close()


def test_addresses_that_are_none(tmp_path: Path) -> None:
    for url in ("ftp://tsa.example/", "https://", "not an address", "https://user:secret@tsa.example/"):
        with pytest.raises(AuthorityFailed):
            http_authority(url)
    with pytest.raises(AuthorityFailed):
        http_authority("https://tsa.example/", tmp_path / "none.pem")


def test_modes_stay(later: Later, tmp_path: Path) -> None:
    files = stocked(later, tmp_path)
    files[0].chmod(0o600)
    renewed(tmp_path / "job", files, Asked(later))
    assert os.stat(files[0]).st_mode & 0o777 == 0o600  # noqa: PTH116
    assert first_record("sha256", [bytes(32)]).record is None
