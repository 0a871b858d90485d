"""Doing a job: judge every file, ask for one token a hash, write every file. Each step can be done again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from appliance.algorithms import digest_algorithm
from appliance.asic import read_container, renewal_of, renewed_container
from appliance.asic.errors import ContainerRefused, EvidenceNotBuildable
from appliance.asic.names import read_name
from appliance.der import DerError
from appliance.evidence.context import Context
from appliance.evidence.findings import Refusal
from appliance.evidence_records import (
    MAX_LEAVES,
    EvidenceMismatch,
    EvidenceRejected,
    Renewal,
    RenewalTree,
    parse_evidence_record,
)
from appliance.files import sync_directory, write_file
from appliance.quoting import quote
from appliance.renewal.authority import Authority, stamp_of
from appliance.renewal.errors import JobRefused, NotRenewed, Reason
from appliance.renewal.job import Failed, Job, Ready
from appliance.renewal.planning import Planned, Planner, form_of, read, record_of, target_of

Told = Callable[[str, int, int], None]
"""What is being done, how many are done, of how many."""
_TOGETHER: Final = 64
"""Files of one transaction: after a crash as many are looked at again."""


def run_job(
    job: Job, context: Context, authority: Callable[[], Authority], progress: Told, clock: Callable[[], int]
) -> None:
    """Do what is left of a job. `authority` is called where a token is needed; `clock` tells the time then, in
    microseconds. Raises AuthorityFailed and JobRefused, before anything was written; what goes wrong with single files
    is entered in the job."""
    _plan(job, context, progress)
    trees = {name: _tree(job, name) for name in job.hashes()}
    tokens = {name: _token(job, tree, context, authority, clock) for name, tree in trees.items()}
    total = sum(job.counts().values())
    for name, tree in trees.items():
        _write(job, tree, tokens[name], lambda done: progress("writing", done, total))


def _plan(job: Job, context: Context, progress: Told) -> None:
    planner, counts = Planner(job.wanted, context), job.counts()
    total = sum(counts.values())
    done = total - counts.get("waiting", 0)
    while waiting := job.waiting(_TOGETHER):
        found: list[tuple[int, Planned | Failed]] = []
        for item in waiting:
            try:
                found.append((item.number, planner.plan(item.path)))
            except NotRenewed as error:
                found.append((item.number, Failed(item.path, error.reason, str(error))))
            done += 1
            progress("judging", done, total)
        job.planned(found)


def _tree(job: Job, hash_name: str) -> RenewalTree:
    algorithm = digest_algorithm(hash_name)
    nodes = [_renewal(hash_name, one, None).node for one in job.in_tree(hash_name, algorithm.size)]
    if len(nodes) > MAX_LEAVES:
        raise JobRefused(f"a job renews at most {MAX_LEAVES} files under one hash, not {len(nodes)}")
    return RenewalTree(hash_name, b"".join(nodes))


def _renewal(hash_name: str, one: Ready, record: bytes | None) -> Renewal:
    return Renewal(digest_algorithm(hash_name), one.hashes, record, one.begins_chain)


def _token(
    job: Job, tree: RenewalTree, context: Context, authority: Callable[[], Authority], clock: Callable[[], int]
) -> bytes:
    name = tree.algorithm.name
    kept = job.token(name)
    if kept is not None:
        root, token = kept
        if root != tree.root:
            raise JobRefused(f"{quote(str(job.path))} has a token over another tree")
        return token
    token = stamp_of(authority(), tree.algorithm, tree.root, context, clock)
    job.stamped(name, tree.root, token)
    return token


def _write(job: Job, tree: RenewalTree, token: bytes, progress: Callable[[int], None]) -> None:
    left, written = job.unwritten(), list[tuple[int, Path]]()
    name = tree.algorithm.name
    ready = list(job.in_tree(name, tree.algorithm.size))
    for place, one in enumerate(ready):
        if one.number in left:
            try:
                _write_one(tree, place, one, token)
                written.append((one.number, one.path))
            except NotRenewed as error:
                job.failed(one.number, error.reason, str(error))
        if len(written) == _TOGETHER or place == len(ready) - 1:
            for directory in {target_of(ready_path).resolve().parent for _, ready_path in written}:
                sync_directory(directory)
            job.done(number for number, _ in written)
            written.clear()
        progress(place + 1)


def _write_one(tree: RenewalTree, place: int, one: Ready, token: bytes) -> None:
    """Write a file whole, or find that it is written. Raises NotRenewed."""
    target, name = target_of(one.path), tree.algorithm.name
    content = read(one.path)
    if hashlib.sha256(content).digest() != one.sha256 or (target != one.path and target.exists()):
        if _holds(target, token):
            return  # by this job, before it was interrupted
        raise NotRenewed(Reason.CHANGED_MEANWHILE, "it is not the file that was judged")
    form = form_of(one.path)
    assert form is not None  # noqa: S101 - it was planned
    try:
        if form == "letter":
            record = tree.renewed(place, renewal_of(content, name), token)
            renewed = renewed_container(content, name, record)
        else:
            renewed = tree.renewed(place, _renewal(name, one, record_of(form, content)), token)
    except (EvidenceRejected, EvidenceMismatch, EvidenceNotBuildable, ContainerRefused, DerError, Refusal) as error:
        raise NotRenewed(Reason.NOT_WRITTEN, str(error)) from None
    try:
        _replace(target, renewed, hashlib.sha256(token).hexdigest()[:16])
    except OSError as error:
        raise NotRenewed(Reason.NOT_WRITTEN, error.strerror or "it cannot be written") from None


def _holds(path: Path, token: bytes) -> bool:
    """Whether the newest time-stamp in a file is this one."""
    try:
        content = path.read_bytes()
        if form_of(path) == "letter":
            entries = read_container(content)
            records = [name for name in entries if (found := read_name(name)) and found.role == "renewal"]
            content = entries[max(records)] if records else b""
        return parse_evidence_record(content).chains[-1][-1].token == token
    except (OSError, EvidenceRejected, ContainerRefused):
        return False


def _replace(path: Path, content: bytes, mark: str) -> None:
    """Write a file in the place of another, whole or not at all; its mode stays, and a link to it. `mark`: of the job,
    so that what one left behind that died here is written over when it goes on. Raises OSError."""
    path = path.resolve()
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    write_file(path, content, mode, scratch=path.with_name(f".{path.name}.{mark}"))
