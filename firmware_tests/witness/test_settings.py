"""witness.toml: every fault is told at once; what docs/witness.md shows is read as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from appliance.witness.errors import SettingsFaults
from appliance.witness.keys import make_key, open_keys, read_key
from appliance.witness.settings import read_witness_settings
from firmware_tests.docs.pages import ROOT
from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.running import RunningWitness, log_table


def faults(home: Path, text: str) -> list[str]:
    (home / "witness.toml").write_text(text)
    with pytest.raises(SettingsFaults) as refused:
        read_witness_settings(home)
    return refused.value.faults


def test_the_page_s_settings_are_settings(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "witness.md").read_text()
    shown = re.search(r"<!-- check: settings -->\n```toml\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    (tmp_path / "witness.toml").write_text(shown[1])
    settings = read_witness_settings(tmp_path)
    assert [key.name for key in settings.keys] == ["supervisor.example/w1", "supervisor.example/w2"]
    (log,) = settings.logs
    first, second = log.known.keys
    assert (first.signs(5000), first.signs(5001), second.signs(3999), second.signs(4000)) == (True, False, False, True)
    assert log.settings.url is not None
    assert settings.copy_directory == Path("/mnt/elsewhere/witness")


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    log = TestLog("log.example/a").grow(1)
    cosigner = str(log.verifier)[:-4] + "AAAA"
    told = faults(
        tmp_path,
        f"""
format = "cinnabar-witness/2"
colour = "red"
[[keys]]
name = "a b"
file = "k"
uri = "pkcs11:token=x"
[submission]
listen = "nowhere"
certificate = "c"
[state]
copies = 2
[[logs]]
origin = ""
[[logs]]
origin = "log.example/a"
silent_after_s = "long"
keys = []
[[logs]]
origin = "log.example/b"
keys = [{{ key = "{cosigner}" }}, {{ first_size = -1 }}, {{ key = "{log.verifier}", first_size = 5, last_size = 4 }}]
""",
    )
    places = [fault.partition(":")[0] for fault in told]
    assert places == [
        "colour", "format", "keys[0]", "keys[0]", "keys[0].name", "submission.listen", "state.copies",
        "logs[0].origin", "logs[0].keys", "logs[1].keys", "logs[1].silent_after_s",
        "logs[2].keys[0].key", "logs[2].keys[1].key", "logs[2].keys[1].first_size", "logs[2].keys[2]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "format = 1", "[[keys]]\n[[keys]]", "keys = 3", "\xff", "a = [" * 2_000, 'logs = ["x"]']
)
def test_what_is_no_settings_at_all(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text)


def test_twice_the_same(tmp_path: Path) -> None:
    log = TestLog("log.example/a").grow(1)
    base = 'format = "cinnabar-witness/1"\n[submission]\nlisten = "127.0.0.1:0"\n'
    key = '[[keys]]\nname = "w"\nfile = "k"\n'
    told = faults(tmp_path, base + key + key + log_table(log) + log_table(log))
    assert told == ["logs: log.example/a: it stands there twice", "keys: w: it stands there twice"]
    assert faults(tmp_path, base) == ["keys: a witness has a key"]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsFaults, match="No such file"):
        read_witness_settings(tmp_path)


def test_a_key_that_others_can_read_is_not_used(witness: RunningWitness, log: TestLog) -> None:
    witness.configure([log_table(log)])
    key = witness.home / "witness.key"
    for spoil in (lambda: key.chmod(0o640), lambda: (key.chmod(0o600), key.write_text("no key")), key.unlink):
        spoil()
        ran = witness.command("run")
        assert ran.returncode == 2
        assert "witness.key" in ran.stderr
        assert "PRIVATE" not in ran.stderr + ran.stdout


def test_all_keys_that_do_not_open_are_named(witness: RunningWitness) -> None:
    witness.configure([], '[[keys]]\nname = "w2"\nfile = "two"\n[[keys]]\nname = "w3"\nfile = "three"\n')
    ran = witness.command("run")
    assert [line.partition(": ")[0].rpartition("/")[2] for line in ran.stderr.splitlines()] == ["two", "three"]


def test_a_key_of_another_kind(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    file = tmp_path / "key"
    file.touch(0o600)
    encoded = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(encoded)
    with pytest.raises(SettingsFaults, match="no Ed25519 key"):
        read_key(file)
    link = tmp_path / "link"
    link.symlink_to(file)
    with pytest.raises(SettingsFaults):
        read_key(link)


def test_a_new_witness_tells_its_key_before_it_ever_ran(tmp_path: Path) -> None:
    """Whoever asks it for cosignatures needs the key first."""
    made = RunningWitness(tmp_path / "new")
    shown = made.command("show")
    assert shown.returncode == 0
    key, *rest = shown.stdout.splitlines()
    assert key == f"key  {made.verifier}"
    assert rest == ["No log is in witness.toml yet: none is cosigned."]
    assert json.loads(made.command("show", "--json").stdout)["keys"] == [str(made.verifier)]


def test_init_overwrites_nothing(witness: RunningWitness) -> None:
    before = (witness.home / "witness.key").read_bytes()
    again = witness.command("init", "--name", "w2")
    assert again.returncode == 2
    (witness.home / "witness.toml").unlink()
    again = witness.command("init", "--name", "w2")
    assert again.returncode == 2
    assert "there already" in again.stderr
    assert (witness.home / "witness.key").read_bytes() == before


def test_a_new_key_beside_the_old_one(witness: RunningWitness, log: TestLog) -> None:
    """All keys cosign: whoever trusts the new one and whoever trusts the old one are both served."""
    make_key(witness.home / "second.key")
    witness.configure([log_table(log)], '[[keys]]\nname = "witness.example/w2"\nfile = "second.key"\n')
    from appliance.log import parse_note, verified_by

    keys = open_keys(read_witness_settings(witness.home)).verifiers
    witness.start()
    note = parse_note(log.note() + witness.add(log.request(0)).content)
    assert verified_by(note, keys) == list(keys)
    assert len(keys) == 2
