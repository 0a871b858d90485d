"""What the page setter does not do itself."""

from __future__ import annotations


class BeyondSetter(Exception):
    """The setter does not know how to set this. Nobody outside the document worker meets it."""
