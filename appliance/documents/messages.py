"""What travels between an API worker, the keeper of the document workers, and one document worker.

Frames are those of appliance.calls.framing. An `Ask` has one descriptor beside it (SCM_RIGHTS, unix(7)): a memory
file (memfd_create(2)) that holds the request, so that a document is copied once, by whoever received it. Answers are
small and travel in the frame.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

DETAIL_CHARACTERS = 2_000


class Ask(msgspec.Struct, array_like=True, frozen=True):
    """A task for one document worker; the request stands in the memory file that comes with it."""

    ticket: int
    task: Annotated[str, msgspec.Meta(max_length=64)]
    tenant: Annotated[str, msgspec.Meta(max_length=64)]
    """Whose turn it takes in the queue."""


class Done(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """The answer of a task, encoded as its contract says."""

    ticket: int
    answer: bytes


class Refused(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Why there is none: the code of an error class, and its text."""

    ticket: int
    code: Annotated[str, msgspec.Meta(max_length=64)]
    detail: Annotated[str, msgspec.Meta(max_length=DETAIL_CHARACTERS)]


class Hello(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Sent at the start of each connection: how far the document workers are shut off, and how many there are."""

    workers: int
    own_user: bool
    own_network: bool
    """Whether they stand in a network namespace of their own, without any interface that is up."""
    calls_held: bool
    """Whether they are held to a list of system calls."""
    files_held: bool
    """Whether they can open nothing but the program."""


Outcome = Done | Refused
Answer = Done | Refused | Hello


class Begin(msgspec.Struct, array_like=True, frozen=True):
    """From the keeper to a worker of its own, with the memory file."""

    task: str
