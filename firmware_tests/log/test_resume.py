"""Control FORK: which checkpoints open a locked box, with and without witnesses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.box.settings import LogSettings, WitnessSettings
from appliance.errors import CinnabarError
from appliance.log import tree
from appliance.log.checkpoint import Checkpoint, LogKey
from appliance.log.cli import EXIT_DAMAGED, EXIT_SOUND, EXIT_UNUSABLE, log
from appliance.log.errors import LogForked, LogLocked, MalformedNote, SignatureInvalid
from appliance.log.exports import export_file
from appliance.log.note import COSIGNATURE_V1, ED25519, NoteSignature, VerifierKey, cosigned_message, parse_note
from appliance.log.resume import Given, KnownLog, check_resume
from appliance.log.witnesses import WitnessPolicy
from firmware_tests.log.box import BOX_ORIGIN, Box, origin_of

ORIGIN = "log.example/rehearsal/alfa"
ENTRIES = [os.urandom(32) for _ in range(40)]


class Signer:
    """A key of a log or of a witness."""

    def __init__(self, name: str, kind: int) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.verifier = VerifierKey(name, self._key.public_key().public_bytes_raw(), kind)

    def line(self, text: bytes, time_s: int = 1_800_000_000) -> bytes:
        if self.verifier.type == COSIGNATURE_V1:
            signature = time_s.to_bytes(8, "big") + self._key.sign(cosigned_message(time_s, text))
        else:
            signature = self._key.sign(text)
        return NoteSignature(self.verifier.name, self.verifier.key_id, signature).line()


LOG = Signer(ORIGIN, ED25519)
WITNESSES = [Signer(f"witness-{number}.example", COSIGNATURE_V1) for number in range(4)]
STRANGER = Signer("stranger.example", COSIGNATURE_V1)


def root_of(entries: list[bytes]) -> bytes:
    return tree.root([tree.leaf_hash(entry) for entry in entries])


def head(size: int, *cosigners: Signer, entries: list[bytes] = ENTRIES) -> bytes:
    text = Checkpoint(ORIGIN, size, root_of(entries[:size])).text()
    return b"".join((text, b"\n", LOG.line(text), *(signer.line(text) for signer in cosigners)))


@dataclass
class Recorded:
    """A recorder that holds the first `count` entries."""

    count: int
    signed: int | None = None

    def leaves(self, log: str, first: int, limit: int) -> bytes:
        assert log == "alfa"
        return b"".join(ENTRIES[: self.count][first : first + limit])

    def head(self, origin: str) -> tuple[int, bytes] | None:
        assert origin == ORIGIN
        return None if self.signed is None else (self.signed, root_of(ENTRIES[: self.signed]))


def known(quorum: int, witnesses: list[Signer] = WITNESSES) -> list[KnownLog]:
    policy = WitnessPolicy(tuple(signer.verifier for signer in witnesses), quorum)
    return [KnownLog(ORIGIN, "alfa", (LogKey(LOG.verifier),), policy)]


def resume(quorum: int, recorded: Recorded, *notes: bytes) -> dict[str, bytes]:
    given_files = [Given(f"file-{number}", note) for number, note in enumerate(notes)]
    return check_resume(known(quorum), given_files, recorded).checkpoints


@given(
    quorum=st.integers(0, 4),
    files=st.lists(st.sets(st.integers(0, 3)), min_size=1, max_size=4),
    size=st.integers(1, 40),
    recorded=st.integers(0, 40),
)
def test_opens_only_with_the_quorum_and_on_this_history(
    quorum: int, files: list[set[int]], size: int, recorded: int
) -> None:
    """However the cosignatures are spread over files: each witness counts once, and none makes up for lost entries."""
    notes = [head(size, *(WITNESSES[number] for number in sorted(chosen))) for chosen in files]
    enough = len(set().union(*files)) >= quorum
    if enough and size <= recorded:
        assert resume(quorum, Recorded(recorded), *notes)[ORIGIN] in notes
    else:
        with pytest.raises(LogForked if enough else LogLocked) as refused:
            resume(quorum, Recorded(recorded), *notes)
        assert refused.value.control == "FORK"


@given(older=st.integers(1, 39), cosigned=st.integers(0, 4))
def test_cosignatures_of_an_older_head_do_not_count(older: int, cosigned: int) -> None:
    """The largest head given needs the quorum itself; that an older one had it shows nothing of what came after."""
    notes = (head(older, *WITNESSES), head(40, *WITNESSES[:cosigned]))
    if cosigned >= 3:
        assert resume(3, Recorded(40), *notes) == {ORIGIN: notes[1]}
    else:
        with pytest.raises(LogLocked, match=f"has {cosigned} of the 3"):
            resume(3, Recorded(40), *notes)


def test_strangers_and_doubles_do_not_count() -> None:
    with pytest.raises(LogLocked, match="has 1 of the 2"):
        resume(2, Recorded(40), head(40, WITNESSES[0], STRANGER))
    note = head(40, WITNESSES[0])
    text = parse_note(note).text
    with pytest.raises(LogLocked, match="has 1 of the 2"):
        resume(2, Recorded(40), note + WITNESSES[0].line(text, 1_800_000_001), note)


def test_a_cosignature_of_something_else_refuses() -> None:
    """Another witness's line under this one's name, a line over another head, a line cut short."""
    note, other = head(40), head(39, WITNESSES[0])
    verifier = WITNESSES[0].verifier
    stolen = other[other.rindex("— witness".encode()) :]
    text = parse_note(note).text
    forged = NoteSignature(verifier.name, verifier.key_id, bytes(8) + Ed25519PrivateKey.generate().sign(text)).line()
    plain = NoteSignature(verifier.name, verifier.key_id, WITNESSES[0]._key.sign(text)).line()
    for line in (stolen, forged, plain):
        with pytest.raises(SignatureInvalid, match="file-0: "):
            resume(1, Recorded(40), note + line)


def test_witnesses_of_two_histories() -> None:
    """Two heads of one size, both with a quorum: one of them is another history, and the box stays locked."""
    other = [*ENTRIES[:-1], bytes(32)]
    with pytest.raises(LogForked, match="another history"):
        resume(2, Recorded(40), head(40, *WITNESSES), head(40, *WITNESSES, entries=other))
    with pytest.raises(LogForked, match="another history"):
        resume(2, Recorded(40), head(40, WITNESSES[0]), head(40, WITNESSES[1], entries=other))


def test_a_recorded_head_needs_a_checkpoint() -> None:
    with pytest.raises(LogLocked, match="is needed"):
        resume(0, Recorded(40, signed=40))
    assert resume(4, Recorded(0)) == {}  # nothing was ever signed, so there is nothing that a witness could have seen
    with pytest.raises(LogForked):
        check_resume(known(0), [Given("f", head(20))], Recorded(20, signed=21))


@pytest.mark.parametrize(
    ("signers", "quorum"),
    [(WITNESSES, 5), (WITNESSES, -1), ([], 1), ([LOG], 1), ([WITNESSES[0], WITNESSES[0]], 1)],
)
def test_policies_that_cannot_be(signers: list[Signer], quorum: int) -> None:
    with pytest.raises(MalformedNote):
        WitnessPolicy(tuple(signer.verifier for signer in signers), quorum)
    twins = [Signer("twin.example", COSIGNATURE_V1) for _ in range(2)]
    with pytest.raises(MalformedNote):  # one witness with two keys would count twice
        WitnessPolicy(tuple(twin.verifier for twin in twins), 2)


def cosign(note: bytes, *witnesses: Signer) -> bytes:
    text = parse_note(note).text
    return note + b"".join(witness.line(text) for witness in witnesses)


def test_a_real_box_stays_locked_below_the_quorum(box: Box, tmp_path: Path) -> None:
    """Two of three witnesses for the box's log: one is not enough, nor is a broken policy; two are."""
    kept = box.grown_and_restored(30, tmp_path)
    exports = box.home.exports / "checkpoints"
    names = [signer.verifier.name for signer in WITNESSES[:3]]
    known = [WitnessSettings(key=str(one.verifier), url="https://witness.example") for one in WITNESSES[:3]]

    def configure(witnesses: list[str], quorum: int) -> None:
        def changed(entry: LogSettings) -> LogSettings:
            return msgspec.structs.replace(entry, witnesses=witnesses, witness_quorum=quorum)

        logs = [changed(entry) if entry.tenant is None else entry for entry in box.settings.logs]
        box.settings = msgspec.structs.replace(box.settings, logs=logs, witnesses=known)
        box.write()

    def run() -> tuple[int, str]:
        files = [argument for path in kept.values() for argument in ("--checkpoint", str(path))]
        result = CliRunner().invoke(log, ["resume", "--no-ask", "--home", str(box.home.root), *files])
        return result.exit_code, result.output

    for witnesses, quorum in (([*names, "nonsense"], 1), (names, 4)):
        configure(witnesses, quorum)
        assert run()[0] == EXIT_UNUSABLE
    configure(names, 2)
    plain = kept[BOX_ORIGIN].read_bytes()
    for cosigners in ((), WITNESSES[:1], [WITNESSES[0], WITNESSES[3]]):
        kept[BOX_ORIGIN].write_bytes(cosign(plain, *cosigners))
        status, said = run()
        assert status == EXIT_DAMAGED, said
        assert "of the 2 cosignatures" in said
        assert box.home.history_lock.exists()
        assert not export_file(exports, BOX_ORIGIN).exists()
    kept[BOX_ORIGIN].write_bytes(cosign(plain, *WITNESSES[1:3]))
    status, said = run()
    assert status == EXIT_SOUND, said
    assert not box.home.history_lock.exists()
    before = box.checkpoint(origin_of("alfa")).size
    box.start_follower()
    box.append("alfa", 5)
    box.wait_for_size(origin_of("alfa"), before + 5)


def test_every_error_says_which_file() -> None:
    for note in (b"", b"\xff", head(40).replace(b"40\n", b"41\n", 1), head(40)[:-30]):
        with pytest.raises(CinnabarError, match="file-0: "):
            resume(0, Recorded(40), note)
