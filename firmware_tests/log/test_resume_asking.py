"""Control FORK: a locked box asks its witnesses whether the head that it would go on from is the newest they saw."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.box.settings import LogSettings, WitnessSettings
from appliance.box.witnesses import read_witness
from appliance.log import tree
from appliance.log.asking import ask_witnesses, consistency_from_records
from appliance.log.checkpoint import LogKey
from appliance.log.cli import EXIT_DAMAGED, EXIT_SOUND, log
from appliance.log.errors import LogForked
from appliance.log.resume import Given, KnownLog
from appliance.log.witnesses import WitnessPolicy
from firmware_tests.cosigner.witness import Witness, three_witnesses
from firmware_tests.log.box import Box, origin_of
from firmware_tests.log.test_resume import ENTRIES, LOG, ORIGIN, Recorded, head, root_of


@pytest.fixture
def three() -> Iterator[list[Witness]]:
    with three_witnesses() as made:
        yield made


@settings(max_examples=60)
@given(old=st.integers(0, 40), more=st.integers(0, 40))
def test_the_proof_out_of_the_records_is_the_trees(old: int, more: int) -> None:
    new = min(40, old + more)
    known = KnownLog(ORIGIN, "alfa", (LogKey(LOG.verifier),))
    path = consistency_from_records(known, old, new, Recorded(40))
    hashes = [tree.leaf_hash(entry) for entry in ENTRIES]
    assert path == tree.consistency_proof(old, new, tree.subtree_reader(hashes[:new]))
    if path:
        with pytest.raises(LogForked):
            consistency_from_records(known, old, new, Recorded(new - 1))


def knowing(witness: Witness, size: int, entries: list[bytes] = ENTRIES) -> None:
    """The witness has cosigned the head of so many entries."""
    witness.watch(ORIGIN, str(LOG.verifier))
    witness.logs[ORIGIN] |= {"size": size, "root": root_of(entries[:size])}


def known_log(three: list[Witness], quorum: int) -> KnownLog:
    keys = tuple(read_witness(WitnessSettings(key=one.vkey, url=one.url)).key for one in three)
    return KnownLog(ORIGIN, "alfa", (LogKey(LOG.verifier),), WitnessPolicy(keys, quorum))


@pytest.mark.parametrize("sizes", [(0, 0, 0), (40, 40, 40), (39, 17, 32), (0, 1, 40)])
def test_witnesses_that_are_behind_or_equal_cosign_the_head(three: list[Witness], sizes: tuple[int, ...]) -> None:
    for witness, size in zip(three, sizes, strict=True):
        knowing(witness, size)
    witnesses = [read_witness(WitnessSettings(key=one.vkey, url=one.url)) for one in three]
    notes = [Given("file", head(40)), Given("older", head(12))]
    asked = asyncio.run(ask_witnesses(known_log(three, 3), witnesses, notes, Recorded(40)))
    assert len(asked.given) == len(asked.told) == 3
    assert [witness.size(ORIGIN) for witness in three] == [40] * 3
    policy = known_log(three, 3).witnesses
    assert set().union(*(policy.cosigners(one.note) for one in asked.given)) == {one.name for one in three}


def test_a_witness_that_has_seen_more_or_another_history_keeps_the_box_locked(three: list[Witness]) -> None:
    witnesses = [read_witness(WitnessSettings(key=one.vkey, url=one.url)) for one in three]
    for witness in three:
        knowing(witness, 30)
    knowing(three[2], 40)
    with pytest.raises(LogForked, match=r"has cosigned a head of .* with 40 entries"):
        asyncio.run(ask_witnesses(known_log(three, 2), witnesses, [Given("f", head(35))], Recorded(40)))
    knowing(three[2], 33, [bytes(32), *ENTRIES[1:]])
    with pytest.raises(LogForked, match="another history"):
        asyncio.run(ask_witnesses(known_log(three, 2), witnesses, [Given("f", head(35))], Recorded(40)))


def test_a_real_box_is_opened_by_its_witnesses(box: Box, three: list[Witness], tmp_path: Path) -> None:
    kept = box.grown_and_restored(300, tmp_path)
    alfa = origin_of("alfa")

    def changed(entry: LogSettings) -> LogSettings:
        names = [witness.name for witness in three] if entry.tenant == "alfa" else []
        return msgspec.structs.replace(entry, witnesses=names, witness_quorum=2 if names else 0)

    known = [WitnessSettings(key=witness.vkey, url=witness.url) for witness in three]
    logs = [changed(entry) for entry in box.settings.logs]
    box.settings = msgspec.structs.replace(box.settings, logs=logs, witnesses=known)
    box.write()
    keys = msgspec.json.decode((box.directory(alfa) / "keys.json").read_bytes())["keys"]
    for witness in three:
        witness.watch(alfa, *(key["key"] for key in keys))

    def run(*options: str) -> tuple[int, str]:
        files = [argument for path in kept.values() for argument in ("--checkpoint", str(path))]
        result = CliRunner().invoke(log, ["resume", "--home", str(box.home.root), *files, *options])
        return result.exit_code, result.output

    size = int(kept[alfa].read_bytes().split(b"\n")[1])
    assert run("--no-ask")[0] == EXIT_DAMAGED, "nobody has cosigned what the files hold"
    three[0].watch(alfa, *(key["key"] for key in keys))
    three[0].logs[alfa]["size"] = size + 1
    status, said = run()
    assert (status, "history was lost" in said) == (EXIT_DAMAGED, True), said
    three[0].logs[alfa]["size"] = 0
    three[1].stop()
    three[2].stop()
    status, said = run()
    assert (status, "of the 2 cosignatures" in said) == (EXIT_DAMAGED, True), said
    assert "silent" in said
    three[1].start()
    assert box.home.history_lock.exists()
    status, said = run()
    assert status == EXIT_SOUND, said
    assert "has seen no larger head" in said
    assert not box.home.history_lock.exists()
    assert [three[0].size(alfa), three[1].size(alfa)] == [size, size]
    box.start_follower()
    box.append("alfa", 5)
    box.wait_for_size(alfa, size + 5)
