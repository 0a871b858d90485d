"""`cinnabar log check`: sound on a running and a stopped box, and one flipped bit anywhere is found and named."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.log.cli import EXIT_DAMAGED, EXIT_SOUND, EXIT_UNUSABLE, log
from firmware_tests.log.box import Box, origin_of, running_box
from hsm.testing.softhsm import SoftHsm

ALFA = origin_of("alfa")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, softhsm: SoftHsm) -> Iterator[Box]:
    """A stopped box with a log of several levels and a partial edge."""
    with running_box(tmp_path_factory.mktemp("checked") / "home", softhsm) as box:
        follower = box.start_follower()
        for count in (700, 66_000, 45):
            box.append("alfa", count)
            box.wait_for_size(ALFA, len(box.leaves("alfa")))
        assert check(box)[0] == EXIT_SOUND  # while it runs
        box.stop(follower)
        for process in box.processes:
            if process.poll() is None:
                box.stop(process)
        yield box


def check(box: Box, *more: str) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(log, ["check", "--home", str(box.home.root), "--json", *more])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, json.loads(result.stdout)


def test_sound(stopped: Box) -> None:
    status, shown = check(stopped)
    assert status == EXIT_SOUND
    assert shown["sound"] is True
    text = CliRunner().invoke(log, ["check", "--home", str(stopped.home.root), "--tenant", "alfa"])
    assert text.exit_code == EXIT_SOUND
    assert "compared with the records" in text.stdout


def test_nothing_to_check(stopped: Box, tmp_path: Path) -> None:
    assert CliRunner().invoke(log, ["check", "--home", str(tmp_path)]).exit_code == EXIT_UNUSABLE
    assert CliRunner().invoke(log, ["check", "--home", str(stopped.home.root), "--tenant", "x"]).exit_code == 2


def files_of(box: Box) -> list[str]:
    root = box.directory(ALFA)
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_one_flipped_bit_is_found_and_named(stopped: Box) -> None:
    """With and without the records; a few files of every sort, a random bit of each."""
    chance = random.Random(7)
    root = stopped.directory(ALFA)
    records, hidden = stopped.home.records, stopped.home.records.with_name("hidden")
    by_sort: dict[str, list[str]] = {}
    for name in files_of(stopped):
        if name != "keys.json":
            by_sort.setdefault("/".join(name.split("/")[:2]) + (".p" if ".p/" in name else ""), []).append(name)
    assert {"tile/0", "tile/0.p", "tile/1", "tile/1.p", "tile/2.p", "tile/entries", "tile/entries.p"} <= set(by_sort)
    for with_records in (True, False):
        if not with_records:
            shutil.move(records, hidden)
        try:
            for names in by_sort.values():
                for name in chance.sample(names, min(2, len(names))):
                    assert_flip_is_named(stopped, root / name, chance)
        finally:
            if not with_records:
                shutil.move(hidden, records)


def assert_flip_is_named(box: Box, path: Path, chance: random.Random) -> None:
    before = path.read_bytes()
    changed = bytearray(before)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    path.write_bytes(changed)
    try:
        status, shown = check(box, "--tenant", "alfa")
        findings = shown["logs"][0]["findings"]  # type: ignore[index]
        assert status == EXIT_DAMAGED
        # Records that were taken away are told too, beside what they can no longer be asked about.
        gone = str(box.home.records / "records.sqlite")
        assert {finding["file"] for finding in findings} - {gone} == {str(path)}, findings
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("name", ["tile/0/005", "tile/entries/009", "tile/1/000", "checkpoint", "signed-root"])
def test_a_missing_file_is_named(stopped: Box, name: str) -> None:
    path = stopped.directory(ALFA) / name
    before = path.read_bytes()
    path.unlink()
    try:
        status, shown = check(stopped, "--tenant", "alfa")
        assert status == EXIT_DAMAGED
        assert str(path) in {finding["file"] for finding in shown["logs"][0]["findings"]}  # type: ignore[index]
    finally:
        path.write_bytes(before)


def test_a_foreign_file_is_named(stopped: Box) -> None:
    path = stopped.directory(ALFA) / "tile/0/999"
    path.write_bytes(bytes(8192))
    try:
        status, shown = check(stopped, "--tenant", "alfa")
        assert status == EXIT_DAMAGED
        assert str(path) in {finding["file"] for finding in shown["logs"][0]["findings"]}  # type: ignore[index]
    finally:
        path.unlink()


def test_records_that_say_otherwise(stopped: Box, tmp_path: Path) -> None:
    """A whole log, tiles and all, rewritten in place of the recorded one: its entries are not the records'."""
    directory = stopped.directory(ALFA)
    aside = tmp_path / "aside"
    shutil.copytree(directory, aside)
    bundle = directory / "tile/entries/003"
    try:
        bundle.write_bytes(bundle.read_bytes()[:-1] + b"\0")
        _, shown = check(stopped, "--tenant", "alfa")
        problems = [finding["problem"] for finding in shown["logs"][0]["findings"]]  # type: ignore[index]
        assert any("differs from the records" in problem for problem in problems)
    finally:
        shutil.copy(aside / "tile/entries/003", bundle)
