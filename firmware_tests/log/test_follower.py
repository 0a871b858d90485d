"""The follower with the real recorder and a SoftHSM token: heads, proofs, rotation, death at any moment (FORK)."""

from __future__ import annotations

import itertools
import random
import signal
import time

import pytest

from appliance.box.settings import LogKeySettings
from appliance.log import (
    LogKey,
    TlogProof,
    leaf_hash,
    open_checkpoint,
    parse_note,
    parse_receipt,
    root,
    verify_receipt,
    verify_tlog_proof,
)
from appliance.log.box_leaf import TenantStatement, verify_opening
from appliance.log.exports import export_file, read_export
from appliance.log.keys import read_log_keys
from appliance.log.openings import Openings, read_lines
from appliance.recorder.admin import AdminClient
from appliance.recorder.messages import BOX_LOG
from firmware_tests.log.box import BOX_ORIGIN, Box, origin_of, wait_for

ALFA = origin_of("alfa")


def keys_of(box: Box, origin: str) -> list[LogKey]:
    return read_log_keys(box.directory(origin))


def assert_true_log(box: Box, origin: str, log: str) -> None:
    """The published head is the recorded one, the exported one, and the root of the records."""
    note = box.reader(origin).checkpoint()
    head = open_checkpoint(note, origin, keys_of(box, origin))
    entries = box.leaves(log)
    assert head.root == root([leaf_hash(entry) for entry in entries[: head.size]])
    assert read_export(box.home.exports / "checkpoints", origin) == note
    with AdminClient(box.home.admin_socket) as admin:
        size, recorded_root, _, _ = admin.query("head", origin)
    assert (size, recorded_root) == (head.size, head.root)


def test_heads_proofs_and_receipts(box: Box) -> None:
    box.start_follower()
    first = box.append("alfa", 700)
    box.append("bravo", 3)
    head = box.wait_for_size(ALFA, first + 700)
    box.wait_for_size(origin_of("bravo"), 3)
    assert_true_log(box, ALFA, "alfa")
    assert_true_log(box, origin_of("bravo"), "bravo")
    entries = box.leaves("alfa")
    reader, keys = box.reader(ALFA), keys_of(box, ALFA)
    for index in (0, 1, 255, 256, 511, 512, head.size - 1):
        proof = TlogProof.parse(reader.tlog_proof(index, b"extra"))
        assert verify_tlog_proof(proof, entries[index], ALFA, keys) == head
        receipt = parse_receipt(reader.receipt(index))
        assert verify_receipt(receipt, entries[index], keys) == head.root
    assert reader.resource("tile/0/000").content == b"".join(map(leaf_hash, entries[:256]))


def test_nothing_new_nothing_signed(box: Box) -> None:
    box.append("alfa", 10)
    box.start_follower()
    box.wait_for_size(ALFA, 10)
    time.sleep(0.3)
    with AdminClient(box.home.admin_socket) as admin:
        assert len(admin.query("housekeeping", "checkpoint", ALFA, 0, 100)) == 1
        assert len(admin.query("housekeeping", "receipt", ALFA, 0, 100)) == 1


def test_calls_equal_rows_after_a_clean_stop(box: Box) -> None:
    follower = box.start_follower()
    box.append("alfa", 10)
    box.wait_for_size(ALFA, 10)
    assert box.stop(follower) == 0
    with AdminClient(box.home.admin_socket) as admin:
        wait_for(lambda: all(run["state"] == "clean" for run in admin.query("runs")), "every run said goodbye")
        for run in admin.query("runs"):
            assert run["signed"] == run["rows"] + sum(run["drops"].values())


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment(box: Box, seed: int) -> None:
    moments = random.Random(seed)
    sizes = [0]
    for _ in range(8):
        follower = box.start_follower()
        box.append("alfa", moments.randrange(1, 600))
        time.sleep(moments.uniform(0.0, 0.7))
        assert box.stop(follower, signal.SIGKILL) == -signal.SIGKILL
        sizes.append(box.checkpoint(ALFA).size)
    assert sizes == sorted(sizes)
    size = len(box.leaves("alfa"))
    box.start_follower()
    box.wait_for_size(ALFA, size)
    assert_true_log(box, ALFA, "alfa")
    # Every head that was ever signed, published or not, lies on one history.
    entries = [leaf_hash(entry) for entry in box.leaves("alfa")]
    with AdminClient(box.home.admin_socket) as admin:
        heads = [
            open_checkpoint(row[3], ALFA, keys_of(box, ALFA))
            for row in admin.query("housekeeping", "checkpoint", ALFA, 0, 1_000)
        ]
    assert heads
    assert all(head.root == root(entries[: head.size]) for head in heads)
    assert all(a.size <= b.size for a, b in itertools.pairwise(heads))


def test_lost_tiles_are_derived_anew(box: Box) -> None:
    follower = box.start_follower()
    box.append("alfa", 600)
    box.wait_for_size(ALFA, 600)
    box.stop(follower)
    before = {path.name: path.read_bytes() for path in (box.directory(ALFA) / "tile/0").glob("*") if path.is_file()}
    for path in (box.directory(ALFA) / "tile").rglob("*"):
        if path.is_file():
            path.unlink()
    box.append("alfa", 1)
    box.start_follower()
    box.wait_for_size(ALFA, len(box.leaves("alfa")))
    assert_true_log(box, ALFA, "alfa")
    assert all((box.directory(ALFA) / "tile/0" / name).read_bytes() == content for name, content in before.items())


def test_rotation_two_keys_sign_the_same_head(box: Box) -> None:
    follower = box.start_follower()
    box.append("alfa", 5)
    head = box.wait_for_size(ALFA, 5)
    old = keys_of(box, ALFA)
    box.stop(follower)
    last_of_first = head.size + 10
    box.change_keys(
        "alfa",
        [
            LogKeySettings(key_uri=box.key_uris["alfa"], token="box", name=ALFA, until_size=last_of_first),
            LogKeySettings(key_uri=box.key_uris["alfa-2"], token="box", name=ALFA, from_size=head.size + 1),
        ],
    )
    box.start_follower()
    box.append("alfa", 3)
    middle = box.wait_for_size(ALFA, head.size + 3)
    note = box.reader(ALFA).checkpoint()
    assert len(parse_note(note).signatures) == 2
    assert open_checkpoint(note, ALFA, old) == middle
    box.append("alfa", 20)
    last = box.wait_for_size(ALFA, middle.size + 20)
    note = box.reader(ALFA).checkpoint()
    assert len(parse_note(note).signatures) == 1
    new = keys_of(box, ALFA)
    assert [(key.from_size, key.until_size) for key in new] == [(0, last_of_first), (head.size + 1, None)]
    assert open_checkpoint(note, ALFA, new) == last


def test_export_ahead_of_the_records_locks_the_box(box: Box) -> None:
    follower = box.start_follower()
    box.append("alfa", 5)
    box.wait_for_size(ALFA, 5)
    box.stop(follower)
    # A longer head is signed and exported, and then the database is another, shorter one.
    exported = export_file(box.home.exports / "checkpoints", ALFA)
    box.append("alfa", 5)
    follower = box.start_follower()
    box.wait_for_size(ALFA, 10)
    ahead = exported.read_bytes()
    box.stop(follower)
    for recorder in [process for process in box.processes if process.poll() is None]:
        box.stop(recorder)
    for path in box.home.records.iterdir():
        path.unlink()
    box.start_recorder()
    box.enrol()
    box.append("alfa", 5)
    box.start_follower()
    wait_for(box.home.history_lock.exists, "the box is locked")
    box.append("alfa", 50)
    time.sleep(0.3)
    assert exported.read_bytes() == ahead
    with AdminClient(box.home.admin_socket) as admin:
        assert admin.query("housekeeping", "checkpoint", ALFA, 0, 10) == []
    assert '"control": "FORK"' in box.errors()


def test_box_log_opens_each_tenants_head(box: Box) -> None:
    follower = box.start_follower()
    box.append("alfa", 40)
    box.wait_for_size(ALFA, 40)
    openings = Openings(box.directory(BOX_ORIGIN))

    def covered() -> bool:
        line = openings.latest("alfa")
        statement = None if line is None else verify_opening(line.opening)
        return isinstance(statement, TenantStatement) and statement.size >= 40

    wait_for(covered, "a box leaf over the tenant's head")
    wait_for(lambda: openings.latest(BOX_LOG), "the box's own opening, written last")
    lines = {name: openings.latest(name) for name in ("alfa", "bravo", BOX_LOG)}
    line = lines["alfa"]
    assert line is not None
    box.wait_for_size(BOX_ORIGIN, line.index + 1)
    assert_true_log(box, BOX_ORIGIN, BOX_LOG)
    keys = keys_of(box, BOX_ORIGIN)
    for name, found in lines.items():
        assert found is not None
        verify_opening(found.opening)
        proof = TlogProof.parse(box.reader(BOX_ORIGIN).tlog_proof(found.index))
        verify_tlog_proof(proof, found.opening.leaf.entry(), BOX_ORIGIN, keys)
        assert openings.first(name, lambda line, index=found.index: line.index >= index) == found  # type: ignore[misc]
    # Chained, idle or not, across a kill.
    box.stop(follower, signal.SIGKILL)
    box.start_follower()
    wait_for(lambda: (latest := openings.latest("bravo")) and latest.index > line.index + 1, "more leaves")
    chain = [found for file in openings.files("bravo") for found in read_lines(file)]
    assert len(chain) >= 3
    for earlier, later in itertools.pairwise(chain):
        statement = verify_opening(later.opening)
        assert statement.previous == earlier.opening.commitment().hex()


def test_a_missing_tile_is_mended_at_the_next_start(box: Box) -> None:
    """Gone or cut short, under a head whose edge is whole: from the bundles, and a bundle from the records."""
    follower = box.start_follower()
    box.append("alfa", 1_000)
    head = box.wait_for_size(ALFA, 1_000)
    box.stop(follower)
    directory = box.directory(ALFA)
    lost = [directory / name for name in ("tile/0/000", "tile/0/001", "tile/entries/001", "tile/entries/002")]
    before = [path.read_bytes() for path in lost]
    for path in lost[:3]:
        path.unlink()
    lost[3].write_bytes(before[3][:100])
    box.start_follower()
    wait_for(lambda: all(path.exists() for path in lost) and lost[3].stat().st_size > 100, "the files are mended")
    assert [path.read_bytes() for path in lost] == before
    wait_for(lambda: "tiles-mended" in box.errors(), "what was mended is said")
    assert box.checkpoint(ALFA) == head
    entry = box.leaves("alfa")[0]
    verify_tlog_proof(TlogProof.parse(box.reader(ALFA).tlog_proof(0)), entry, ALFA, keys_of(box, ALFA))


def test_one_damaged_log_does_not_stop_the_others(box: Box) -> None:
    follower = box.start_follower()
    box.append("alfa", 300)
    box.wait_for_size(ALFA, 300)
    box.stop(follower)
    damaged = box.checkpoint(ALFA)
    edge = next((box.directory(ALFA) / "tile/0/001.p").iterdir())
    edge.write_bytes(bytes(len(edge.read_bytes())))
    box.append("alfa", 10)
    box.append("bravo", 10)
    box.start_follower()
    box.wait_for_size(origin_of("bravo"), 10)
    wait_for(lambda: str(edge) in box.errors(), "the damaged file is named")
    assert box.checkpoint(ALFA) == damaged
    assert not box.home.history_lock.exists()


def test_one_follower_at_a_time(box: Box) -> None:
    first = box.start_follower()
    box.append("alfa", 5)
    box.wait_for_size(ALFA, 5)
    second = box.start_follower()
    assert second.wait(20) != 0
    assert "another process writes the logs" in box.errors()
    assert box.stop(first) == 0


def test_recorder_restarts_under_the_follower(box: Box) -> None:
    box.start_follower()
    box.append("alfa", 5)
    box.wait_for_size(ALFA, 5)
    recorder = box.processes[0]
    box.stop(recorder, signal.SIGKILL)
    time.sleep(0.3)
    box.start_recorder()
    box.append("alfa", 400)
    box.wait_for_size(ALFA, len(box.leaves("alfa")))
    assert_true_log(box, ALFA, "alfa")


def test_rounds_that_keep_failing_end_the_process(box: Box) -> None:
    """A place for exports that cannot be written is not only a line in the journal, again and again."""
    box.home.exports.write_text("no directory")
    box.append("alfa", 5)
    follower = box.start_follower()
    assert follower.wait(40) == 1
    assert "log-follower-failing" in box.errors()
    assert "Traceback" not in box.errors()
    assert box.checkpoint(ALFA).size == 0
    with AdminClient(box.home.admin_socket) as admin:
        assert all(run["state"] == "clean" for run in admin.query("runs"))
