"""The Python client of the local API, and the command line. It uses the API alone.

    with Client("https://127.0.0.1:8443", credentials=Credentials(cert, key, ca)) as box:
        stamp = box.stamp(digest)
        for verdict in box.seal_many(digests): ...

`AsyncClient` has the same methods to be awaited. Requests that sign carry an Idempotency-Key of their own making and
are sent again where the box says so; errors are those of appliance.client.errors. See docs/api.md.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.client.asynchronous import AsyncClient
    from appliance.client.connection import Credentials
    from appliance.client.errors import ApiError, Refused, Unreachable
    from appliance.client.expansion import StampedBatch
    from appliance.client.retries import RetryPolicy
    from appliance.client.synchronous import Client

__all__ = ["ApiError", "AsyncClient", "Client", "Credentials", "Refused", "RetryPolicy", "StampedBatch", "Unreachable"]

_PLACES = {
    "ApiError": "errors",
    "AsyncClient": "asynchronous",
    "Client": "synchronous",
    "Credentials": "connection",
    "Refused": "errors",
    "RetryPolicy": "retries",
    "StampedBatch": "expansion",
    "Unreachable": "errors",
}


def __getattr__(name: str) -> Any:
    # The command line lists its commands without an HTTP client in memory.
    if name not in _PLACES:
        raise AttributeError(name)
    import importlib  # noqa: PLC0415 - see above

    return getattr(importlib.import_module(f"appliance.client.{_PLACES[name]}"), name)
