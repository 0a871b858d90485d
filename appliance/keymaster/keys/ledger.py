"""The ledger of keys: what each key is for, whose it is, how it stands, and every object that may be in a token.

In the journal's database; SQL and structures only. Rules stand in appliance.keymaster.keys.states (a key's life) and
appliance.keymaster.keys.comparison (what a token may hold).
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import msgspec

from appliance.errors import NotFound
from appliance.keymaster.journal import Journal
from appliance.keymaster.keys.states import Change, KeyState, after
from hsm.inventory import TokenObject

FOUNDING = "founding"
"""Origin of what was there when the ledger of a token was begun."""


class Activation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a key came into use, for coming back as it was."""

    policies: list[str] = []
    public: bool = False
    role: str = ""
    """Of an authority: tsa, seal or tls."""
    entry: dict[str, Any] = {}
    """Its entry of the settings."""


class LedgerKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as the ledger has it."""

    number: int
    token: str
    cka_id: bytes
    label: str
    """Its name, and CKA_LABEL."""
    purpose: str
    scheme: str
    tenant: str | None
    """None: the box's own."""
    public_key: bytes
    """SubjectPublicKeyInfo, DER."""
    state: KeyState
    proposal: str | None
    step: int | None
    made: int
    """Microseconds since the epoch, as every time here."""
    until: int | None
    signature_limit: int | None
    applications: list[str]
    for_backup: bool
    restored: bool
    certificates: list[bytes]
    """DER; its own first."""
    compromised: int | None
    because: str | None
    activation: Activation
    ends: int | None
    """When a rotation takes it out of use."""
    changed: int | None
    """When it came into its state; None: before that was kept."""

    @property
    def uri(self) -> str:
        """RFC 7512 path attributes of the key: by id, which names exactly one."""
        return f"pkcs11:id={''.join(f'%{byte:02X}' for byte in self.cka_id)}"


_COLUMNS = (
    "number, token, cka_id, label, purpose, scheme, tenant, public_key, state, proposal, step, made, until, "
    "signature_limit, applications, for_backup, restored, certificates, compromised, because, activation, ends, "
    "changed"
)


class KeyLedger:
    """The ledger of one box."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    # Keys

    def add_key(
        self,
        *,
        token: str,
        cka_id: bytes,
        label: str,
        purpose: str,
        scheme: str,
        tenant: str | None,
        public_key: bytes,
        made: int,
        proposal: str | None = None,
        step: int | None = None,
        until: int | None = None,
        signature_limit: int | None = None,
        applications: list[str] | None = None,
        for_backup: bool = False,
        state: KeyState = "pre-active",
        certificates: list[bytes] | None = None,
        activation: Activation | None = None,
    ) -> None:
        """Raises sqlite3.IntegrityError where the token has a key of that id in the ledger."""
        with self._journal.transaction() as connection:
            connection.execute(
                """INSERT INTO keys (token, cka_id, label, purpose, scheme, tenant, public_key, state, proposal, step,
                   made, until, signature_limit, applications, for_backup, certificates, activation)
                   VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)""",
                (
                    *(token, cka_id, label, purpose, scheme, tenant, public_key, state, proposal, step, made, until),
                    *(signature_limit, msgspec.json.encode(applications or []), int(for_backup)),
                    *(_pack(certificates or []), msgspec.json.encode(activation or Activation())),
                ),
            )

    def keys(self, tenant: str | None = None, *, every: bool = False) -> list[LedgerKey]:
        """The keys of a tenant, or of the box itself (None), or of all; the oldest first."""
        where, values = ("", ()) if every else ("WHERE tenant IS ?", (tenant,))
        rows = self._journal.connection.execute(
            f"SELECT {_COLUMNS} FROM keys {where} ORDER BY number",  # noqa: S608 - a constant
            values,
        )
        return [_key(row) for row in rows]

    def find(self, tenant: str | None, name: str) -> LedgerKey | None:
        """A key by its owner and name; one that is destroyed only where there is no other."""
        found = [key for key in self.keys(tenant) if key.label == name]
        found.sort(key=lambda key: key.state == "destroyed")
        return found[0] if found else None

    def key(self, tenant: str | None, name: str) -> LedgerKey:
        """Another tenant's and one that nobody has are refused alike (CHANNEL). Raises NotFound."""
        found = self.find(tenant, name)
        if found is None:
            raise NotFound("there is no such key")
        return found

    def by_id(self, token: str, cka_id: bytes) -> LedgerKey | None:
        return next((key for key in self.keys(every=True) if (key.token, key.cka_id) == (token, cka_id)), None)

    def copies(self, key: LedgerKey) -> list[LedgerKey]:
        """The key wherever it stands: in its token, and in those that it was restored into; none that is destroyed."""
        same = (key.cka_id, key.public_key)
        return [
            one for one in self.keys(key.tenant) if (one.cka_id, one.public_key) == same and one.state != "destroyed"
        ]

    def is_taken(self, name: str) -> bool:
        """Whether a key that is not destroyed, of whomever, has the name."""
        return any(key.label == name and key.state != "destroyed" for key in self.keys(every=True))

    def compromised_certificates(self) -> dict[bytes, int]:
        """SHA-256 of each certificate of a compromised key, and since when it is."""
        return {
            hashlib.sha256(key.certificates[0]).digest(): key.compromised
            for key in self.keys(every=True)
            if key.compromised is not None and key.certificates
        }

    def change(self, key: LedgerKey, change: Change) -> KeyState:
        """Lead a key on; its state then. Raises KeyStateRefused."""
        following = after(key.state, change)
        self.set_state(key, following)
        return following

    def set_state(self, key: LedgerKey, state: KeyState) -> None:
        """Of the key in every token; that one is destroyed is told of each token by itself."""
        if state == "destroyed":
            with self._journal.transaction() as connection:
                connection.execute("UPDATE keys SET state = 'destroyed' WHERE number = ?", (key.number,))
            return
        changed = "state = ?, changed = CASE WHEN state = ? THEN changed ELSE ? END"
        self._set(key, changed, state, state, time.time_ns() // 1000)

    def set_certificates(self, key: LedgerKey, chain: list[bytes]) -> None:
        self._set(key, "certificates = ?", _pack(chain))

    def set_activation(self, key: LedgerKey, activation: Activation) -> None:
        self._set(key, "activation = ?", msgspec.json.encode(activation))

    def set_ends(self, key: LedgerKey, ends: int | None) -> None:
        self._set(key, "ends = ?", ends)

    def set_compromised(self, key: LedgerKey, since: int, because: str) -> None:
        self._set(key, "compromised = ?, because = ?", since, because)

    def _set(self, key: LedgerKey, assignments: str, *values: object) -> None:
        """What is decided of a key holds for its copies in other tokens as well."""
        numbers = {key.number} | {one.number for one in self.copies(key)}
        with self._journal.transaction() as connection:
            connection.executemany(
                f"UPDATE keys SET {assignments} WHERE number = ?",  # noqa: S608 - a constant
                [(*values, number) for number in sorted(numbers)],
            )

    # Objects of tokens

    def tokens(self) -> dict[str, bytes | None]:
        """Tokens whose ledger was begun, and what was found in each that nobody explains (JSON), None where nothing."""
        return dict(self._journal.connection.execute("SELECT token, unexplained FROM ledger"))

    def found(self, token: str) -> int | None:
        """When what nobody explains was first found in a token; None where nothing is."""
        row = self._journal.connection.execute(
            "SELECT found FROM ledger WHERE token = ? AND unexplained IS NOT NULL", (token,)
        ).fetchone()
        return None if row is None else int(row[0] or 0)

    def origin(self, token: str) -> str | None:
        """What began a token's ledger: FOUNDING, or a proposal's digest; None where nothing has."""
        row = self._journal.connection.execute("SELECT origin FROM ledger WHERE token = ?", (token,)).fetchone()
        return None if row is None else str(row[0])

    def begin(self, token: str, objects: list[TokenObject], now_us: int, *, origin: str, step: int | None) -> None:
        """Begin a token's ledger with what is in it; nothing happens where it was begun."""
        with self._journal.transaction() as connection:
            if token in self.tokens():
                return
            connection.execute("INSERT INTO ledger (token, taken, origin) VALUES (?,?,?)", (token, now_us, origin))
            self.take(token, objects, now_us, origin=origin, step=step)

    def take(self, token: str, objects: list[TokenObject], now_us: int, *, origin: str, step: int | None) -> None:
        """Objects that are explained from now on."""
        with self._journal.transaction() as connection:
            connection.executemany(
                "INSERT INTO objects VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING",
                [
                    (token, one.fingerprint, msgspec.json.encode(one.described()), origin, step, now_us)
                    for one in objects
                ],
            )

    def drop(self, token: str, fingerprints: list[bytes]) -> None:
        """Objects that are no longer there, by a ceremony."""
        with self._journal.transaction() as connection:
            connection.executemany(
                "DELETE FROM objects WHERE token = ? AND fingerprint = ?", [(token, one) for one in fingerprints]
            )

    def objects(self, token: str) -> dict[bytes, dict[str, Any]]:
        """What is explained to be in a token: fingerprint to description."""
        rows = self._journal.connection.execute("SELECT fingerprint, described FROM objects WHERE token = ?", (token,))
        return {fingerprint: msgspec.json.decode(described) for fingerprint, described in rows}

    def compared(self, token: str, unexplained: bytes | None, now_us: int) -> None:
        """Note the outcome of a comparison. What was found stays noted until `settled`."""
        with self._journal.transaction() as connection:
            connection.execute(
                """UPDATE ledger SET compared = ?1, found = CASE WHEN ?2 IS NOT NULL AND unexplained IS NULL THEN ?1
                   ELSE found END, unexplained = coalesce(unexplained, ?2) WHERE token = ?3""",
                (now_us, unexplained, token),
            )

    def settled(self, token: str) -> None:
        """A ceremony has decided on what was found."""
        with self._journal.transaction() as connection:
            connection.execute("UPDATE ledger SET unexplained = NULL, found = NULL WHERE token = ?", (token,))

    # What executors are about to make

    def expect(self, token: str, label: str, proposal: str, step: int) -> None:
        """An object of this label is about to be made by a step; explained while its ceremony runs."""
        with self._journal.transaction() as connection:
            connection.execute(
                "INSERT INTO expected VALUES (?,?,?,?) ON CONFLICT DO NOTHING", (token, label, proposal, step)
            )

    def expected(self, token: str) -> list[tuple[str, str, int]]:
        """(label, proposal, step)."""
        return list(
            self._journal.connection.execute("SELECT label, proposal, step FROM expected WHERE token = ?", (token,))
        )


def _pack(chain: list[bytes]) -> bytes:
    return msgspec.json.encode(chain)


def _key(row: tuple[Any, ...]) -> LedgerKey:
    members = dict(zip(LedgerKey.__struct_fields__, row, strict=True))
    members["applications"] = msgspec.json.decode(members["applications"], type=list[str])
    members["certificates"] = msgspec.json.decode(members["certificates"], type=list[bytes])
    activation = members["activation"]
    members["activation"] = Activation() if activation is None else msgspec.json.decode(activation, type=Activation)
    members["for_backup"], members["restored"] = bool(members["for_backup"]), bool(members["restored"])
    return LedgerKey(**members)
