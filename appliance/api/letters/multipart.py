"""The one file of a form that was sent as multipart/form-data (RFC 7578), taken out without looking into it."""

from __future__ import annotations

from typing import Final

_LONGEST_HEAD: Final = 1_024


def file_within(body: bytes) -> bytes:
    """The content of the first part. What is no such body is taken as it is: it then is nobody's file.

    The boundary is the body's first line, as RFC 2046 (section 5.1.1) has it; of the content only a digest is made."""
    line, found, rest = body.partition(b"\r\n")
    if not found or not line.startswith(b"--") or len(line) > 74:
        return body
    head, found, content = rest.partition(b"\r\n\r\n")
    end = content.find(b"\r\n" + line)
    return body if not found or end < 0 or len(head) > _LONGEST_HEAD else content[:end]
