"""A MAC key that is weaker than this box makes them is refused, or used and named in the health of whose it is."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec

from appliance.box.settings import read_settings, write_settings
from firmware_tests.api.conftest import SmallBox

_WEAKEN = """
import sys
from pathlib import Path
from hsm import LaneSettings, PinFile, Pkcs11Uri, constants as ck, open_token
from hsm.cryptoki import Mechanism
from hsm.policy import mac_key_template
token = open_token(Pkcs11Uri.parse(sys.argv[1]), PinFile(Path(sys.argv[2])), LaneSettings())
with token.session(writable=True) as (cryptoki, session):
    (old,) = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_LABEL: sys.argv[3]})
    cryptoki.destroy_object(session, old)
    template = mac_key_template(label=sys.argv[3], id=b"1", length=32)
    template |= {ck.CKA_MODIFIABLE: True, ck.CKA_COPYABLE: True}
    cryptoki.generate_key(session, Mechanism.of(ck.CKM_GENERIC_SECRET_KEY_GEN), template)
token.close()
"""


def weaken(box: SmallBox, token: str, label: str) -> None:
    entry = next(one for one in read_settings(box.home.settings).tokens if one.name == token)
    environment = {**os.environ, "SOFTHSM2_CONF": str(box.home.tokens / "softhsm2.conf")}
    command = [sys.executable, "-c", _WEAKEN, entry.uri, str(box.home.root / entry.pin_file), label]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def told(box: SmallBox, caller: str) -> list[str]:
    health = box.request("GET", "/health", caller=caller).json()
    return [one["detail"] for one in health["weaknesses"] if one["name"] == "weak-key"]


def test_it_is_named_to_whom_it_concerns(own_box: SmallBox) -> None:
    assert told(own_box, "demo-app") == []
    own_box.stop_all()
    weaken(own_box, "demo", "demo-uniqueness")
    weaken(own_box, "registry", "rehearsal-uniqueness")
    settings = read_settings(own_box.home.settings)
    tokens = [msgspec.structs.replace(one, allow_weak_keys=one.name in {"demo", "registry"}) for one in settings.tokens]
    alone = [msgspec.structs.replace(one, tenants=["demo"]) for one in settings.federations]
    write_settings(own_box.home.settings, msgspec.structs.replace(settings, tokens=tokens, federations=alone))
    own_box.start_all()
    expected = ["uniqueness of demo: copyable, modifiable", "uniqueness of @rehearsal: copyable, modifiable"]
    assert told(own_box, "demo-app") == expected
    assert told(own_box, "other-app") == []
