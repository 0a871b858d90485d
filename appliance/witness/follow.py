"""Following logs that do not come by themselves: what they publish is fetched and handed to the witness.

A process beside the witness, which so needs no way outward: it has no key, reads the witness's state, and asks like any
log does. What it finds, it writes for the witness's pages; what is wrong goes to the journal.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx
import msgspec
import structlog

from appliance.errors import CinnabarError
from appliance.files import write_durably
from appliance.log.checkpoint import open_checkpoint
from appliance.log.errors import MalformedNote, SignatureInvalid
from appliance.monitor.errors import HistoryForked, NotPublished, TilesWrong
from appliance.monitor.extending import SignedHead, extension_proof
from appliance.monitor.published import PublishedLog, PublishedTiles, client_context
from appliance.witness.follow_report import FollowedLog, Found
from appliance.witness.judging import Head
from appliance.witness.overview import read_followed, told
from appliance.witness.request import encode_request
from appliance.witness.settings import WatchedLog, WitnessSettings
from appliance.witness.state import Store

ASK_SECONDS: Final = 20.0
AT_ONCE: Final = 16
"""Logs that are looked at side by side."""
_LONGEST_DETAIL: Final = 300

log = structlog.get_logger("follow")


class Follower:
    """Follows every log that has a `url`."""

    def __init__(self, settings: WitnessSettings, submission: str) -> None:
        """`submission`: prefix of the witness. Raises NotPublished for a CA that cannot be read."""
        self._settings = settings
        self._submission = submission.rstrip("/")
        self._logs = [one for one in settings.logs if one.settings.url is not None]
        self._contexts = {one.known.origin: self._context(one.settings.ca) for one in self._logs}
        self._witness = httpx.Client(
            verify=self._context(settings.follow.ca) or True,
            timeout=ASK_SECONDS,
            trust_env=False,
            follow_redirects=False,
        )

    def _context(self, ca: str | None) -> ssl.SSLContext | None:
        return None if ca is None else client_context(self._settings.path(ca))

    def close(self) -> None:
        self._witness.close()

    def round(self) -> dict[str, FollowedLog]:
        """Look at every log once, and write down what was found."""
        before = read_followed(self._settings.follow_report)
        with ThreadPoolExecutor(AT_ONCE, "follow") as threads:  # a server that hangs holds up no other log
            looks = threads.map(self._look, self._logs)
            found = {one.known.origin: look for one, look in zip(self._logs, looks, strict=True)}
        for origin, now in found.items():
            earlier = before.get(origin)
            if earlier is not None and earlier.found == now.found:
                continue  # told already
            if now.found != "cosigned":
                tell = log.critical if now.found == "forked" else log.warning
                tell(f"log-{now.found}", origin=origin, size=now.size, problem=now.detail, evidence=now.evidence)
            elif earlier is not None:
                log.info("log-cosigned", origin=origin, size=now.size)
        write_durably(self._settings.follow_report, msgspec.json.encode(found))
        return found

    def _look(self, watched: WatchedLog) -> FollowedLog:
        size: int | None = None
        try:
            with PublishedLog(watched.settings.url or "", self._contexts[watched.known.origin]) as published:
                note = published.checkpoint()
                checkpoint = open_checkpoint(note, watched.known.origin, watched.known.keys)
                size = checkpoint.size
                return self._compare(watched, published, SignedHead(checkpoint, note))
        except NotPublished as error:
            return _found("unreachable", size, error)
        except (MalformedNote, SignatureInvalid) as error:
            return _found("malformed", size, error)
        except TilesWrong as error:
            return _found("tiles-wrong", size, error)
        except HistoryForked as error:
            return _found("forked", size, error, error.evidence.decode())
        except CinnabarError as error:
            return _found("refused", size, error)

    def _compare(self, watched: WatchedLog, published: PublishedLog, now: SignedHead) -> FollowedLog:
        head = self._head(watched)
        if head is not None and now.checkpoint.size < head.size:
            known = _signed(watched, head)
            # A server that lags may have the tiles of the larger head: they tell whether this one is before it.
            with contextlib.suppress(NotPublished, TilesWrong):
                extension_proof(now, known, PublishedTiles(published, head.size))
            return FollowedLog(
                found="behind",
                time=_now(),
                size=now.checkpoint.size,
                detail=f"the published head is smaller than the one of {head.size} entries that was cosigned",
            )
        proof: list[bytes] = []
        if head is not None:
            tiles = PublishedTiles(published, now.checkpoint.size)
            proof = extension_proof(_signed(watched, head), now, tiles)
        return self._submit(now, 0 if head is None else head.size, proof)

    def _submit(self, now: SignedHead, old: int, proof: list[bytes]) -> FollowedLog:
        try:
            answer = self._witness.post(
                f"{self._submission}/add-checkpoint", content=encode_request(old, proof, now.note)
            )
        except (httpx.HTTPError, OSError) as error:
            return _found("refused", now.checkpoint.size, f"the witness does not answer: {type(error).__name__}")
        if answer.status_code == 200:
            return FollowedLog(found="cosigned", time=_now(), size=now.checkpoint.size)
        if answer.status_code == 409 and answer.headers.get("content-type") == "text/x.tlog.size":
            # The log came by itself meanwhile.
            return FollowedLog(found="cosigned", time=_now(), size=now.checkpoint.size, detail="it came by itself")
        return _found("refused", now.checkpoint.size, f"status {answer.status_code}: {answer.text.strip()}")

    def _head(self, watched: WatchedLog) -> Head | None:
        state = Store.open(self._settings.state_directory, read_only=True)
        try:
            return state.remembered().heads.get(watched.known.origin)
        finally:
            state.close()


def _signed(watched: WatchedLog, head: Head) -> SignedHead:
    return SignedHead(open_checkpoint(head.note, watched.known.origin, watched.known.keys), head.note)


def _found(found: Found, size: int | None, problem: object, evidence: str | None = None) -> FollowedLog:
    return FollowedLog(found=found, time=_now(), size=size, detail=str(problem)[:_LONGEST_DETAIL], evidence=evidence)


def _now() -> str:
    return told(int(time.time()))


def submission_prefix(settings: WitnessSettings) -> str:
    """Where the witness of the same home takes requests, if its settings do not say otherwise."""
    if settings.follow.witness is not None:
        return settings.follow.witness
    scheme = "http" if settings.submission.certificate is None else "https"
    return f"{scheme}://{settings.submission.listen}"
