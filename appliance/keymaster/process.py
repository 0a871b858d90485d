"""The keymaster process: the only one that uses the CAs' keys. It keeps the CRLs, and the trust bundle, fresh."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import hashlib
import signal
import time
from collections import Counter
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import hsm
from appliance.box import journal
from appliance.box.home import Home
from appliance.box.pins import pin_path
from appliance.box.settings import BoxSettings, CertificateAuthoritySettings, read_settings
from appliance.errors import CinnabarError
from appliance.evidence.bundle import TrustRefused
from appliance.evidence.directory import read_directory
from appliance.evidence.trust import read_bundle
from appliance.keymaster.certificates import Issuer, Revocation
from appliance.keymaster.revocation import is_due, next_crl, publish, read_crl
from appliance.keymaster.trust_bundles import make_bundle, read_last, write_bundle
from appliance.keymaster.word import KeymasterWord, write_word
from appliance.recorder import RecorderClient
from appliance.recorder.counts import CallCounter, new_run_id
from appliance.recorder.errors import OutcomeUnknown
from hsm.x509 import private_key

ROUND_SECONDS = 2.0
DEVICE_KEY = "device"
DEVICE_SCHEME = "ecdsa-p384-sha384"
BUNDLE_DAYS = 365

log = structlog.get_logger("keymaster")


class Keymaster:
    """One life of the process."""

    def __init__(self, home: Home, settings: BoxSettings) -> None:
        self._home = home
        self._settings = settings
        self._counter = CallCounter(home.counters, new_run_id())
        self._drops: Counter[str] = Counter()
        self._tokens: dict[str, hsm.Token] = {}
        self._issuers: dict[str, Issuer] = {}
        self._recorder: RecorderClient | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Make what is due, every two seconds, until told to stop."""
        self._recorder = await RecorderClient.connect(
            self._home.recorder_socket,
            self._counter.run,
            lambda: (self._counter.signed, dict(self._drops)),
            on_dropped=lambda reason, signatures: self._drops.update({reason: signatures}),
        )
        try:
            self._open()
            log.info("keymaster-ready", authorities=sorted(self._issuers))
            rounds, failures, succeeded = 0, 0, None
            while not stop.is_set():
                rounds += 1
                try:
                    await self._round()
                    succeeded = time.time()
                except (CinnabarError, hsm.HsmError) as error:
                    # Retried in the next round; a CRL is made at half of its life, so there is time.
                    failures += 1
                    log.warning("round-failed", error=type(error).__name__, detail=str(error))
                write_word(
                    self._home.keymaster_word, KeymasterWord(rounds=rounds, failures=failures, succeeded=succeeded)
                )
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), ROUND_SECONDS)
            await self._recorder.goodbye()
            self._counter.close(remove=True)
        finally:
            for token in self._tokens.values():
                token.close()
            await self._recorder.close()

    def _open(self) -> None:
        wanted = {authority.token for authority in self._settings.authorities}
        for token in self._settings.tokens:
            if token.name in wanted:
                self._tokens[token.name] = hsm.open_token(
                    hsm.Pkcs11Uri.parse(token.uri),
                    hsm.PinFile(pin_path(self._home, token)),
                    hsm.LaneSettings(),
                    count_call=self._counter.count,
                    count_drop=lambda reason: self._drops.update([reason]),
                    allow_weak_keys=token.allow_weak_keys,
                )
        for authority in self._settings.authorities:
            key = self._tokens[authority.token].signing_key(hsm.Pkcs11Uri.parse(authority.key_uri), authority.scheme)
            certificate = x509.load_pem_x509_certificate((self._home.root / authority.certificate).read_bytes())
            # The issuer's own distribution point matters only to certificates that it issues, not to its CRLs.
            self._issuers[authority.name] = Issuer(certificate, private_key(key), hashes.SHA384(), crl_url="")

    async def _round(self) -> None:
        assert self._recorder is not None  # noqa: S101 - connected before the first round
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        revoked = self._revocations(await self._recorder.query("revoked_certificates"))
        lists = {
            authority.name: await self._revocation_list(authority, revoked.get(authority.name, []), now)
            for authority in self._settings.authorities
        }
        if not self._bundle_names(lists):
            await self._publish(lists, now)

    def _revocations(self, rows: list[tuple[bytes, int]]) -> dict[str, list[Revocation]]:
        """Revoked certificates by the authority that issued them; the register knows them by digest only."""
        found: dict[str, list[Revocation]] = {}
        for digest, time_us in rows:
            path = self._home.issued / f"{digest.hex()}.pem"
            if not path.exists():
                continue  # not issued here: the register refuses it, and no CRL of ours can speak of it
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            at = datetime.datetime.fromtimestamp(time_us // 1_000_000, datetime.UTC)
            for name, issuer in self._issuers.items():
                if issuer.certificate.subject == certificate.issuer:
                    found.setdefault(name, []).append(Revocation(certificate.serial_number, at))
        return found

    async def _revocation_list(
        self, authority: CertificateAuthoritySettings, revoked: list[Revocation], now: datetime.datetime
    ) -> bytes:
        """The published CRL where it still holds, else the next one, which is on record and not yet published."""
        path = self._home.root / authority.crl
        current = read_crl(path)
        if not is_due(current, revoked, now):
            return path.read_bytes()
        crl = next_crl(self._issuers[authority.name], current, revoked, now, authority.crl_days)
        der = crl.public_bytes(serialization.Encoding.DER)
        await self._record("crl", authority.name, authority.name, der)
        log.info("crl-made", authority=authority.name, revoked=len(revoked))
        return der

    def _bundle_names(self, lists: dict[str, bytes]) -> bool:
        """Whether the trust bundle is whole and names these CRLs; not so after a life that ended while it wrote."""
        try:
            bundle = read_bundle(read_directory(self._home.trust), None).document
        except TrustRefused:
            return False
        named = {entry.file: entry.sha256 for entry in bundle.revocation_lists}
        return all(
            named.get(Path(authority.crl).name) == hashlib.sha256(lists[authority.name]).hexdigest()
            for authority in self._settings.authorities
        )

    async def _publish(self, lists: dict[str, bytes], now: datetime.datetime) -> None:
        """Publish CRLs together with the next version of the trust bundle, which names them by digest.

        Everything is signed and on record before the first file is replaced, so that readers find them at odds for a
        moment at most."""
        box_token = self._tokens[self._settings.authorities[0].token]
        device = box_token.signing_key(hsm.Pkcs11Uri.parse(f"pkcs11:object={DEVICE_KEY}"), DEVICE_SCHEME)
        files = read_directory(self._home.trust)
        previous = read_last(files).document
        signed: list[bytes] = []

        def sign(encoded: bytes) -> bytes:
            signed.append(encoded)
            return device.sign(encoded)

        bundle = make_bundle(
            signer=device.public_key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            sign=sign,
            previous=files,
            rehearsal=self._settings.rehearsal,
            issued=now,
            expires=now + datetime.timedelta(days=BUNDLE_DAYS),
            authorities=previous.authorities,
            revocation_lists={
                Path(authority.crl).name: lists[authority.name] for authority in self._settings.authorities
            },
            logs=previous.logs,
            witnesses=previous.witnesses,
            time=previous.time,
        )
        await self._record("certificate", DEVICE_KEY, "trust bundle", signed[0])
        for authority in self._settings.authorities:
            publish(self._home, authority, lists[authority.name])
        write_bundle(self._home.trust, bundle)
        log.info("trust-bundle-published", version=previous.version + 1)

    async def _record(self, kind: str, key: str, subject: str, body: bytes) -> None:
        assert self._recorder is not None  # noqa: S101
        try:
            await self._recorder.housekeeping(kind, key, time.time_ns() // 1000, subject, body)  # type: ignore[arg-type]
        except OutcomeUnknown:
            raise  # the client learns it later, and counts
        except CinnabarError as error:
            self._drops.update([error.code])
            raise


async def _serve(home: Home) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Keymaster(home, read_settings(home.settings)).run(stop)


def main() -> None:
    parser = argparse.ArgumentParser(prog="appliance.keymaster", description="Keeps CRLs and the trust bundle fresh.")
    parser.add_argument("--home", type=Path, required=True)
    arguments = parser.parse_args()
    journal.configure("keymaster")
    asyncio.run(_serve(Home(arguments.home.resolve())))
