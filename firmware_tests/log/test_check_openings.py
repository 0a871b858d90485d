"""`cinnabar log check` and the openings of box leaves: one flipped bit, a line or a file that has gone, is named."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.log.box_leaf import NO_COMMITMENT, BoxStatement, TenantStatement, make_box_leaf
from appliance.log.check_openings import check_openings
from appliance.log.cli import EXIT_DAMAGED, EXIT_SOUND
from appliance.log.openings import LEAVES_A_FILE, Line, Openings, Pending, read_lines
from appliance.recorder.messages import BOX_LOG
from firmware_tests.log.box import BOX_ORIGIN, Box, origin_of, running_box, wait_for
from firmware_tests.log.test_check import check
from hsm.testing.softhsm import SoftHsm


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, softhsm: SoftHsm) -> Iterator[Box]:
    """A stopped box with some box leaves over two tenants."""
    with running_box(tmp_path_factory.mktemp("openings") / "home", softhsm) as box:
        follower = box.start_follower()
        openings = Openings(box.directory(BOX_ORIGIN))
        for count in (3, 40):
            box.append("alfa", count)
            box.wait_for_size(origin_of("alfa"), count)
            before = openings.latest("alfa")
            at = -1 if before is None else before.index
            wait_for(lambda at=at: (now := openings.latest("alfa")) and now.index > at, "a box leaf")  # type: ignore[misc]
        assert check(box, "--tenant", "@box")[0] == EXIT_SOUND  # while it runs
        box.stop(follower)
        for process in box.processes:
            if process.poll() is None:
                box.stop(process)
        assert check(box)[0] == EXIT_SOUND
        yield box


def files_of(box: Box) -> list[Path]:
    return sorted((box.directory(BOX_ORIGIN) / "openings").glob("*/*.jsonl"))


def findings(box: Box) -> list[dict[str, str]]:
    status, shown = check(box, "--tenant", "@box")
    assert status == EXIT_DAMAGED
    return shown["logs"][0]["findings"]  # type: ignore[index,no-any-return]


@pytest.mark.parametrize("with_records", [True, False])
def test_one_flipped_bit_is_found_and_named(stopped: Box, tmp_path: Path, with_records: bool) -> None:
    """Every sort of file, and bits in every tenth of it: salts, paths, statements, leaves, line ends."""
    chance = random.Random(5)
    records, hidden = stopped.home.records, stopped.home.records.with_name("hidden")
    if not with_records:
        shutil.move(records, hidden)
    try:
        assert {path.parent.name for path in files_of(stopped)} == {"alfa", "bravo", "@box"}
        for path in files_of(stopped):
            before = path.read_bytes()
            tenth = len(before) // 10
            places = [part * tenth + chance.randrange(tenth) for part in range(10)]
            places += [place for place, byte in enumerate(before) if byte == 0x0A]
            for place in places:
                changed = bytearray(before)
                changed[place] ^= 1 << chance.randrange(8)
                path.write_bytes(changed)
                # Records that were taken away are told too.
                named = {finding["file"] for finding in findings(stopped)} - {str(records / "records.sqlite")}
                assert named == {str(path)}, before[place - 40 : place + 9]
            path.write_bytes(before)
        assert check(stopped)[0] == (EXIT_SOUND if with_records else EXIT_DAMAGED)
    finally:
        if not with_records:
            shutil.move(hidden, records)


@pytest.mark.parametrize("line", [0, 1, -1])
def test_an_opening_that_has_gone_is_named(stopped: Box, line: int) -> None:
    path = stopped.directory(BOX_ORIGIN) / "openings" / "bravo" / f"{0:012d}.jsonl"
    before = path.read_bytes()
    lines = before.splitlines(keepends=True)
    assert len(lines) >= 2
    del lines[line]
    path.write_bytes(b"".join(lines))
    try:
        assert {finding["file"] for finding in findings(stopped)} == {str(path)}
    finally:
        path.write_bytes(before)


def test_an_opening_of_another_tenant_is_named(stopped: Box) -> None:
    """Each line is true, and the chain is another's."""
    directory = stopped.directory(BOX_ORIGIN) / "openings"
    path, other = (directory / name / f"{0:012d}.jsonl" for name in ("bravo", "alfa"))
    before = path.read_bytes()
    path.write_bytes(other.read_bytes())
    try:
        assert {finding["file"] for finding in findings(stopped)} == {str(path)}
    finally:
        path.write_bytes(before)


def test_what_to_do_about_an_opening(stopped: Box) -> None:
    from appliance.log.repair import next_steps

    path = files_of(stopped)[0]
    assert next_steps([str(path)], Path("/exports"), Path("/home")) == [
        f"put back a good copy of {path}: its salts stand nowhere else"
    ]


def test_a_tenant_that_did_not_come_under_the_last_leaves_misses_nothing(tmp_path: Path) -> None:
    """Its token did not open meanwhile. One that has gone is found all the same, whoever it is of."""
    openings, previous = Openings(tmp_path), dict.fromkeys(("alfa", "bravo", BOX_LOG), NO_COMMITMENT)
    for index, tenants in enumerate((["alfa", "bravo"], ["alfa", "bravo"], ["alfa"], ["alfa"])):
        statements: dict[str, TenantStatement | BoxStatement] = {
            name: TenantStatement(origin=name, previous=previous[name], root="0" * 64, size=index) for name in tenants
        }
        statements[BOX_LOG] = BoxStatement(
            counts={},
            housekeeping={},
            housekeeping_digest="0" * 64,
            housekeeping_last=0,
            previous=previous[BOX_LOG],
            tenants=tenants,
        )
        made = make_box_leaf(statements, time=index)
        openings.settle(Pending(after=0, leaf=made.leaf, openings=made.openings), index)
        previous |= {name: opening.commitment().hex() for name, opening in made.openings.items()}

    def found() -> list[tuple[str, str]]:
        findings = check_openings(tmp_path, 0, {"alfa": "alfa", "bravo": "bravo"}, lambda _: None)
        return [
            (Path(finding.file).relative_to(tmp_path / "openings").parts[0], finding.problem) for finding in findings
        ]

    assert found() == []
    for name, last in (("alfa", 3), ("bravo", 1), (BOX_LOG, 3)):
        path = openings.files(name)[-1]
        before = path.read_bytes()
        path.write_bytes(b"".join(before.splitlines(keepends=True)[:-1]))
        assert (name, f"has no opening of entry {last}, which others have") in found()
        path.unlink()
        path.parent.rmdir()
        if name != BOX_LOG:
            assert found() == [(name, f"has no opening of entry {last}")]
        else:
            assert (BOX_LOG, "has no opening of entry 3") in found()
        path.parent.mkdir()
        path.write_bytes(before)


def test_first_opening_among_many_files(tmp_path: Path) -> None:
    """The search by halves finds what looking at every line finds."""
    openings = Openings(tmp_path)
    assert openings.first("alfa", lambda _: True) is None
    chance = random.Random(3)
    indexes = sorted(chance.sample(range(5 * LEAVES_A_FILE), 60))
    for number, index in enumerate(indexes):
        statement = TenantStatement(origin="o", previous="0" * 64, root="0" * 64, size=number * 3)
        made = make_box_leaf({"alfa": statement}, time=index)
        openings.settle(Pending(after=0, leaf=made.leaf, openings=made.openings), index)
    lines = [line for file in openings.files("alfa") for line in read_lines(file)]
    assert [line.index for line in lines] == indexes
    for wanted in (0, *indexes, *(index + 1 for index in indexes)):

        def holds(line: Line, wanted: int = wanted) -> bool:
            return line.index >= wanted

        assert openings.first("alfa", holds) == next((line for line in lines if holds(line)), None)
    torn = openings.files("alfa")[-1]
    torn.write_bytes(torn.read_bytes() + b'{"index":9')
    assert openings.latest("alfa") == lines[-1]
    assert openings.first("alfa", lambda line: line.index > indexes[-1]) is None
