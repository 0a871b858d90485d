"""A log key of the ledger in the settings and in the trust bundle."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

import hsm
from appliance.box.settings import LogKeySettings
from appliance.errors import Conflict
from appliance.keymaster.keys.ledger import LedgerKey
from appliance.log import VerifierKey


def is_entry_of(entry: LogKeySettings, key: LedgerKey) -> bool:
    """Whether an entry of a log's settings names the key, by id or by label."""
    uri = hsm.Pkcs11Uri.parse(entry.key_uri)
    return entry.token == key.token and ((uri.id is not None and uri.id == key.cka_id) or uri.object == key.label)


def verifier_named(key: LedgerKey, origin: str) -> VerifierKey:
    """The key as whoever verifies a log of this origin knows it. Raises Conflict for one that is not Ed25519."""
    public = load_der_public_key(key.public_key)
    if not isinstance(public, Ed25519PublicKey):
        raise Conflict("a log key is Ed25519")
    return VerifierKey(origin, public.public_bytes_raw())
