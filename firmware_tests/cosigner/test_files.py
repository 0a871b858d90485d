"""What the cosigner leaves on disk: torn lines, older copies, many heads, a full disk, kill -9 at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.box.settings import write_settings
from appliance.box.witnesses import WitnessesRefused, read_witnesses
from appliance.cosigner import heads as heads_module
from appliance.cosigner.heads import HeadsWriter
from appliance.cosigner.word import read_cosigner_word
from appliance.log.cosigned import COSIGNED_FILE, HEADS, CosignedHeads, decode_head, first_in, heads_file
from firmware_tests.cosigner.growing import ORIGIN, GrowingLog
from firmware_tests.cosigner.places import Place, cosigning, until, word_of
from firmware_tests.cosigner.witness import Witness


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> tuple[GrowingLog, dict[int, bytes]]:
    """A log with a head at each size up to 60."""
    log = GrowingLog(tmp_path_factory.mktemp("log"))
    return log, {size: log.grow(1) for size in range(1, 61)}


@settings(max_examples=60)
@given(sizes=st.sets(st.integers(1, 60), min_size=1), a_file=st.integers(1, 9), torn=st.binary(max_size=40))
def test_the_first_head_that_covers_is_found_in_any_files(
    notes: tuple[GrowingLog, dict[int, bytes]], sizes: set[int], a_file: int, torn: bytes
) -> None:
    import tempfile

    log, made = notes
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads_module, "FILE_BYTES", a_file * 300)
        place = Path(name)
        ordered = sorted(sizes)
        for at, size in enumerate(ordered):
            writer = HeadsWriter(place) if at % 3 == 0 else writer  # noqa: F821 - opened again now and then
            writer.settle(size, made[size])
        last = sorted((place / HEADS).iterdir())[-1]
        with last.open("ab") as file:
            file.write(torn.replace(b"\n", b""))
        reader = CosignedHeads(place, ORIGIN, lambda: log.keys)
        for wanted in range(1, 62):
            expected = next((made[size] for size in ordered if size >= wanted), None)
            assert reader.covering(wanted) == expected
        assert reader.latest() == made[ordered[-1]]
        writer = HeadsWriter(place)
        assert writer.last is not None
        assert writer.last.size == ordered[-1]
        assert len(ordered) <= 2 * a_file or len(reader.files()) > 1


def test_a_published_head_never_goes_back(notes: tuple[GrowingLog, dict[int, bytes]], tmp_path: Path) -> None:
    log, made = notes
    writer = HeadsWriter(tmp_path)
    writer.settle(5, made[5])
    older = heads_file(tmp_path, 5).read_bytes()
    writer.settle(9, made[9])
    heads_file(tmp_path, 5).write_bytes(older)  # an older copy was put back
    assert HeadsWriter(tmp_path).last == first_in(heads_file(tmp_path, 5), 9)
    assert CosignedHeads(tmp_path, ORIGIN, lambda: log.keys).covering(6) == made[9]
    (tmp_path / COSIGNED_FILE).write_bytes(made[5])
    HeadsWriter(tmp_path)
    assert (tmp_path / COSIGNED_FILE).read_bytes() == made[9]
    heads_file(tmp_path, 5).write_bytes(b"")
    (tmp_path / COSIGNED_FILE).unlink()
    assert HeadsWriter(tmp_path).last is None


def test_a_head_that_the_log_did_not_sign_is_not_handed_out(
    notes: tuple[GrowingLog, dict[int, bytes]], tmp_path: Path
) -> None:
    """Whoever writes there instead of the cosigner makes no proof come out under a note of its own."""
    log, made = notes
    stranger = GrowingLog(tmp_path / "stranger")
    forged = stranger.grow(7)
    writer = HeadsWriter(tmp_path / "heads")
    writer.settle(7, forged)
    reader = CosignedHeads(tmp_path / "heads", ORIGIN, lambda: log.keys)
    assert reader.covering(3) is None
    with pytest.raises(Exception, match="cannot be believed"):
        reader.latest()
    writer.settle(8, made[9])  # a line that says another size than its note
    assert reader.covering(8) is None


def test_a_full_disk_is_waited_for(three: list[Witness], tmp_path: Path) -> None:
    place = Place(tmp_path, three, quorum=2)
    disk = place.home.cosigned
    disk.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)), check=True)
    try:

        async def run() -> None:
            async with cosigning(place) as cosigner:
                place.log.grow(5)
                await until(lambda: place.size == 5, "settled")
                before, filler = place.heads.latest(), disk / "filler"
                # What fits into the last page of the file of heads still fits: so it is filled, too.
                place.log.grow(1)
                with filler.open("wb", 0) as file, contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(4096))
                for _ in range(20):
                    place.log.grow(1)
                    await asyncio.sleep(0.05)
                stuck = place.size
                assert stuck < place.log.size
                assert word_of(cosigner).behind_since is not None
                assert place.heads.covering(5) == before
                filler.unlink()
                await until(lambda: place.size == place.log.size, "settled once there is room")

        asyncio.run(run())
        writer = HeadsWriter(place.heads.directory)
        assert writer.last is not None
        assert writer.last.size == place.log.size
    finally:
        subprocess.run(("umount", str(disk)), check=True)


def test_a_line_that_a_full_disk_cut_short_spoils_no_later_one(
    notes: tuple[GrowingLog, dict[int, bytes]], tmp_path: Path
) -> None:
    """A disk takes the beginning of a line and then no more: what is written later stands on a line of its own."""
    log, made = notes
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)), check=True)
    try:
        writer = HeadsWriter(disk)
        settled = [1]
        writer.settle(1, made[1])
        for size in range(2, 50):
            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(512))
            with contextlib.suppress(OSError):
                writer.settle(size, made[size])
                settled.append(size)
            (disk / "filler").unlink()
            if settled[-1] != size and size % 3 == 0:
                writer.settle(size, made[size])
                settled.append(size)
        assert len(settled) > 10
        assert writer.last is not None
        kept = {head for file in (disk / HEADS).iterdir() for head in map(_size_of, file.read_bytes().splitlines())}
        assert set(settled) <= kept
        reader = CosignedHeads(disk, ORIGIN, lambda: log.keys)
        for wanted in range(1, settled[-1] + 1):
            assert reader.covering(wanted) == made[min(size for size in kept if size >= wanted)]
    finally:
        subprocess.run(("umount", "-l", str(disk)), check=True)


def _size_of(line: bytes) -> int:
    return int(decode_head(line + b"\n").size)


def test_kill_at_any_moment(three: list[Witness], tmp_path: Path) -> None:
    """The process itself, killed again and again while heads are settled: what was published stays, and goes on."""
    place = Place(tmp_path, three, quorum=2)
    write_settings(place.home.settings, place.settings)
    published = 0
    for turn in range(6):
        process = subprocess.Popen((sys.executable, "-m", "appliance.cosigner", "--home", str(place.home.root)))
        try:
            until_ = time.monotonic() + 20
            while place.size <= published:
                assert time.monotonic() < until_, "no head was settled"
                place.log.grow(1)
                time.sleep(0.01)
            time.sleep(0.003 * turn)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert place.size >= published
        published = place.size
        covering = place.heads.covering(published)
        assert covering is not None
        assert covering == place.heads.latest() or int(covering.split(b"\n")[1]) > published
    process = subprocess.Popen((sys.executable, "-m", "appliance.cosigner", "--home", str(place.home.root)))
    deadline = time.monotonic() + 20
    while place.size < place.log.size:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert read_cosigner_word(place.home.cosigner_word) is not None
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_all_that_is_wrong_with_the_settings_is_said_at_once(three: list[Witness], tmp_path: Path) -> None:
    import msgspec

    place = Place(tmp_path, three, quorum=2)
    known = place.settings.witnesses
    witness = known[0]
    broken = [
        msgspec.structs.replace(witness, key="nonsense"),
        msgspec.structs.replace(witness, key=str(place.log.keys[0].verifier)),
        msgspec.structs.replace(witness, url="http://witness.example/"),
        msgspec.structs.replace(witness, url="https://user@witness.example/"),
        msgspec.structs.replace(witness, url="https://witness.example:99999/"),
        msgspec.structs.replace(witness, ca="-----BEGIN"),
        witness,
        witness,
    ]
    logs = [msgspec.structs.replace(place.settings.logs[0], witnesses=["nobody.example"])]
    refused_settings = msgspec.structs.replace(place.settings, witnesses=broken, logs=logs)
    with pytest.raises(WitnessesRefused) as refused:
        read_witnesses(refused_settings)
    said = str(refused.value)
    for words in (
        "witness 1: ", "witness 2: ", "none for cosignatures", "witness 3: ", "begins with https", "witness 4: ",
        "witness 5: ", "witness 6: ", "CA certificates", "two witnesses have the name witness-0.example",
        "there is no witness 'nobody.example'",
    ):  # fmt: skip
        assert words in said, words
    for quorum in (0, 4, -1):
        logs = [msgspec.structs.replace(place.settings.logs[0], witness_quorum=quorum)]
        with pytest.raises(WitnessesRefused, match=ORIGIN):
            read_witnesses(msgspec.structs.replace(place.settings, logs=logs))
    write_settings(place.home.settings, refused_settings)
    ended = subprocess.run(
        (sys.executable, "-m", "appliance.cosigner", "--home", str(tmp_path)),
        capture_output=True, check=False, timeout=60, env=dict(os.environ),
    )  # fmt: skip
    assert ended.returncode == 1
    assert b"there is no witness" in ended.stderr + ended.stdout
