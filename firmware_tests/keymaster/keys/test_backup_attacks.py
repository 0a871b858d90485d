"""Hostile processes beside a backup, with the user PIN and with none; and a keymaster that dies in one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.ceremonies.actions import BackUpKeys, RestoreKeys
from appliance.keymaster.actions import backups
from appliance.keymaster.keys import wrapping
from appliance.keymaster.keys.leftovers import Leftovers
from firmware_tests.keymaster.keys.custodians import (
    P256,
    PEOPLE,
    Custodians,
    add_key,
    execute,
    facts_of,
    signs,
    with_officer_pin,
    wrapping_keys,
)
from firmware_tests.keymaster.room import Bench, Life
from hsm import Pkcs11Uri
from hsm import constants as ck
from hsm.backup import install_wrapping_key
from hsm.keys import destroy_key_pair
from hsm.testing.softhsm import SoftHsm, ThrowawayToken

BACKUP = BackUpKeys(tenant=None, keys=["k"], custodians=PEOPLE, threshold=2)


def hostile(token: ThrowawayToken, pin_file: Path | None, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "firmware_tests.keymaster.keys.hostile", str(token.uri), str(pin_file or "-")]
    process = subprocess.Popen([*command, str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def outcome(process: subprocess.Popen[str], *, stop: bool = False) -> dict[str, Any]:
    with process:
        if stop:
            process.terminate()
        text, _ = process.communicate(timeout=60)
    found: dict[str, Any] = json.loads(text)
    return found


@contextlib.contextmanager
def besieged(token: ThrowawayToken, pin_file: Path) -> Iterator[list[dict[str, Any]]]:
    """Two hostile processes, one with the user PIN; what each was able to do, once they are gone."""
    processes = [hostile(token, pin_file, 60), hostile(token, None, 60)]
    found: list[dict[str, Any]] = []
    try:
        yield found
        found += [outcome(process, stop=True) for process in processes]
    finally:
        for process in processes:
            with process:
                process.kill()


@pytest.mark.parametrize("with_pin", [True, False], ids=["pin", "no-pin"])
def test_the_attempts_work_on_a_key_that_is_not_guarded(softhsm: SoftHsm, tmp_path: Path, with_pin: bool) -> None:
    """What the attacks prove on a wrapping key, they prove because they do succeed on a weak one."""
    token = softhsm.token()
    weak = {
        **{ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_AES, ck.CKA_VALUE: bytes(32)},
        **{ck.CKA_TOKEN: True, ck.CKA_PRIVATE: False, ck.CKA_SENSITIVE: False, ck.CKA_EXTRACTABLE: True},
        **dict.fromkeys((ck.CKA_WRAP, ck.CKA_UNWRAP, ck.CKA_ENCRYPT, ck.CKA_DECRYPT), True),
        **{ck.CKA_LABEL: "cinnabar-backup-weak"},
    }
    opened = token.open()
    with opened.session(writable=True) as (cryptoki, session):
        cryptoki.create_object(session, weak)
    opened.close()
    did = outcome(hostile(token, token.pin_file(tmp_path) if with_pin else None, 0.3))["did"]
    wanted = {"read", "flip-unwrap", "flip-decrypt", "flip-encrypt", "copy", "copy-plain", "encrypt", "decrypt"}
    assert wanted | {"unwrap-as-secret"} <= did.keys()
    assert "make-trusted" not in did


@pytest.mark.parametrize("with_pin", [True, False], ids=["pin", "no-pin"])
def test_a_wrapping_key_that_stands_in_a_token_gives_way_to_nobody(
    softhsm: SoftHsm, tmp_path: Path, with_pin: bool
) -> None:
    token = softhsm.token()
    install_wrapping_key(token.uri, lambda: token.so_pin, "cinnabar-backup-x", os.urandom(32))
    found = outcome(hostile(token, token.pin_file(tmp_path) if with_pin else None, 0.3))
    assert found["seen"] > 0
    assert found["did"] == {}


def test_a_hostile_worker_beside_a_backup_gets_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes, one with the user PIN, while keys are wrapped: each sees the wrapping key and can do
    nothing with it; at worst the backup fails while they are there, and leaves nothing behind."""
    with_officer_pin(bench)
    pin_file = bench.home.root / "secrets" / f"{bench.token.uri.token}.pin"
    many = [f"k-{number}" for number in range(6)]

    async def story(life: Life) -> None:
        await life.found()
        public = {name: add_key(life, name) for name in many}
        action = BackUpKeys(tenant=None, keys=many, custodians=PEOPLE, threshold=2)
        digest = await life.approved(action)
        async with Custodians(life.room).present() as custodians:
            with besieged(bench.token, pin_file) as found:
                row = await life.executions.execute(digest, 120.0)
            assert row.state == "executed" or "backup-failed" in str(row.error)
            # Whoever has a PIN can disturb, on SoftHSM; once he is gone, the same ceremony goes on.
            facts = await execute(life, digest) if row.state != "executed" else facts_of(life, digest)
            assert wrapping_keys(life.room.user_token("box")) == []
            for name in many:
                destroy_key_pair(life.room.user_token("box"), Pkcs11Uri(object=name))
            life.room.tokens.put_away("box")
            custodians.to_enter = [custodians.shares["ann"], custodians.shares["bo"]]
            restoring = await life.approved(
                RestoreKeys(tenant=None, backup=str(facts["backup"]), keys=many, token="box")
            )
            with besieged(bench.token, pin_file) as later:
                await execute(life, restoring)
        assert any(one["seen"] for one in found), "neither saw the key: nothing was tried"
        assert [one["did"] for one in found] == [{}, {}]
        # The key that unwraps is a session object of the keymaster's own: no other process ever sees it.
        assert [one["seen"] for one in later] == [0, 0]
        for name, public_key in public.items():
            assert signs(life.room.user_token("box"), name, public_key)

    bench.run(story)


@pytest.mark.parametrize("moment", ["installed", "before-trial", "handing-out"])
def test_a_keymaster_that_is_killed_leaves_no_wrapping_key_after_the_next_start(
    bench: Bench, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_officer_pin(bench)

    async def prepared(life: Life) -> str:
        await life.found()
        add_key(life, "k")
        return await life.approved(BACKUP)

    digest = bench.run(prepared)
    program = [sys.executable, "-m", "firmware_tests.keymaster.keys.dying_backup", str(bench.home.root), digest, moment]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    assert process.wait(60) == -signal.SIGKILL
    time.sleep(0.3)  # what died with it is gone

    async def next_life(life: Life) -> None:
        token = life.room.user_token("box")
        assert bool(wrapping_keys(token)) is (moment == "installed")
        await Leftovers(life.room).clear()
        assert wrapping_keys(token) == []
        async with Custodians(life.room).present() as custodians:
            life.executions.resume()
            facts = await execute(life, digest)
            assert sorted(custodians.shares) == PEOPLE
            destroy_key_pair(life.room.user_token("box"), Pkcs11Uri(object="k"))
            life.room.tokens.put_away("box")
            custodians.to_enter = [custodians.shares["ann"], custodians.shares["bo"]]
            restoring = RestoreKeys(tenant=None, backup=str(facts["backup"]), keys=["k"], token="box")
            await execute(life, await life.approved(restoring))
        life.room.user_token("box").signing_key(Pkcs11Uri(object="k"), P256).sign(b"m")

    bench.run(next_life)


def test_a_backup_that_was_finished_is_not_made_again(bench: Bench) -> None:
    """A crash after the file was written, before the journal knew: the shares that custodians have stay good."""
    with_officer_pin(bench)

    async def story(life: Life) -> None:
        await life.found()
        add_key(life, "k")
        digest = await life.approved(BACKUP)
        async with Custodians(life.room).present() as custodians:
            facts = await execute(life, digest)
            custodians.shares.clear()
            life.room.journal.connection.execute("UPDATE proposals SET state = 'executing'")
            life.room.journal.connection.execute("UPDATE steps SET state = 'begun', facts = NULL")
            life.executions.resume()
            assert await execute(life, digest) == facts
            assert custodians.shares == {}

    bench.run(story)


def test_nothing_of_a_backup_is_in_arguments_or_environments(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with_officer_pin(bench)
    seen: list[bytes] = []
    secrets: list[str] = [bench.token.so_pin, bench.token.user_pin]
    original = asyncio.create_subprocess_exec

    async def watched(*arguments: Any, **named: Any) -> asyncio.subprocess.Process:
        process = await original(*arguments, **named)
        for name in ("cmdline", "environ"):
            seen.append(Path(f"/proc/{process.pid}/{name}").read_bytes())
        return process

    monkeypatch.setattr(wrapping.asyncio, "create_subprocess_exec", watched)

    async def story(life: Life) -> None:
        await life.found()
        add_key(life, "k")
        async with Custodians(life.room).present() as custodians:
            await execute(life, await life.approved(BACKUP))
            secrets.extend(custodians.shares.values())

    bench.run(story)
    assert len(seen) == 4
    assert not any(secret.encode() in text for secret in secrets for text in seen)
    assert backups.CONFIRMED_WORDS >= 4


def test_no_custodian_is_asked_for_words_that_all_of_them_have(bench: Bench) -> None:
    with_officer_pin(bench)

    async def story(life: Life) -> None:
        await life.found()
        add_key(life, "k")
        async with Custodians(life.room).present() as custodians:
            await execute(life, await life.approved(BACKUP))
            shares = [words.split() for words in custodians.shares.values()]
            assert len({tuple(words[: backups.COMMON_WORDS]) for words in shares}) == 1
            assert len({words[backups.COMMON_WORDS] for words in shares}) == len(shares)
            assert len(custodians.read_back) == len(shares)
            assert all(number > backups.COMMON_WORDS for asked in custodians.read_back for number in asked)

    bench.run(story)
