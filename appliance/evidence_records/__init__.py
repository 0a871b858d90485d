"""Evidence records (RFC 4998): one time-stamp token over a batch, and the proof for each of its items.

`HashTree.build` makes the tree whose root is stamped; `CompactBatch` holds tree and token; an item's compact path
expands to a full record with `expand`, here or at the client. `parse_evidence_record` and `verify_hash_chain` read
and check any record, with its renewals; `RenewalTree` renews many with one token. All pure; tokens' signatures are
checked elsewhere.
"""

from appliance.evidence_records.batch import CompactBatch, CompactItem
from appliance.evidence_records.errors import BatchRejected, DuplicateDigests, EvidenceMismatch, EvidenceRejected
from appliance.evidence_records.hash_tree import MAX_LEAVES, HashTree, climb, distinct
from appliance.evidence_records.record import ArchiveTimeStamp, EvidenceRecord, expand, parse_evidence_record
from appliance.evidence_records.renewal import (
    Renewal,
    RenewalTree,
    first_record,
    hash_tree_renewal,
    time_stamp_renewal,
)
from appliance.evidence_records.verify import verify_group, verify_hash_chain, verify_links

__all__ = [
    "MAX_LEAVES",
    "ArchiveTimeStamp",
    "BatchRejected",
    "CompactBatch",
    "CompactItem",
    "DuplicateDigests",
    "EvidenceMismatch",
    "EvidenceRecord",
    "EvidenceRejected",
    "HashTree",
    "Renewal",
    "RenewalTree",
    "climb",
    "distinct",
    "expand",
    "first_record",
    "hash_tree_renewal",
    "parse_evidence_record",
    "time_stamp_renewal",
    "verify_group",
    "verify_hash_chain",
    "verify_links",
]
