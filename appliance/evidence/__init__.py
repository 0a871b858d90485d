"""Evidence: the trust bundle and the offline verifier. Needs no HSM, no database, no network (see docs/verify.md).

    files = [NamedBytes("bond.json", ...), NamedBytes("bond.json.p7s", ...)]
    trust = read_bundle({"bundle.json": ..., "bundle.json.sig": ..., "tsa-ca.crl": ...}, pin)
    report = verify(files, trust, now_us=...)

Both functions are pure: equal arguments give equal results, whoever calls and whenever.
"""

from appliance.evidence.bundle import AuthorityEntry, CosigningEntry, LogEntry, TimeRules, TrustRefused, WitnessEntry
from appliance.evidence.findings import Check, Indication, SubIndication
from appliance.evidence.report import FileReport, Part, Report, TimeWord, TrustSummary
from appliance.evidence.subjects import NamedBytes, NamedDigest
from appliance.evidence.trust import Pin, TrustBundle, read_bundle
from appliance.evidence.verify import TooMuch, verify

__all__ = [
    "AuthorityEntry",
    "Check",
    "CosigningEntry",
    "FileReport",
    "Indication",
    "LogEntry",
    "NamedBytes",
    "NamedDigest",
    "Part",
    "Pin",
    "Report",
    "SubIndication",
    "TimeRules",
    "TimeWord",
    "TooMuch",
    "TrustBundle",
    "TrustRefused",
    "TrustSummary",
    "WitnessEntry",
    "read_bundle",
    "verify",
]
