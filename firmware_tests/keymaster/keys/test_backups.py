"""Backing keys up and restoring them, from the ceremony to a key that signs again; and what can go wrong between."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import subprocess
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from appliance.ceremonies import DocumentRefused
from appliance.ceremonies.actions import AmendConstitution, BackUpKeys, RestoreKeys
from appliance.ceremonies.constitution import Person
from appliance.errors import CinnabarError, Conflict, NotFound
from appliance.keymaster.keys.backups import directory, find_key_backup
from appliance.keymaster.keys.shares import ShareRefused, read_share
from firmware_tests.keymaster.keys.custodians import (
    P256,
    PEOPLE,
    Custodians,
    add_key,
    execute,
    signs,
    with_officer_pin,
    with_second_token,
    wrapping_keys,
)
from firmware_tests.keymaster.room import Bench, Life
from hsm import LaneSettings, Pkcs11Uri, Standby, open_token
from hsm.keys import destroy_key_pair
from hsm.testing.softhsm import SoftHsm

BACKUP = BackUpKeys(tenant=None, keys=["k-1", "k-2"], custodians=PEOPLE, threshold=2)


async def backed_up(life: Life, custodians: Custodians, action: BackUpKeys = BACKUP) -> dict[str, object]:
    return await execute(life, await life.approved(action))


def test_a_backup_brings_keys_back_after_they_are_lost(bench: Bench) -> None:
    with_officer_pin(bench)

    async def story(life: Life) -> None:
        await life.found()
        public = {"k-1": add_key(life, "k-1"), "k-2": add_key(life, "k-2", "rsa-pkcs1-sha256")}
        token = life.room.user_token("box")
        async with Custodians(life.room).present() as custodians:
            facts = await backed_up(life, custodians)
            assert facts["threshold"] == 2
            assert [one["handed_out"] for one in facts["custodians"]] == ["console"] * 3
            assert all(key["attributes"]["wrap_with_trusted"] for key in facts["keys"])
            assert all(key["attributes"]["sensitive"] and key["attributes"]["local"] for key in facts["keys"])
            assert wrapping_keys(token) == []
            (path,) = directory(bench.home).iterdir()
            text = path.read_bytes()
            assert path.stat().st_mode & 0o777 == 0o600
            assert hashlib.sha256(text).hexdigest() == facts["backup"]
            # Nothing on disk, in the journal or in the log holds a share or a part of one.
            for words in custodians.shares.values():
                _nowhere(bench.home.root, words)
            life.room.tokens.put_away("box")
            token = life.room.user_token("box")
            for name in ("k-1", "k-2"):
                destroy_key_pair(token, Pkcs11Uri(object=name))
            life.room.tokens.put_away("box")
            custodians.to_enter = [custodians.shares["cai"], custodians.shares["ann"]]
            restoring = RestoreKeys(tenant=None, backup=facts["backup"], keys=["k-1", "k-2"], token="box")
            restored = await execute(life, await life.approved(restoring))
        assert restored["custodians"] == ["cai", "ann"]
        for key in restored["keys"]:
            shown = key["attributes"]
            assert (shown["local"], shown["always_sensitive"], shown["never_extractable"]) == (False, False, False)
            assert (shown["extractable"], shown["wrap_with_trusted"], shown["sensitive"]) == (True, True, True)
            assert shown["modifiable"] is False
        token = life.room.user_token("box")
        assert signs(token, "k-1", public["k-1"])
        assert signs(token, "k-2", public["k-2"], "rsa-pkcs1-sha256")
        rows = life.room.journal.connection.execute("SELECT state, restored FROM keys ORDER BY label").fetchall()
        assert [tuple(row) for row in rows] == [("suspended", 1), ("suspended", 1)]
        assert wrapping_keys(token) == []

    bench.run(story)


def _nowhere(root: Path, words: str) -> None:
    """No file holds three words of the share in a row."""
    typed = words.split()
    runs = [" ".join(typed[first : first + 3]).encode() for first in range(len(typed) - 2)]
    for path in root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(run in content for run in runs), path


def test_a_second_token_with_restored_keys_stands_by(bench: Bench, softhsm: SoftHsm) -> None:
    with_officer_pin(bench)
    second = with_second_token(bench, softhsm)

    async def story(life: Life) -> None:
        await life.found()
        public = add_key(life, "k-1")
        add_key(life, "k-2")
        async with Custodians(life.room).present() as custodians:
            facts = await backed_up(life, custodians)
            custodians.to_enter = [custodians.shares["bo"], custodians.shares["cai"]]
            restoring = RestoreKeys(tenant=None, backup=facts["backup"], keys=["k-1"], token="second")
            await execute(life, await life.approved(restoring))
        assert signs(life.room.user_token("second"), "k-1", public)
        rows = life.room.journal.connection.execute("SELECT token, restored FROM keys WHERE label = 'k-1'").fetchall()
        assert {tuple(row) for row in rows} == {("box", 0), ("second", 1)}
        life.room.tokens.close()
        pair = open_token(bench.token.uri, bench.token.pin, LaneSettings(), standby=Standby(second.uri, second.pin))
        try:
            key = pair.signing_key(Pkcs11Uri(object="k-1"), P256)
            key.sign(b"m")
            assert [site.connected for site in pair.health().sites] == [True, True]
            assert all(one.usable for site in pair.health().sites for one in site.keys)
        finally:
            pair.close()

    bench.run(story)


def test_wrong_shares_are_named_and_asked_for_again(bench: Bench) -> None:
    with_officer_pin(bench)

    async def story(life: Life) -> None:
        await life.found()
        public = add_key(life, "k-1")
        add_key(life, "k-2")
        async with Custodians(life.room).present() as custodians:
            await backed_up(life, custodians)
            others = dict(custodians.shares)
            facts = await backed_up(life, custodians, msgspec.structs.replace(BACKUP, custodians=["cai", "bo", "ann"]))
            destroy_key_pair(life.room.user_token("box"), Pkcs11Uri(object="k-1"))
            life.room.tokens.put_away("box")
            good = custodians.shares
            slip = good["bo"].split()
            slip[7], slip[8] = slip[8], slip[7]
            custodians.to_enter = ["hello", others["ann"], " ".join(slip), good["bo"], good["bo"], good["ann"]]
            custodians.prompts.clear()
            restoring = RestoreKeys(tenant=None, backup=facts["backup"], keys=["k-1"], token="box")
            await execute(life, await life.approved(restoring))
        told = "\n".join(custodians.prompts)
        assert "a share has 30 words" in told
        assert "this share is of set" in told
        assert "one of them is wrong" in told
        assert "bo had her turn already" in told
        assert not any(word in told.split() for word in slip if len(word) > 6)
        assert signs(life.room.user_token("box"), "k-1", public)

    bench.run(story)


def test_a_share_that_was_altered_on_purpose_is_laid_at_its_custodians_door(bench: Bench) -> None:
    with_officer_pin(bench)

    async def story(life: Life) -> None:
        await life.found()
        add_key(life, "k-1")
        add_key(life, "k-2")
        async with Custodians(life.room).present() as custodians:
            facts = await backed_up(life, custodians)
        share = read_share(custodians.shares["bo"])
        forged = dataclasses.replace(share, value=bytes([share.value[0] ^ 1]) + share.value[1:])
        backup = find_key_backup(bench.home, str(facts["backup"]))
        with pytest.raises(ShareRefused, match="not the share 2 that bo was given"):
            backup.custodian_of(read_share(forged.words()))

    bench.run(story)


def test_a_custodian_who_did_not_write_her_share_down_stops_the_backup(bench: Bench) -> None:
    with_officer_pin(bench)

    async def story(life: Life) -> None:
        await life.found()
        add_key(life, "k-1")
        add_key(life, "k-2")
        async with Custodians(life.room).present() as custodians:
            custodians.answer = lambda prompt: "zoo zoo zoo zoo" if "words" in prompt else None
            row = await life.executions.execute(await life.approved(BACKUP), 60.0)
        assert row.state == "failed"
        assert "share-refused" in str(row.error)
        assert not directory(bench.home).exists() or not list(directory(bench.home).iterdir())
        assert wrapping_keys(life.room.user_token("box")) == []

    bench.run(story)


def test_shares_for_cards_are_opened_by_the_card_alone(bench: Bench, tmp_path: Path) -> None:
    with_officer_pin(bench)
    keys = {name: rsa.generate_private_key(65537, 2048) for name in PEOPLE}

    async def story(life: Life) -> None:
        document = await life.found()
        following = msgspec.structs.replace(
            document,
            version=2,
            previous=document.digest,
            persons=[_with_card(person, keys) for person in document.persons],
        )
        digest = await life.submit(AmendConstitution(constitution=following))
        await life.say(digest, "request ann", "approve bo", "approve cai", *(f"accept {name}" for name in PEOPLE))
        await life.executions.execute(digest, 60.0)
        add_key(life, "k-1")
        add_key(life, "k-2")
        async with Custodians(life.room).present() as custodians:
            facts = await backed_up(life, custodians)
            assert custodians.shares == {}
            assert [one["handed_out"] for one in facts["custodians"]] == ["card"] * 3
            backup = find_key_backup(bench.home, str(facts["backup"]))
            for custodian in backup.custodians[:2]:
                custodians.to_enter.append(_opened(tmp_path, custodian.envelope, keys[custodian.person]))
            destroy_key_pair(life.room.user_token("box"), Pkcs11Uri(object="k-2"))
            life.room.tokens.put_away("box")
            restoring = RestoreKeys(tenant=None, backup=str(facts["backup"]), keys=["k-2"], token="box")
            await execute(life, await life.approved(restoring))

    bench.run(story)


def _with_card(person: Person, keys: dict[str, rsa.RSAPrivateKey]) -> Person:
    if person.id not in keys:
        return person
    spki = (
        keys[person.id]
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return msgspec.structs.replace(person, card_decryption=base64.b64encode(spki).decode())


def _opened(directory_: Path, envelope: str, key: rsa.RSAPrivateKey) -> str:
    (directory_ / "share.p7m").write_bytes(base64.b64decode(envelope))
    (directory_ / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", "share.p7m", "-inkey", "key.pem"]
    return subprocess.run(command, cwd=directory_, check=True, capture_output=True).stdout.decode()


def test_what_cannot_be_backed_up_or_restored_is_refused_when_it_is_proposed(bench: Bench, softhsm: SoftHsm) -> None:
    with_officer_pin(bench)

    async def story(life: Life) -> None:
        await life.found()
        add_key(life, "k-1")
        add_key(life, "k-2", for_backup=False)
        add_key(life, "log", "ed25519", for_backup=False)
        life.room.journal.connection.execute("UPDATE keys SET for_backup = 1 WHERE label = 'log'")
        one = BackUpKeys(tenant=None, keys=["k-1"], custodians=PEOPLE, threshold=2)
        replace = msgspec.structs.replace
        for action, error in (
            (BACKUP, Conflict),
            (replace(one, keys=["log"]), Conflict),
            (replace(one, keys=["missing"]), NotFound),
            (replace(one, keys=[]), DocumentRefused),
            (replace(one, keys=["k-1", "k-1"]), DocumentRefused),
            (replace(one, custodians=["ann", "ann", "bo"]), DocumentRefused),
            (replace(one, custodians=["ann", "eve"]), DocumentRefused),
            (replace(one, threshold=4), DocumentRefused),
            (RestoreKeys(tenant=None, backup="0" * 64, keys=["k-1"], token="box"), NotFound),
        ):
            with pytest.raises(error):
                await life.submit(action)
        async with Custodians(life.room).present() as custodians:
            facts = await backed_up(life, custodians, one)
        good = RestoreKeys(tenant=None, backup=str(facts["backup"]), keys=["k-1"], token="box")
        for action in (
            replace(good, keys=["k-2"]),
            replace(good, keys=[]),
            replace(good, token="missing"),
            replace(good, tenant="acme"),
        ):
            with pytest.raises(CinnabarError):
                await life.submit(action)
        (path,) = directory(bench.home).iterdir()
        text = path.read_bytes()
        for damaged in (text[:-1], text + b" ", text.replace(b'"threshold":2', b'"threshold":3')):
            path.write_bytes(damaged)
            with pytest.raises(NotFound):
                await life.submit(good)
        foreign = json.loads(text) | {"rehearsal": not bench.settings.rehearsal}
        changed = json.dumps(foreign, separators=(",", ":"), sort_keys=True).encode()
        path.write_bytes(changed)
        with pytest.raises(Conflict, match="rehearsal"):
            await life.submit(replace(good, backup=hashlib.sha256(changed).hexdigest()))

    bench.run(story)


def test_the_officers_pin_is_asked_on_the_console_where_it_is_not_kept(bench: Bench) -> None:
    async def story(life: Life) -> None:
        await life.found()
        add_key(life, "k-1")
        add_key(life, "k-2")
        async with Custodians(life.room).present() as custodians:
            custodians.answer = lambda prompt: bench.token.so_pin if "security officer" in prompt else None
            await backed_up(life, custodians)
        assert any("security officer" in prompt for prompt in custodians.prompts)
        _nowhere_text(bench.home.root, bench.token.so_pin)

    bench.run(story)


def _nowhere_text(root: Path, secret: str) -> None:
    for path in root.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
