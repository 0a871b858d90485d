"""The API's small box, for its client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.client import Client
from firmware_tests.api.conftest import SmallBox, box, own_box, stamp_query  # noqa: F401 - fixtures


def headers_of(box: SmallBox, application: str = "demo-app") -> dict[str, str]:  # noqa: F811
    """What the front would add for this application."""
    return {"X-Cinnabar-Client-Certificate": box.certificate(application)}


@pytest.fixture
def client(box: SmallBox) -> Iterator[Client]:  # noqa: F811
    with Client("http://localhost", unix_socket=box.socket(), headers=headers_of(box)) as made:
        yield made
