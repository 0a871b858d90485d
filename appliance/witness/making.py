"""Making a witness: its home with settings to fill in, a key and an empty state; or a state after one was lost."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import Final

from appliance.log.note import COSIGNATURE_V1, VerifierKey
from appliance.witness.errors import StateUnusable
from appliance.witness.keys import make_key
from appliance.witness.settings import FILE, FORMAT, WitnessSettings
from appliance.witness.state import FILE as STATE_FILE
from appliance.witness.state import KeysInUse, Store

KEY_FILE: Final = "witness.key"

_TEMPLATE: Final = """\
# A witness of transparency logs (docs/witness.md). Every log and every key here was put in by hand.
format = "{format}"

[[keys]]
name = "{name}"
file = "{key_file}"

[submission]                      # where logs ask for cosignatures
listen = "127.0.0.1:8480"

[monitoring]                      # the page, /logs.json, /health, /metrics
listen = "127.0.0.1:8481"

# [state]
# copy = "/mnt/elsewhere/witness" # a second copy on another disk or host: it tells a state that was rolled back

# [[logs]]
# origin = "log.example/bank"
# title = "Bank"
# keys = [{{ key = "log.example/bank+01234567+AAAA", first_size = 0 }}]
# url = "https://bank.example/log/log.example/bank"   # only for `cinnabar witness follow`
"""


def make_witness(home: Path, name: str) -> VerifierKey:
    """A new witness; its verifier key. Raises StateUnusable where there is one, MalformedNote for a bad name."""
    VerifierKey(name, bytes(32), COSIGNATURE_V1)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in (FILE, KEY_FILE, f"state/{STATE_FILE}"):
        if (home / file).exists():
            raise StateUnusable(f"{home / file} is there already")
    key = make_key(home / KEY_FILE)
    (home / FILE).write_text(_TEMPLATE.format(format=FORMAT, name=name, key_file=KEY_FILE))
    verifier = VerifierKey(name, key.public_key().public_bytes_raw(), COSIGNATURE_V1)
    with contextlib.closing(Store.create(home / "state", secrets.token_hex(16), after_loss=False)) as store:
        store.apply([KeysInUse((str(verifier),))])  # so `show` tells it before the first start
    return verifier


def make_state(settings: WitnessSettings, *, after_loss: bool) -> None:
    """A new state for a witness whose settings and keys stand. Raises StateUnusable where there is one."""
    store = Store.create(settings.state_directory, secrets.token_hex(16), after_loss=after_loss)
    try:
        copy = settings.copy_directory
        if copy is not None:
            make_copy(store, copy)
    finally:
        store.close()


def make_copy(store: Store, directory: Path) -> None:
    """A first copy of the state elsewhere. Raises StateUnusable where something stands there."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (directory / STATE_FILE).exists():
        raise StateUnusable(f"{directory / STATE_FILE} is there already")
    store.copy_to(directory).close()
