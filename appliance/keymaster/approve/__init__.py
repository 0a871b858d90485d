"""The approval origin: the few pages on which officers make their approval passkeys and sign what they decide.

They come from the keymaster itself, over its own socket and under a name of their own, so that nothing that the
management service sends can run there. A request needs no identity: the evidence in it says who speaks, and the engine
judges it. Knowing a proposal's digest, or an invitation's code, is what lets one see it.
"""

from appliance.keymaster.approve.server import ApprovalServer, approval_server

__all__ = ["ApprovalServer", "approval_server"]
