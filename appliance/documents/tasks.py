"""What a document worker can do: pure functions of a request and of the ground that the worker stands on.

The keeper imports this once; its workers are forked from it and have it at hand. So imports here are paid once for all
workers, and a task must not keep threads, descriptors or state in the keeper.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import appliance.ceremonies.judging  # noqa: F401 - the verifier asks for it only when it meets a bundle
from appliance.algorithms import DIGESTS
from appliance.documents.contracts import (
    ADDRESSED,
    FURTHER_SIGNATURE,
    INTAKE_HEADER,
    INTAKE_SLICE,
    LETTER_FILE,
    PREPARE_PDF,
    PROLONG_PDF,
    RENDER,
    RENDER_LETTER,
    SEAL_PICTURE,
    VERIFY,
    AddressedRequest,
    Contract,
    FileHeader,
    FileOfRows,
    FurtherRequest,
    LetterFileAnswer,
    LetterFileRequest,
    PreparedForeign,
    PreparePdfRequest,
    Prolonged,
    ProlongPdfRequest,
    RenderLetterRequest,
    RenderRequest,
    SealPictureRequest,
)
from appliance.documents.errors import TrustUnavailable
from appliance.documents.letters import fonts, render_letter
from appliance.documents.pictures import render_picture
from appliance.documents.rendering import begin_threads, render
from appliance.evidence import NamedBytes, Report, TrustBundle, verify
from appliance.evidence.held_letters import held_letter
from appliance.intake import Slice, read_header, read_slice
from appliance.letters.recipients import recipients_of
from appliance.pdf import SealPicture
from appliance.seals import ExistingSeal, read_existing
from appliance.verify_request import VerifyRequest

LETTERS_A_WORKER: Final = 500
"""What typst keeps of earlier letters is bounded, but not by us."""


@dataclass(frozen=True)
class Ground:
    """What a worker was given when it was forked: public things alone."""

    trust: TrustBundle | None
    """The box's own bundle, read and held to its pin by the keeper."""
    trust_fault: str = ""
    """Why there is none."""


@dataclass(frozen=True)
class Task:
    """A contract and what fulfils it."""

    contract: Contract[Any, Any]
    run: Callable[[Ground, Any], Any]
    prepare: Callable[[], None] | None = None
    """Called before the request is looked at, while the worker may still start threads."""
    load: Callable[[], object] | None = None
    """Called by the keeper before it forks: what all workers share. It may not start threads."""
    most: int = 1
    """How often one worker may do it, always for one tenant. More than once only where nothing that others made is
    run or parsed by it (docs/decisions/0013)."""

    def answer(self, ground: Ground, request: bytes | memoryview) -> bytes:
        """Decode, run, encode. Raises what the contract names."""
        return self.contract.encoder()(self.run(ground, self.contract.decode_request(request)))


def _verify(ground: Ground, request: VerifyRequest) -> Report:
    if ground.trust is None:
        raise TrustUnavailable(ground.trust_fault)
    files = [NamedBytes(file.name, file.content) for file in request.files]
    return verify(files, ground.trust, now_us=time.time_ns() // 1000)


def _letter_file(ground: Ground, request: LetterFileRequest) -> LetterFileAnswer:
    if ground.trust is None:
        raise TrustUnavailable(ground.trust_fault)
    return LetterFileAnswer(held_letter(request.content, ground.trust, time.time_ns() // 1000))


def _further_signature(_ground: Ground, request: FurtherRequest) -> ExistingSeal:
    return read_existing(
        request.existing,
        DIGESTS[request.digest_algorithm],
        request.certificates,
        digest=request.digest,
        document=request.document,
    )


def _render(_ground: Ground, request: RenderRequest) -> bytes:
    return render(request.template, request.data, request.time_s)


def _render_letter(_ground: Ground, request: RenderLetterRequest) -> bytes:
    return render_letter(request)


def _seal_picture(_ground: Ground, request: SealPictureRequest) -> SealPicture:
    return render_picture(request)


def _prepare_pdf(_ground: Ground, request: PreparePdfRequest) -> PreparedForeign:
    # Loaded by the keeper when it starts, not by whoever imports this module: pyHanko takes half a second.
    return import_module("appliance.documents.foreign").prepare_foreign(request)  # type: ignore[no-any-return]


def _prolong_pdf(_ground: Ground, request: ProlongPdfRequest) -> Prolonged:
    return import_module("appliance.documents.prolonging").prolong(request)  # type: ignore[no-any-return]


def _addressed(_ground: Ground, request: AddressedRequest) -> int:
    return len(recipients_of(request.envelope))


def _intake_header(_ground: Ground, request: FileOfRows) -> FileHeader:
    return FileHeader(*read_header(request.form, request.window, last=request.last))


def _intake_slice(_ground: Ground, request: FileOfRows) -> Slice:
    return read_slice(request.form, request.plan, request.window, request.place, last=request.last, most=request.most)


def registry(*tasks: Task) -> Mapping[str, Task]:
    """Tasks by name."""
    return {task.contract.name: task for task in tasks}


TASKS: Final = registry(
    Task(VERIFY, _verify),
    Task(LETTER_FILE, _letter_file),
    Task(FURTHER_SIGNATURE, _further_signature),
    Task(RENDER, _render, begin_threads),
    Task(RENDER_LETTER, _render_letter, begin_threads, fonts, LETTERS_A_WORKER),
    Task(SEAL_PICTURE, _seal_picture, begin_threads),
    Task(ADDRESSED, _addressed),
    Task(INTAKE_HEADER, _intake_header),
    Task(INTAKE_SLICE, _intake_slice),
    Task(PREPARE_PDF, _prepare_pdf, load=lambda: import_module("appliance.documents.foreign")),
    Task(PROLONG_PDF, _prolong_pdf, load=lambda: import_module("appliance.documents.prolonging")),
)
