"""A stranger at the public listener who waits where the front says that it was asked too often."""

from __future__ import annotations

import time

import httpx


class Patient(httpx.HTTPTransport):
    """Asks again, a second later, what was answered 429."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        for _ in range(30):
            response = super().handle_request(
                httpx.Request(request.method, request.url, headers=request.headers, content=content)
            )
            if response.status_code != 429:
                return response
            response.close()
            time.sleep(1.0)
        return response
