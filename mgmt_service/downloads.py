"""Answers that are files: saved by the browser, never shown by it."""

from __future__ import annotations

from typing import Any

from flask import Response


def download(content: Any, name: str) -> Response:
    """Bytes, or an iterable of them, as a file of this name. `name`: of our own making, with no text from outside."""
    response = Response(content, mimetype="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
