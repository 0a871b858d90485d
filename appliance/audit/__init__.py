"""Audit: what stands in the logs, shown to people, exported with the proof of a whole range, forwarded as syslog.

`python -m appliance.audit` is the process; `AuditClient` is its caller's side. See docs/audit.md.
"""
