"""Tile paths, bundles, the writer of tiles and its readers."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import NotFound
from appliance.log import Integrator, LogReader, TileReader, leaf_hash, tree
from appliance.log.errors import LogDamaged, MalformedProof, NotYetIncluded
from appliance.log.tiles import Tile, decode_bundle, encode_bundle, tiles_of

ENTRIES = [hashlib.sha256(b"%d" % number).digest() for number in range(70_000)]
HASHES = [leaf_hash(entry) for entry in ENTRIES]


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(1, 999, 7), "tile/1/999.p/7"),
        (Tile("entries", 1_000, 255), "tile/entries/x001/000.p/255"),
        (Tile(63, 5), "tile/63/005"),
    ],
)
def test_paths_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path() == path
    assert Tile.parse(path) == tile


@given(st.one_of(st.just("entries"), st.integers(0, 63)), st.integers(0, 2**40), st.integers(1, 256))
def test_paths_round_trip(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)  # type: ignore[arg-type]
    assert Tile.parse(tile.path()) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/64/000",
        "tile/00/000",
        "tile/0/0",
        "tile/0/x000/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/../../checkpoint",
        "tile/0/x001/../000",
        "tile/0/٠٠٠",
        "tile/entries/000.p",
        "tile/0/000\n",
        "../../etc/passwd",
        "keys.json",
        "tile/0/" + "x001/" * 50 + "000",
    ],
)
def test_no_other_path(path: str, tmp_path: Path) -> None:
    with pytest.raises(MalformedProof):
        Tile.parse(path)
    with pytest.raises(NotFound):
        LogReader(tmp_path).resource(path)


@given(st.text(max_size=60))
def test_any_text_as_path(text: str) -> None:
    with contextlib.suppress(MalformedProof):
        assert Tile.parse(text).path() == text


@given(st.lists(st.binary(max_size=70), max_size=256))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


@given(st.binary(max_size=400))
def test_any_bytes_as_bundle(data: bytes) -> None:
    with contextlib.suppress(MalformedProof):
        assert encode_bundle(decode_bundle(data)) == data


def test_size_of_the_specification() -> None:
    assert tiles_of(70_000) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert tiles_of(256) == [Tile(0, 0), Tile(1, 0, 1)]
    assert tiles_of(0) == []


@settings(max_examples=25)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=8))
def test_any_steps_give_the_same_tree(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    directory = tmp_path_factory.mktemp("log")
    integrator = Integrator(directory)
    for step in steps:
        at = integrator.size
        integrator.append(ENTRIES[at : at + step])
        integrator.flush()
        assert integrator.root() == TileReader(directory, integrator.size).root() == tree.root(HASHES[: at + step])
        integrator.close()
        integrator = Integrator(directory, at + step)
    for size in {0, integrator.size // 2, integrator.size}:
        assert TileReader(directory, size).root() == tree.root(HASHES[:size])
    integrator.close()


def test_a_large_tree(tmp_path: Path) -> None:
    integrator = Integrator(tmp_path)
    integrator.append(ENTRIES)
    integrator.flush()
    assert integrator.root() == tree.root(HASHES)
    reader = TileReader(tmp_path, len(ENTRIES))
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        path = tree.inclusion_proof(index, len(ENTRIES), reader.subtree)
        tree.verify_inclusion(index, len(ENTRIES), HASHES[index], path, integrator.root())
    for old in (1, 255, 256, 257, 65_536, 65_537, 69_999):
        path = tree.consistency_proof(old, len(ENTRIES), reader.subtree)
        tree.verify_consistency(old, TileReader(tmp_path, old).root(), len(ENTRIES), integrator.root(), path)
    # A full tile's partial files are gone, and still served.
    assert not list(tmp_path.glob("tile/0/x000/*"))
    assert LogReader(tmp_path).resource("tile/0/000.p/3").content == b"".join(HASHES[:3])
    assert decode_bundle(LogReader(tmp_path).resource("tile/entries/273.p/112").content) == ENTRIES[69_888:]


def test_reads_of_a_proof_grow_with_the_height_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    integrator = Integrator(tmp_path)
    integrator.append(ENTRIES)
    integrator.flush()
    reads: list[Path] = []
    original = Path.read_bytes

    def counted(self: Path) -> bytes:
        reads.append(self)
        return original(self)

    monkeypatch.setattr(Path, "read_bytes", counted)
    tree.inclusion_proof(12_345, len(ENTRIES), TileReader(tmp_path, len(ENTRIES)).subtree)
    assert len(reads) <= 6


def test_what_a_signed_head_covers_is_never_overwritten(tmp_path: Path) -> None:
    integrator = Integrator(tmp_path)
    integrator.append(ENTRIES[:300])
    integrator.flush()
    again = Integrator(tmp_path, 0, signed_size=300)
    with pytest.raises(LogDamaged, match="tile"):
        again.append([os.urandom(32) for _ in range(300)])
    again.close()
    # What was only written, and never signed, gives way to the records.
    other = [os.urandom(32) for _ in range(300)]
    replaced = Integrator(tmp_path)
    replaced.append(other)
    replaced.flush()
    assert TileReader(tmp_path, 300).root() == tree.root([leaf_hash(entry) for entry in other])


def test_missing_tiles_are_named(tmp_path: Path) -> None:
    integrator = Integrator(tmp_path)
    integrator.append(ENTRIES[:300])
    integrator.flush()
    (tmp_path / "tile/0/000").unlink()
    with pytest.raises(LogDamaged, match="tile/0/000"):
        TileReader(tmp_path, 300).subtree(0, 0)


def test_entries_are_commitments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Integrator(tmp_path).append([b"short"])


def test_no_checkpoint_yet(tmp_path: Path) -> None:
    for ask in (lambda: LogReader(tmp_path).checkpoint(), lambda: LogReader(tmp_path).tlog_proof(0)):
        with pytest.raises(NotYetIncluded):
            ask()
