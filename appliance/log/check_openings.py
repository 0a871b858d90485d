"""Checking the openings of box leaves: every salt, path and statement, each tenant's chain, and that none is missing.

An opening is a tenant's only way to show its commitment under the box's log, and its salt stands nowhere else: it
cannot be derived again. One changed bit is found, a line that has gone too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from appliance.log.box_leaf import BoxStatement, TenantStatement, no_commitment, verify_opening
from appliance.log.derive import Finding
from appliance.log.errors import LogDamaged, MalformedProof, ProofInvalid
from appliance.log.openings import LEAVES_A_FILE, Line, Openings, read_whole
from appliance.log.reader import TileReader, log_directory, read_tile
from appliance.log.tiles import WIDTH, Tile, decode_bundle, tile_width
from appliance.recorder.messages import BOX_LOG
from appliance.tree_hash import SHA256, TreeHash, hash_of


def check_openings(
    directory: Path,
    size: int,
    tenants: Mapping[str, str],
    recorded: Callable[[int], bytes | None],
    hashing: TreeHash = SHA256,
) -> list[Finding]:
    """Check the openings below the directory of the box's log, whose published head has `size` entries.

    `tenants`: the origin of each tenant's log, by the tenant's name. `recorded`: an entry of the box's log beyond that
    head; empty where there is none, None where the records cannot be read. `hashing`: that of the
    box's log. Works beside a running follower.
    """
    openings = Openings(directory)
    entries = _Entries(directory, size, recorded, hashing)
    chains = {name: _Chain(openings, name, tenants.get(name), entries) for name in openings.names()}
    findings = [finding for chain in chains.values() for finding in chain.check()]
    newest = max((chain.last for chain in chains.values()), default=-1)
    box = chains.get(BOX_LOG)
    for name in (*tenants, BOX_LOG):  # a tenant that has left the box keeps its old openings
        due = newest if box is None or name == BOX_LOG else box.due(name, newest)
        found = chains.get(name)
        if found is None:
            if due >= 0 and not openings.settling:
                findings.append(Finding(str(openings.directory(name)), f"has no opening of entry {due}"))
        elif found.file is not None and found.lacks(due):
            findings.append(Finding(str(found.file), f"has no opening of entry {due}, which others have"))
    for name, chain in chains.items():
        if name in tenants and isinstance(chain.statement, TenantStatement) and chain.file is not None:
            findings += _check_head(chain.file, chain.statement, log_directory(directory.parent, tenants[name]))
    return findings


def _check_head(file: Path, statement: TenantStatement, log: Path) -> Iterator[Finding]:
    try:
        root = TileReader(log, statement.size, hash_of(statement.origin)).root()
    except LogDamaged:
        return  # the check of that log names the file
    if root.hex() != statement.root:
        yield Finding(str(file), f"has another root for {statement.size} entries than the tenant's log")


class _Chain:
    """One tenant's openings, oldest first."""

    def __init__(self, openings: Openings, name: str, origin: str | None, entries: _Entries) -> None:
        self._files = openings.files(name)
        self._entries = entries
        self._openings = openings
        self._name = name
        self._origin = origin
        self.file: Path | None = None
        self.last = -1
        self.statement: TenantStatement | BoxStatement | None = None
        self._hashing = entries.hashing
        self._previous = no_commitment(self._hashing)
        self._named: dict[str, int] | None = None
        """The box's own: the last leaf under which each tenant's log came; None where that is not told."""

    def due(self, tenant: str, newest: int) -> int:
        """The box's own: the last entry that a tenant must have an opening of, -1 for none. A tenant whose token did
        not open when leaves were made is not under them."""
        return newest if self._named is None else self._named.get(tenant, -1)

    def check(self) -> Iterator[Finding]:
        for file in self._files:
            self.file = file
            problem = next(self._problems(file), None)
            if problem is not None:
                # What follows a line that cannot be believed would only repeat it.
                yield Finding(str(file), problem)

    def lacks(self, index: int) -> bool:
        """Whether the opening of this entry of the box's log has gone; not where it is just being written."""
        if self.last >= index or self._openings.settling:
            return False
        try:
            latest = self._openings.latest(self._name)
        except LogDamaged:
            return False  # told already
        return latest is None or latest.index < index

    def _problems(self, file: Path) -> Iterator[str]:
        try:
            content = read_whole(file)
            *lines, torn = content.split(b"\n")
            being_written = torn and (self._openings.settling or read_whole(file) != content)
        except LogDamaged as error:
            yield str(error)
            return
        if torn and not being_written:
            yield "ends within a line"
        for number, line in enumerate(lines, 1):
            problem = self._step(file, line)
            if problem is not None:
                yield f"line {number}: {problem}"

    def _step(self, file: Path, encoded: bytes) -> str | None:
        try:
            line = msgspec.json.decode(encoded, type=Line)
            if msgspec.json.encode(line) != encoded:
                return "is not as the box writes it"
            statement = verify_opening(line.opening, self._hashing)
        except (ValueError, RecursionError, MalformedProof, ProofInvalid) as error:
            return str(error)
        problem = self._place(file, line) or self._follows(statement)
        self.last, self.statement = line.index, statement
        if isinstance(statement, BoxStatement) and isinstance(statement.tenants, list):
            self._named = (self._named or {}) | dict.fromkeys(statement.tenants, line.index)
        self._previous = line.opening.commitment(self._hashing).hex()
        return problem

    def _place(self, file: Path, line: Line) -> str | None:
        if line.index <= self.last or f"{line.index // LEAVES_A_FILE:012d}" != file.stem:
            return f"entry {line.index} does not belong here"
        entry = self._entries.at(line.index)
        if entry is not None and entry != line.opening.leaf.entry(self._hashing):
            return f"is not of entry {line.index} of the box's log"
        return None

    def _follows(self, statement: TenantStatement | BoxStatement) -> str | None:
        origin = statement.origin if isinstance(statement, TenantStatement) else None
        if (self._origin != origin and self._origin is not None) or (self._name == BOX_LOG) != (origin is None):
            return "is another's opening"
        if statement.previous != self._previous:
            return "does not follow the opening before it: one is missing or was changed"
        if isinstance(self.statement, TenantStatement) and isinstance(statement, TenantStatement):
            earlier = self.statement
            if statement.size < earlier.size or (statement.size == earlier.size and statement.root != earlier.root):
                return "has a head that does not extend the one before it"
        return None


class _Entries:
    """Entries of the box's log: from its bundles up to the head, beyond it from the records."""

    def __init__(self, directory: Path, size: int, recorded: Callable[[int], bytes | None], hashing: TreeHash) -> None:
        self.hashing = hashing
        self._directory = directory
        self._size = size
        self._recorded = recorded
        self._bundles: dict[int, list[bytes]] = {}

    def at(self, index: int) -> bytes | None:
        """None where it cannot be known."""
        if index >= self._size:
            return self._recorded(index)
        number, place = divmod(index, WIDTH)
        if number not in self._bundles:
            # A bundle that is damaged is named by the check of the log itself.
            try:
                tile = Tile("entries", number, tile_width(0, number, self._size))
                self._bundles[number] = decode_bundle(read_tile(self._directory, tile, self.hashing))
            except (LogDamaged, MalformedProof):
                self._bundles[number] = []
        bundle = self._bundles[number]
        return bundle[place] if place < len(bundle) and len(bundle[place]) == self.hashing.size else None
