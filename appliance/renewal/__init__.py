"""Renewing evidence in bulk (RFC 4998, section 5): a job over many files, one time-stamp for each hash that they need.

Pure parts stand elsewhere: trees and records in appliance.evidence_records, evidence files in appliance.asic, judgement
in appliance.evidence. Here stand the files, the job's own database, and the authority that is asked.
"""
