"""The management service: officers, auditors and supervisors in a browser. The web is trusted with nothing here.

It carries proposals to the keymaster and shows what the keymaster, the audit and the workers tell. It holds no HSM
login, no PIN and no database but its own of sign-ins; what officers decide, they sign on the keymaster's own pages.
"""

from mgmt_service.app import create_app

__all__ = ["create_app"]
