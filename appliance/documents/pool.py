"""The workers of the keeper: forked ahead, given one task each (or many of one kind and tenant, where the task allows
it), ended when over a limit, and replaced."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import structlog

from appliance.calls.framing import FrameReader, frame
from appliance.documents.errors import DocumentTooCostly, DocumentWorkerFailed
from appliance.documents.isolation import Limits
from appliance.documents.messages import Begin
from appliance.documents.tasks import Ground, Task
from appliance.documents.worker import run_worker
from appliance.errors import CinnabarError

log = structlog.get_logger(__name__)

_OF_MEMORY = 0.7
"""A worker that dies with so much of its memory in use is taken to have died of it: C code does not say why."""


@dataclass(eq=False)
class Job:
    """One asked task. `descriptor` is closed by whoever takes the job last."""

    owner: object
    """Whose answer it is."""
    ticket: int
    task: str
    tenant: str
    descriptor: int
    size: int
    since: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class Worker:
    """One child process, as its parent sees it."""

    pid: int
    channel: socket.socket
    generation: int
    frames: FrameReader = field(default_factory=FrameReader)
    job: Job | None = None
    deadline: float = float("inf")
    overdue: bool = False
    answered: bool = False
    bound: tuple[str, str] | None = None
    """The task and the tenant that it works for alone, once it has begun."""
    begun: int = 0


class Pool:
    """`count` workers. Not for several threads."""

    def __init__(self, tasks: Mapping[str, Task], limits: Limits, count: int) -> None:
        self._tasks = tasks
        self._limits = limits
        self._count = count
        self._resident = 0
        self.workers: list[Worker] = []
        self.ended: dict[str, int] = {}
        """Workers that ended otherwise than by answering, by reason."""

    @property
    def working_for(self) -> list[str]:
        """The tenant of each task at work."""
        return [worker.job.tenant for worker in self.workers if worker.job is not None]

    @property
    def room(self) -> int:
        return self._count - len(self.workers)

    def fork(self, ground: Ground, generation: int) -> Worker:
        """One more worker."""
        ours, theirs = socket.socketpair()
        keeper = os.getpid()
        pid = os.fork()
        if pid == 0:
            run_worker(theirs, self._tasks, ground, self._limits, keeper)
        theirs.close()
        ours.setblocking(False)
        self._resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        worker = Worker(pid, ours, generation)
        self.workers.append(worker)
        return worker

    def idle(self, generation: int) -> list[Worker]:
        """The workers that wait for a task, on this ground."""
        return [worker for worker in self.workers if worker.job is None and worker.generation == generation]

    def fitting(self, job: Job, generation: int) -> Worker | None:
        """The one for this job among them: one that works for the same tenant already, or one that has not begun."""
        idle = self.idle(generation)
        for bound in ((job.task, job.tenant), None):
            for worker in idle:
                if worker.bound == bound:
                    return worker
        return None

    def goes_on(self, worker: Worker) -> bool:
        """Whether a worker that has answered may do its task again; it then waits."""
        if worker.job is None or worker.begun >= self._tasks[worker.job.task].most:
            return False
        worker.job, worker.answered, worker.deadline = None, False, float("inf")
        return True

    def begin(self, worker: Worker, job: Job) -> bool:
        """Give a worker its task. False when it is gone; the job is then still to be done."""
        try:
            payload = frame(msgspec.msgpack.encode(Begin(job.task)))
            socket.send_fds(worker.channel, [payload], [job.descriptor])
        except OSError:
            return False
        worker.job = job
        worker.bound = (job.task, job.tenant)
        worker.begun += 1
        worker.deadline = time.monotonic() + self._limits.wall_seconds
        return True

    def end(self, worker: Worker) -> CinnabarError | None:
        """End a worker and say why it left its task undone; None if it had none, or had answered."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)  # changes nothing if it has died: its status is kept
        _, status, usage = os.wait4(worker.pid, 0)
        worker.channel.close()
        self.workers.remove(worker)
        if worker.job is None or worker.answered:
            return None
        error = self._why(worker, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
        self.ended[error.code] = self.ended.get(error.code, 0) + 1
        log.warning(
            "document-worker-ended",
            task=worker.job.task,
            tenant=worker.job.tenant,
            size=worker.job.size,
            code=error.code,
            status=status,
            cpu_seconds=round(usage.ru_utime + usage.ru_stime, 2),
            resident_bytes=usage.ru_maxrss * 1024,
        )
        return error

    def _why(self, worker: Worker, status: int, cpu: float, resident: int) -> CinnabarError:
        limits = self._limits
        if worker.begun > 1:
            cpu = 0.0  # of all its tasks: what the last one took, only the kernel's own limit tells
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if (
            ended_by == signal.SIGXCPU
            or cpu >= limits.cpu_seconds
            or (worker.overdue and cpu >= limits.cpu_seconds / 2)
        ):
            return DocumentTooCostly("The document needs more processor time than one may use.")
        if ended_by == signal.SIGSYS:
            # No parser does this by mistake: something in the document had taken hold of the process.
            log.error("document-worker-forbidden-call", task=worker.job.task if worker.job is not None else "")
            return DocumentWorkerFailed("The document's worker asked the kernel for what no document needs.")
        if worker.overdue:
            return DocumentWorkerFailed("The document's worker was not done in time.")
        if resident - self._resident >= _OF_MEMORY * limits.memory_bytes:
            return DocumentTooCostly("The document needs more memory than one may use.")
        return DocumentWorkerFailed("The document's worker ended unexpectedly.")

    def close(self) -> list[Job]:
        """End all. Returns the jobs that were at work."""
        jobs = [worker.job for worker in self.workers if worker.job is not None]
        for worker in list(self.workers):
            self.end(worker)
        return jobs
