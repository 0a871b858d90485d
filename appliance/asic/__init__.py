"""ASiC-E containers (ETSI EN 319 162-1): manifests that one seal covers, and files that come out the same each time.

Pure: no key, no disk. What a letter's evidence holds, and why, is told in docs/letter-evidence.md.
"""

from appliance.asic.container import read_container, write_container
from appliance.asic.errors import ContainerRefused, EvidenceNotBuildable, ManifestRefused
from appliance.asic.letter import CourtPackage, EventFiles, Extras, OpenedRecord, letter_container
from appliance.asic.manifest import court_manifest, event_manifest, read_manifest
from appliance.asic.names import ASIC_E, COURT_RECORD, JSON_TYPE, event_names
from appliance.asic.renewal import read_renewal_manifest, renewal_of, renewed_container

__all__ = [
    "ASIC_E",
    "COURT_RECORD",
    "JSON_TYPE",
    "ContainerRefused",
    "CourtPackage",
    "EventFiles",
    "EvidenceNotBuildable",
    "Extras",
    "ManifestRefused",
    "OpenedRecord",
    "court_manifest",
    "event_manifest",
    "event_names",
    "letter_container",
    "read_container",
    "read_manifest",
    "read_renewal_manifest",
    "renewal_of",
    "renewed_container",
    "write_container",
]
