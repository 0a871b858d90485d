"""PINs under lock: officers' passphrases, a software TPM, and what an attacker changes in the file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from appliance.box import locked_pins, pins_cli, tpm
from appliance.box.locked_pins import (
    PassphraseUnfit,
    PinLocked,
    find_part,
    lock_for_officers,
    lock_for_tpm,
    open_with_parts,
    open_with_tpm,
    read_locked_pin,
    write_locked_pin,
)
from appliance.box.tpm import TpmRefused
from hsm.testing.tpm import software_tpm

PIN = "correct-horse-9"
CHOSEN = {"ann": "ann's long passphrase", "bo": "bo's long passphrase", "cai": "cai's long passphrase"}


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locked_pins, "SCRYPT_COST", 2**10)


def test_one_officer_opens_where_one_is_enough() -> None:
    locked = read_locked_pin(write_locked_pin(lock_for_officers("box", PIN, CHOSEN)), "box")
    for passphrase in CHOSEN.values():
        part = find_part(locked, passphrase)
        assert part is not None
        assert open_with_parts(locked, dict([part])) == PIN
    assert find_part(locked, "nobody's passphrase") is None
    assert PIN.encode() not in write_locked_pin(locked)


def test_two_officers_are_needed_where_two_are_asked_for() -> None:
    locked = lock_for_officers("box", PIN, CHOSEN, threshold=2)
    first = find_part(locked, CHOSEN["cai"])
    assert first is not None
    with pytest.raises(PinLocked, match="1 more"):
        open_with_parts(locked, dict([first]))
    assert find_part(locked, CHOSEN["cai"], [first[0]]) is None
    second = find_part(locked, CHOSEN["ann"], [first[0]])
    assert second is not None
    assert open_with_parts(locked, dict([first, second])) == PIN
    with pytest.raises(PinLocked):
        open_with_parts(locked, {first[0]: first[1], 2: bytes(32)})


def test_weak_and_equal_passphrases_are_refused() -> None:
    for chosen in ({"ann": "short"}, {"ann": CHOSEN["ann"], "bo": CHOSEN["ann"]}):
        with pytest.raises(PassphraseUnfit):
            lock_for_officers("box", PIN, chosen)


def test_a_lock_of_another_token_or_an_altered_one_opens_nothing() -> None:
    locked = lock_for_officers("box", PIN, CHOSEN)
    text = write_locked_pin(locked)
    with pytest.raises(PinLocked, match="another's"):
        read_locked_pin(text, "tenant")
    renamed = msgspec.structs.replace(locked, token="tenant")
    assert find_part(renamed, CHOSEN["ann"]) is None
    part = find_part(locked, CHOSEN["ann"])
    assert part is not None
    with pytest.raises(PinLocked):
        open_with_parts(renamed, dict([part]))
    flipped = msgspec.structs.replace(locked, sealed=bytes([locked.sealed[0] ^ 1]) + locked.sealed[1:])
    with pytest.raises(PinLocked):
        open_with_parts(flipped, dict([part]))
    for broken in (b"", b"{}", text[:-10], text.replace(b'"threshold": 1', b'"threshold": 0')):
        with pytest.raises(PinLocked):
            read_locked_pin(broken, "box")
    costly = msgspec.structs.replace(locked.parts[0], cost=2**40)
    assert find_part(msgspec.structs.replace(locked, parts=[costly]), CHOSEN["ann"]) is None


# A TPM


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with software_tpm(tmp_path) as tcti:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tcti)
        yield tmp_path


def test_the_tpm_that_sealed_a_pin_opens_it_and_no_other_does(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = lock_for_tpm("box", PIN, tpm.PCRS, tpm.seal)
    locked = read_locked_pin(write_locked_pin(locked), "box")
    assert open_with_tpm(locked, tpm.unseal) == PIN
    assert open_with_tpm(locked, tpm.unseal) == PIN
    other = machine / "other"
    other.mkdir()
    with software_tpm(other) as tcti, monkeypatch.context() as patched:
        patched.setenv("TPM2TOOLS_TCTI", tcti)
        with pytest.raises(TpmRefused):
            open_with_tpm(locked, tpm.unseal)
    assert open_with_tpm(locked, tpm.unseal) == PIN


def test_a_machine_that_was_started_otherwise_does_not_open_it(machine: Path) -> None:
    locked = lock_for_tpm("box", PIN, tpm.PCRS, tpm.seal)
    subprocess.run(["tpm2_pcrextend", f"7:sha256={'ab' * 32}"], check=True, capture_output=True)
    with pytest.raises(TpmRefused, match="tpm2_unseal"):
        open_with_tpm(locked, tpm.unseal)


@pytest.mark.usefixtures("machine")
def test_what_is_kept_must_be_whole() -> None:
    kept = tpm.seal(bytes(32))
    for broken in ({}, {"public": kept["public"]}, {**kept, "private": kept["private"][:-1]}, {**kept, "x": b""}):
        with pytest.raises(TpmRefused):
            tpm.unseal(broken)


def test_a_machine_without_a_tpm_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPM2TOOLS_TCTI", "swtpm:host=127.0.0.1,port=1")
    with pytest.raises(TpmRefused):
        tpm.seal(bytes(32))
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(TpmRefused, match="not installed"):
        tpm.seal(bytes(32))


def test_the_prompts_tell_whose_passphrases_are_left_and_how_many() -> None:
    locked = lock_for_officers("demo", "1234", {"ann": "ann's long passphrase", "bo": "bo's long passphrase"}, 2)

    @click.command()
    def opening() -> None:
        click.echo(pins_cli._opened(locked))

    done = CliRunner().invoke(opening, input="ann's long passphrase\nbo's long passphrase\n")
    assert done.exit_code == 0, done.output
    assert "A passphrase for demo (of ann, bo; 2 still needed)" in done.output
    assert "A passphrase for demo (of bo; 1 still needed)" in done.output
    assert done.output.splitlines()[-1] == "1234"
