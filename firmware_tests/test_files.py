"""Files that are replaced as a whole: what a reader finds, what a failure leaves, whose they are."""

from __future__ import annotations

import os
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.box.words import Word, read_word
from appliance.files import Owner, owner_of, read_file, write_durably, write_file

OTHER = 54_321
"""A user that owns nothing else."""
WRITERS: tuple[Callable[[Path, bytes], None], ...] = (write_file, write_durably)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may be larger than 4 KiB: a write fails halfway, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("write", WRITERS)
def test_what_cannot_be_written_leaves_the_file_as_it_was(
    write: Callable[[Path, bytes], None], tmp_path: Path, small_files: None
) -> None:
    path = tmp_path / "file"
    write(path, b"before")
    with pytest.raises(OSError, match="File too large"):
        write(path, bytes(100_000))
    assert path.read_bytes() == b"before"
    write(path, b"after")
    assert path.read_bytes() == b"after"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("write", WRITERS)
def test_a_reader_sees_one_content_or_the_other(write: Callable[[Path, bytes], None], tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([number]) * 20_000 for number in range(2)]
    write(path, contents[0])
    ended = threading.Event()

    def again() -> None:
        for number in range(100):
            write(path, contents[number % 2])
        ended.set()

    writer = threading.Thread(target=again)
    writer.start()
    while not ended.is_set():
        assert path.read_bytes() in contents
    writer.join()


def test_many_writers_may_replace_one_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([number]) * 10_000 for number in range(8)]
    writers = [threading.Thread(target=write_file, args=(path, content)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_bytes() in contents
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_the_mode_is_the_one_asked_for(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_file(tmp_path / "shown", b"", 0o644)
        write_durably(tmp_path / "less", b"", mode=0o644)
    finally:
        os.umask(before)
    write_durably(tmp_path / "secret", b"", mode=0o600)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert modes == {"shown": 0o644, "less": 0o600, "secret": 0o600}


def test_what_a_writer_left_that_died_is_no_way_in(tmp_path: Path) -> None:
    """Neither an open file in the place of a secret one, nor a link to another file."""
    other = tmp_path / "other"
    other.write_bytes(b"kept")
    (tmp_path / "secret.new").symlink_to(other)
    write_durably(tmp_path / "secret", b"secret", mode=0o600)
    assert other.read_bytes() == b"kept"
    assert stat.S_IMODE((tmp_path / "secret").lstat().st_mode) == 0o600


def test_directories_are_made_and_owned_as_the_file_is(tmp_path: Path) -> None:
    here = owner_of(tmp_path)
    write_durably(tmp_path / "a" / "b" / "file", b"x", here)
    assert {owner_of(one) for one in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "file")} == {here}
    assert here == Owner(os.stat(tmp_path).st_uid, os.stat(tmp_path).st_gid)  # noqa: PTH116 - as os tells it


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a link another user's; it leads to tmp_path/roots, where that one may not write."""
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots" / "file").write_bytes(b"kept")

    def link(path: Path) -> None:
        path.symlink_to(tmp_path / "roots")
        if os.geteuid() == 0:
            os.chown(path, OTHER, OTHER, follow_symlinks=False)
        else:  # whoever runs the tests is that user, and the code takes itself for root
            monkeypatch.setattr(os, "geteuid", lambda: 0)

    return link


@pytest.mark.parametrize("below", ["file", "made/file"])
def test_another_users_link_is_not_followed(tmp_path: Path, others: Callable[[Path], None], below: str) -> None:
    """Root writes in directories that parts of the box own: what these put there leads nowhere else."""
    others(tmp_path / "his")
    with pytest.raises(PermissionError, match="a link of another user"):
        write_durably(tmp_path / "his" / below, b"x", owner_of(tmp_path))
    assert [one.name for one in (tmp_path / "roots").iterdir()] == ["file"]
    assert (tmp_path / "roots" / "file").read_bytes() == b"kept"


def test_a_link_of_ones_own_is(tmp_path: Path) -> None:
    """An administrator has put a directory on another disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(tmp_path / "disk")
    write_durably(tmp_path / "first" / "a" / "file", b"x")
    assert (tmp_path / "disk" / "a" / "file").read_bytes() == b"x"
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="symbolic links"):
        write_durably(tmp_path / "round" / "file", b"x")


def test_a_link_in_the_place_of_what_is_written_first_is_no_way_out(tmp_path: Path) -> None:
    """Its name can be guessed: root writes the logs' keys into a directory that is the keymaster's."""
    other = tmp_path / "other"
    other.write_bytes(b"kept")
    (tmp_path / f".file.{os.getpid()}.{threading.get_native_id()}").symlink_to(other)
    write_file(tmp_path / "file", b"x")
    assert other.read_bytes() == b"kept"
    assert (tmp_path / "file").read_bytes() == b"x"
    assert not (tmp_path / "file").is_symlink()


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    "put", [pipe, Path.mkdir, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to("/etc/hostname")]
)
def test_what_is_no_plain_file_is_not_read(tmp_path: Path, put: Callable[[Path], None]) -> None:
    """A pipe that nobody writes to, a device without an end, another's file: a reader would wait, or hand it out."""
    put(tmp_path / "word")
    with pytest.raises(OSError, match=r"no plain file|symbolic links"):
        read_file(tmp_path / "word", 100)
    assert read_word(tmp_path / "word", Word, 10) is None


def test_a_file_is_read_as_far_as_it_may_be_large(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    assert read_file(path, 100) == bytes(100)
    with pytest.raises(OSError, match="more than 99 bytes"):
        read_file(path, 99)
