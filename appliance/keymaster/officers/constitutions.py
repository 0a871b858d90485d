"""The constitution in force: the chain in the journal, held to what the box's token pins (control QUORUM).

A version takes effect when its digest stands in the token, as a data object that nobody can change or, where the token
can prevent it, destroy. Order: journal, pin, file; a version that is in the journal and not pinned never took effect.
A chain that is shorter than the pins, or another one, is refused: the keymaster then executes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import structlog

import hsm
from appliance.ceremonies import Constitution, DocumentRefused, QuorumMissing, SuccessionRefused, decode, encode
from appliance.ceremonies.chain import VERSION_BYTES, ConstitutionVersion, check_chain
from appliance.errors import NotFound
from appliance.files import write_file
from appliance.keymaster.errors import ConstitutionRefused, NoConstitution
from appliance.keymaster.journal import Journal
from hsm.data_objects import DataObject, create_data_object, read_data_objects

APPLICATION = "cinnabar"
_LABEL = re.compile(r"cinnabar-constitution-([1-9][0-9]{0,15})\Z")

log = structlog.get_logger("keymaster")


class Constitutions:
    """The chain of one box. `token` opens the box's token; calls into it run in a thread."""

    def __init__(
        self, journal: Journal, directory: Path, box: str, rehearsal: bool, token: Callable[[], hsm.Token]
    ) -> None:
        self._journal = journal
        self._directory = directory
        self._box = box
        self._rehearsal = rehearsal
        self._token = token
        self._chain: list[ConstitutionVersion] = []
        self._digests: list[str] = []
        self._adopting = asyncio.Lock()
        """Held while a version takes effect: two pins of one version would be refused for ever."""
        self.refusal: str | None = "the token has not been read yet"
        """Why the chain is refused; None while it holds."""

    async def load(self) -> None:
        """Read the pins and hold the journal's chain to them; `refusal` says what was found."""
        try:
            pins = await asyncio.to_thread(lambda: read_data_objects(self._token(), APPLICATION))
            self._chain = self._held(_pinned(pins))
            self._digests = [version.constitution.digest for version in self._chain]
        except (ConstitutionRefused, hsm.HsmError) as error:
            self._chain, self._digests = [], []
            if self.refusal != str(error):
                log.error("constitution-refused", control="QUORUM", detail=str(error))
            self.refusal = str(error)
            return
        self.refusal = None
        self._write_files()

    def _held(self, pins: dict[int, str]) -> list[ConstitutionVersion]:
        """The chain as far as it is pinned. Raises ConstitutionRefused."""
        rows = self._journal.constitutions()
        newest = max(pins, default=0)
        if newest == 0:
            if len(rows) > 1:
                raise ConstitutionRefused("the token pins no constitution, and the journal has a chain of them")
            return []
        if 1 not in pins:
            raise ConstitutionRefused("the token does not pin the founding")
        for row in rows[newest:]:
            self._journal.drop_constitution(row.version)  # never pinned: it never took effect
        rows = rows[:newest]
        if [row.version for row in rows] != list(range(1, newest + 1)):
            raise ConstitutionRefused(f"the token pins version {newest}, the journal has {len(rows)}")
        try:
            chain = [decode(row.text, ConstitutionVersion, limit=VERSION_BYTES) for row in rows]
            check_chain(chain)
        except (DocumentRefused, SuccessionRefused, QuorumMissing) as error:
            raise ConstitutionRefused(f"the journal's chain does not hold: {error}") from error
        for version, digest in pins.items():
            if chain[version - 1].constitution.digest != digest:
                raise ConstitutionRefused(f"version {version} is not the one that the token pins")
        document = chain[-1].constitution
        if (document.box, document.rehearsal) != (self._box, self._rehearsal):
            raise ConstitutionRefused("the constitution is another box's")
        return chain

    @property
    def founded(self) -> bool:
        return bool(self._chain)

    @property
    def governed(self) -> bool:
        """Whether officers decide, or whether it cannot be told."""
        return self.founded or self.refusal is not None

    @property
    def genesis(self) -> str | None:
        """Digest of the first version; None before the founding, or while the chain is refused."""
        return self._digests[0] if self._digests else None

    def in_force(self) -> Constitution:
        """Raises ConstitutionRefused, NoConstitution."""
        if self.refusal is not None:
            raise ConstitutionRefused(self.refusal)
        if not self._chain:
            raise NoConstitution("the box has no constitution yet")
        return self._chain[-1].constitution

    @property
    def first(self) -> str:
        """Digest of the founding. Raises NoConstitution."""
        if not self._digests:
            raise NoConstitution("the box has no constitution yet")
        return self._digests[0]

    def knows(self, digest: str) -> bool:
        """Whether a version of that digest is or was in force."""
        return digest in self._digests

    def version(self, number: int) -> bytes:
        """One version with what made it, canonical. Raises NotFound."""
        if not 0 < number <= len(self._chain):
            raise NotFound("there is no such version")
        return encode(self._chain[number - 1])

    @property
    def versions(self) -> list[ConstitutionVersion]:
        """Every version with what made it."""
        return list(self._chain)

    def under(self, digest: str) -> Constitution:
        """The version of that digest, else the one in force. Raises ConstitutionRefused, NoConstitution."""
        law = self.in_force()
        return self._chain[self._digests.index(digest)].constitution if self.knows(digest) else law

    async def adopt(self, version: ConstitutionVersion, now_us: int) -> None:
        """Let a version take effect; again after a crash, until it has. Raises what `check_chain` does,
        ConstitutionRefused, HsmError."""
        async with self._adopting:
            await self._adopt(version, now_us)

    async def _adopt(self, version: ConstitutionVersion, now_us: int) -> None:
        number, digest = version.constitution.version, version.constitution.digest
        if self.knows(digest):
            return
        if self.refusal is not None:
            raise ConstitutionRefused(self.refusal)
        check_chain([*self._chain, version])
        # What could not be read again would be pinned for ever, and the box refused at its next start.
        if decode(encode(version), ConstitutionVersion, limit=VERSION_BYTES) != version:
            raise DocumentRefused("the version would not be read as it is written")
        # A journal entry that was never pinned never took effect, so another one may stand in its place.
        with self._journal.transaction():
            self._journal.drop_constitution(number)
            self._journal.add_constitution(number, digest, encode(version), now_us)
        label = f"cinnabar-constitution-{number}"
        await asyncio.to_thread(
            lambda: create_data_object(self._token(), label, bytes.fromhex(digest), application=APPLICATION)
        )
        self._chain.append(version)
        self._digests.append(digest)
        self._write_files()
        log.info("constitution-adopted", version=number, digest=digest)

    def _write_files(self) -> None:
        """The chain as files, for whoever checks it elsewhere. They are a copy: nothing here reads them."""
        if not self._chain:
            return
        self._directory.mkdir(mode=0o755, exist_ok=True)
        self._directory.chmod(0o755)
        for number, version in enumerate(self._chain, 1):
            path, text = self._directory / f"{number}.json", encode(version)
            try:
                same = hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(text).digest()
            except FileNotFoundError:
                same = False
            if not same:
                write_file(path, text)


def _pinned(objects: list[DataObject]) -> dict[int, str]:
    """Version to digest, hexadecimal. Raises ConstitutionRefused."""
    pins: dict[int, str] = {}
    for one in objects:
        match = _LABEL.match(one.label)
        if match is None:
            continue
        version = int(match[1])
        if version in pins or len(one.value) != 32:
            raise ConstitutionRefused(f"the token pins version {version} more than once, or not by a digest")
        pins[version] = one.value.hex()
    return pins
