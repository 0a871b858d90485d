"""Rehearsals: the same script on throwaway tokens, and a live token that notices nothing."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from appliance.ceremonies import DocumentRefused, Proposal, encode
from appliance.ceremonies.actions import (
    ActivateKey,
    BackUpKeys,
    DestroyKey,
    GenerateKey,
    RequestCertificate,
    ResumeKey,
)
from appliance.keymaster.actions.rehearsals import rehearse
from appliance.keymaster.registry import questions
from firmware_tests.keymaster.keys.custodians import PEOPLE, add_key
from firmware_tests.keymaster.room import Bench, Life
from hsm.inventory import list_objects


def generate(key: str, scheme: str = "ecdsa-p384-sha384", *, for_backup: bool = True) -> GenerateKey:
    return GenerateKey(
        tenant=None,
        token="box",
        key=key,
        scheme=scheme,
        purpose="authority",
        for_backup=for_backup,
        until="2036-01-01T00:00:00Z",
    )


def everything(life: Life) -> tuple[object, ...]:
    """What a side effect would show in: the journal, the token, the box's log, and the files of the home."""
    home = life.room.home.root
    shifting = {home / "run", home / "counters", home / "records", home / "logs"}
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*")
        if path.is_file() and not shifting & set(path.parents) and not path.name.startswith("keymaster.sqlite")
    }
    objects = {one.fingerprint for one in list_objects(life.room.user_token("box"))}
    return tuple(life.room.journal.connection.iterdump()), objects, len(life.leaves("@box")), files


def test_a_script_is_rehearsed_on_throwaway_tokens(bench: Bench) -> None:
    async def story(life: Life) -> None:
        law = await life.found()
        assert law is not None
        public = add_key(life, "old")
        before = {one.fingerprint for one in list_objects(life.room.user_token("box"))}
        draft = await life.draft(generate("new"))
        script = [
            generate("new"),
            RequestCertificate(tenant=None, key="new", common_name="x", organisation="y", country="CN"),
            BackUpKeys(tenant=None, keys=["old"], custodians=PEOPLE, threshold=2),
        ]
        proposal = msgspec.structs.replace(draft, actions=script)
        transcript = await rehearse(life.room, proposal)
        assert [(step.action, step.outcome) for step in transcript] == [
            ("generate-key", "done"),
            ("request-certificate", "done"),
            ("back-up-keys", "done"),
        ], transcript
        made = transcript[0]
        assert "CKA_WRAP_WITH_TRUSTED" in made.facts["attributes"]["true"]
        assert "CKA_MODIFIABLE" in made.facts["attributes"]["false"]
        assert any("public key" in text for text in made.differs)
        assert {one.fingerprint for one in list_objects(life.room.user_token("box"))} == before
        assert public
        kept = everything(life)
        answers = await questions()["rehearse"](life.room, encode(proposal))
        assert [one["outcome"] for one in answers] == ["done"] * 3
        # What a token does not mind the box does: a request is not made over an authority's key.
        assert [bool(one["refused"]) for one in answers] == [False, True, False]
        refused = msgspec.structs.replace(proposal, actions=[generate("old"), ResumeKey(tenant=None, key="nobodys")])
        told = await questions()["rehearse"](life.room, encode(refused))
        assert all(one["refused"] for one in told), told
        foreign = msgspec.structs.replace(proposal, requester="eve")
        with pytest.raises(DocumentRefused, match="no officer"):
            await questions()["rehearse"](life.room, encode(foreign))
        assert everything(life) == kept

    bench.run(story)


def test_a_rehearsal_shows_where_the_ceremony_would_fail(bench: Bench) -> None:
    async def story(life: Life) -> None:
        await life.found()
        good = await life.draft(generate("new"))

        def script(*actions: object) -> Proposal:
            return msgspec.structs.replace(good, actions=list(actions))

        wrong = script(
            generate("log", "ed25519"),
            BackUpKeys(tenant=None, keys=["log"], custodians=PEOPLE, threshold=2),
            DestroyKey(tenant=None, key="log", public_key="0" * 64),
        )
        transcript = await rehearse(life.room, wrong)
        assert [step.outcome for step in transcript] == ["done", "failed"]
        assert transcript[1].error
        missing = await rehearse(life.room, script(DestroyKey(tenant=None, key="nobodys", public_key="0" * 64)))
        assert [step.outcome for step in missing] == ["failed"]
        outside = await rehearse(life.room, script(ResumeKey(tenant=None, key="x"), ActivateKey(tenant=None, key="x")))
        assert [step.outcome for step in outside] == ["not-in-a-token"] * 2

    bench.run(story)
