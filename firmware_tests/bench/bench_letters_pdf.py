"""Letters as sealed PDFs, against pyHanko. Prints one JSON line a measure.

python -m firmware_tests.bench.bench_letters_pdf [--letters N]

letters-pades-b-t   letters rendered and sealed a second of processor time, one process: the bench letter with every
                    field varied (firmware_tests/pdf/letters.py), a visible seal, key and time-stamping unit in SoftHSM;
                    ÷ pyHanko's B-B with a key in memory, on that letter already rendered, one process
letter-render       microseconds of processor time to render one
letter-qr           of that, its QR
letter-typst        the same page by typst, as letters are set that the box's own setter leaves to it
letter-seal         prepare and complete, with the token, without SoftHSM
letters-worker      letters a second through one document worker, by the clock

The first measure takes turns, a letter here and a letter there, so that other work on the machine meets both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"  # as in a document worker

import msgspec
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from appliance.clock import Clock
from appliance.clock.page import WordWriter
from appliance.clock.reading import boot_ns, system_ns, system_word
from appliance.documents import RENDER_LETTER, DocumentsClient, RenderLetterRequest
from appliance.documents.codes import qr_svg
from appliance.documents.contracts import SealPictureRequest
from appliance.documents.letters import render_letter
from appliance.documents.pictures import render_picture
from appliance.pdf import TOKEN_BYTES, prepare_seal, room_for, seal_place
from appliance.seals import SealProfile
from firmware_tests.bench.bench_timestamps import make_unit
from firmware_tests.pdf.letters import bench_page, request_of
from firmware_tests.pdf.sealed import SVG
from firmware_tests.seals.sealing import Authority
from hsm.keys import generate_key_pair
from hsm.testing.softhsm import SoftHsm

SCHEME = "ecdsa-p256-sha256"
SERVING = Path(__file__).parents[1] / "documents" / "serving.py"


def spent(call: Callable[[], object]) -> float:
    """Seconds of this process's processor time."""
    start = time.process_time()
    call()
    return time.process_time() - start


def show(measure: str, value: float, unit: str, **more: object) -> None:
    print(json.dumps({"measure": measure, "value": round(value, 1), "unit": unit, **more}), flush=True)


def pyhanko_signer(authority: Authority) -> signers.SimpleSigner:
    """With a key in memory."""
    key = ec.generate_private_key(ec.SECP256R1())
    encoded = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    store = SimpleCertificateStore()
    store.register(asn1_x509.Certificate.load(authority.certificate.public_bytes(Encoding.DER)))
    return signers.SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(authority.issue(key.public_key()).public_bytes(Encoding.DER)),
        signing_key=asn1_keys.PrivateKeyInfo.load(encoded),
        cert_registry=store,
    )


async def through_a_worker(requests: list[RenderLetterRequest]) -> float:
    """Letters a second."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "trust").mkdir()
        (directory / "run").mkdir(mode=0o750)
        settings = {"workers": 1, "cpu_seconds": 60, "wall_seconds": 60, "memory_mb": 768, "items": 4096, "loads": True}
        keeper = subprocess.Popen(
            (sys.executable, str(SERVING), str(directory), json.dumps(settings)), stdout=subprocess.DEVNULL
        )
        try:
            while not (directory / "run" / "tasks.sock").exists():
                await asyncio.sleep(0.05)
            client = DocumentsClient(directory / "run" / "tasks.sock")
            await client.call(RENDER_LETTER, "bench", requests[0])
            start = time.perf_counter()
            await asyncio.gather(*(client.call(RENDER_LETTER, "bench", request) for request in requests[:200]))
            passed = time.perf_counter() - start
            await client.close()
        finally:
            keeper.terminate()
            keeper.wait()
    return len(requests[:200]) / passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=200)
    count = parser.parse_args().letters
    requests = [request_of(bench_page(seed), seed) for seed in range(count)]
    picture, place = render_picture(SealPictureRequest(image=SVG)), seal_place(0, 1)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        softhsm = SoftHsm(directory)
        os.environ["SOFTHSM2_CONF"] = str(softhsm.configuration)
        token = softhsm.token().open()
        key, unit_key = (
            token.signing_key(generate_key_pair(token, label, SCHEME), SCHEME) for label in ("seal", "unit")
        )
        authority = Authority()
        profile = SealProfile("bench", [authority.issue(key.public_key), authority.certificate], SCHEME)
        room = room_for(profile, TOKEN_BYTES)
        unit = make_unit(unit_key, directory / "mark")
        WordWriter(directory / "word").write(system_word(system_ns(), boot_ns(), lifetime_ns=10**13))
        clock = Clock.open(directory / "word")
        digest = profile.digest_algorithm.digest

        def stamp(signature: bytes) -> bytes:
            made = unit.prepare_digest("sha256", digest(signature), clock.read())
            return unit.complete(made, unit_key.sign(made.to_be_signed))

        def letter(request: RenderLetterRequest) -> bytes:
            pdf = render_letter(request)
            prepared = prepare_seal(
                pdf, profile, clock.read().time_us, room=room, place=place, picture=picture, name="担保人 Guarantor"
            )
            signature = key.sign(prepared.to_be_signed)
            return prepared.complete(signature, stamp(signature))

        ready = render_letter(requests[0])
        signer = pyhanko_signer(authority)
        signer_meta = signers.PdfSignatureMetadata(
            field_name="Seal1", subfilter=fields.SigSeedSubFilter.PADES, md_algorithm="sha256"
        )
        loop = asyncio.new_event_loop()

        def pyhanko() -> bytes:
            writer = IncrementalPdfFileWriter(io.BytesIO(ready))
            signing = signers.PdfSigner(signer_meta, signer=signer).async_sign_pdf(writer)
            return loop.run_until_complete(signing).getvalue()

        size = len(letter(requests[0]))
        pyhanko()
        ours, theirs, rendering, coding, sealing, leaving = [], [], [], [], [], []
        for request in requests:
            ours.append(spent(lambda request=request: letter(request)))  # type: ignore[misc]
            theirs.append(spent(pyhanko))
        now = clock.read().time_us
        prepared = prepare_seal(ready, profile, now, room=room, place=place, picture=picture)
        signature = key.sign(prepared.to_be_signed)
        stamped = stamp(signature)

        def seal() -> bytes:
            again = prepare_seal(ready, profile, now, room=room, place=place, picture=picture)
            return again.complete(signature, stamped)

        for request in requests[: count // 2]:
            rendering.append(spent(lambda request=request: render_letter(request)))  # type: ignore[misc]
            coding.append(spent(lambda request=request: qr_svg(request.qr or "")))  # type: ignore[misc]
            sealing.append(spent(seal))
            left = msgspec.structs.replace(request, creator=b"(Typst ")
            leaving.append(spent(lambda left=left: render_letter(left)))  # type: ignore[misc]
        loop.close()
        token.close()
    show(
        "letters-pades-b-t", count / sum(ours), "letters/s", base=round(count / sum(theirs), 1),
        ratio=round(sum(theirs) / sum(ours), 2),
        ratio_of_medians=round(statistics.median(theirs) / statistics.median(ours), 2), at_least=2.5, bytes=size,
    )  # fmt: skip
    measured = {"letter-render": rendering, "letter-qr": coding, "letter-seal": sealing, "letter-typst": leaving}
    for measure, samples in measured.items():
        show(measure, statistics.median(samples) * 1e6, "us")
    show("letters-worker", asyncio.run(through_a_worker(requests)), "letters/s")


if __name__ == "__main__":
    main()
