"""A keymaster with its approval pages behind the real front, in a thread of its own, and what tests do in it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import pwd
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.box import process
from appliance.box.front import Listener
from appliance.box.management_front import MANAGEMENT_FRONT, write_front
from appliance.ceremonies import BOX, Constitution, instant_text
from appliance.ceremonies.actions import AmendConstitution
from appliance.ceremonies.constitution import ApprovalRules, Person
from appliance.keymaster.approve import approval_server
from appliance.keymaster.officers.founding import first_constitution, found
from firmware_tests.keymaster.room import Bench, Life

Result = TypeVar("Result")
DAY = datetime.timedelta(days=1)


class Stage:
    """`url`: of the approval origin, without a slash at the end; `plain`: of the management origin."""

    def __init__(self, bench: Bench, port: int) -> None:
        self.bench = bench
        self.port = port
        self.url = f"https://approve.localhost:{port}"
        self.plain = f"https://localhost:{port}"
        self.authority = bench.home.trust / "box-ca.pem"
        self.life: Life
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    def do(self, body: Callable[[Life], Awaitable[Result]]) -> Result:
        """Run a coroutine of the keymaster's life, in its loop."""

        async def run() -> Result:
            return await body(self.life)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def fetch(self, url: str, method: str = "GET", **options: Any) -> httpx.Response:
        """What another client than a browser gets; names under `localhost` are not everywhere known."""
        context = ssl.create_default_context(cafile=str(self.authority))
        address = httpx.URL(url).copy_with(host="127.0.0.1")
        headers = {"Host": f"approve.localhost:{self.port}", **options.pop("headers", {})}
        with httpx.Client(verify=context, timeout=20) as client:
            return client.request(
                method, address, headers=headers, extensions={"sni_hostname": "approve.localhost"}, **options
            )

    def invite(self, person: str, name: str) -> str:
        """The address of an enrolment link."""

        async def body(life: Life) -> str:
            return life.room.candidates.invite(person, name)

        return f"{self.url}/enrol/{self.do(body)}"

    def console_words(self, person: str) -> tuple[str, str]:
        """A candidate's id and words, as the console shows them."""

        async def body(life: Life) -> tuple[str, str]:
            one = next(one for one in life.room.candidates.all() if one.person == person)
            return one.id, one.words

        return self.do(body)

    def console_code(self, candidate: str) -> str:
        async def body(life: Life) -> str:
            return life.room.candidates.show_code(candidate)

        return self.do(body)

    def found(self, threshold: int = 1) -> Constitution:
        """The first constitution, of all who are confirmed."""

        async def body(life: Life) -> Constitution:
            room = life.room
            rules = ApprovalRules(rp_id="approve.localhost", origins=[self.url], backup_eligible=True)
            candidates = room.candidates.confirmed()
            made = first_constitution(room.settings, rules, candidates, threshold, {}, life.engine.clock())
            await found(room, made, life.engine.clock())
            return made

        return self.do(body)

    def submit(self, *actions: msgspec.Struct, requester: str, title: str = "A test", reason: str = "Why not") -> str:
        async def body(life: Life) -> str:
            text = await life.engine.draft(requester, title, reason, msgspec.json.encode(list(actions)), 24)
            return await life.engine.submit(text)

        return self.do(body)

    def amendment(self, person: str) -> AmendConstitution:
        """A constitution in which a confirmed candidate is an officer of the box too."""

        async def body(life: Life) -> AmendConstitution:
            law = life.room.constitutions.in_force()
            one = next(one for one in life.room.candidates.confirmed() if one.person == person)
            new = Person(id=one.person, name=one.name, credentials=[one.credential])
            scopes = [
                msgspec.structs.replace(scope, officers=[*scope.officers, person]) if scope.name == BOX else scope
                for scope in law.scopes
            ]
            return AmendConstitution(
                constitution=msgspec.structs.replace(
                    law,
                    version=law.version + 1,
                    previous=law.digest,
                    issued=instant_text(life.engine.clock()),
                    persons=[*law.persons, new],
                    scopes=scopes,
                )
            )

        return self.do(body)

    def run(self, ready: threading.Event) -> None:
        """The keymaster's thread."""

        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            async with self.bench.life() as self.life:
                server = approval_server(self.life.engine, self.life.executions)
                self.bench.home.approve_socket.parent.mkdir(parents=True, exist_ok=True)
                await server.listen(self.bench.home.approve_socket)
                ready.set()
                await self._stop.wait()
                await server.stop()

        asyncio.run(main())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)


@contextlib.contextmanager
def stage(bench: Bench) -> Iterator[Stage]:
    """The keymaster and the front, up."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        bench.settings = msgspec.structs.replace(
            bench.settings,
            front=msgspec.structs.replace(bench.settings.front, management=f"127.0.0.1:{port}"),
        )
        if os.geteuid() == 0:  # nginx started by root works as `nobody`
            bench.home.root.chmod(0o755)
            nobody = pwd.getpwnam("nobody").pw_uid
            users = msgspec.structs.replace(bench.settings.users, front=nobody, keymaster=os.getegid())
            bench.settings = msgspec.structs.replace(bench.settings, users=users)
        bench.start()
        made = Stage(bench, port)
        ready = threading.Event()
        thread = threading.Thread(target=made.run, args=(ready,), name="keymaster")
        thread.start()
        assert ready.wait(30)
        try:
            with _front(bench, listener):
                yield made
        finally:
            made.stop()
            thread.join(30)


@contextlib.contextmanager
def _front(bench: Bench, listener: socket.socket) -> Iterator[None]:
    home = bench.home
    _certificates(home.front, home.trust / "box-ca.pem")
    address = "{}:{}".format(*listener.getsockname())
    path = write_front(home, bench.settings, [Listener("management", address)], MANAGEMENT_FRONT)
    descriptor = listener.fileno()
    front = subprocess.Popen(
        [process.nginx(), "-c", str(path), "-p", str(home.front)],
        env={**os.environ, "NGINX": f"{descriptor};"},
        pass_fds=[descriptor],
    )
    try:
        deadline = time.monotonic() + 20
        while not (home.front / f"{MANAGEMENT_FRONT}.pid").exists():
            assert front.poll() is None, "nginx did not start"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield
    finally:
        front.terminate()
        front.wait(20)


def _certificates(front: Path, authority: Path) -> None:
    """A CA and the front's certificate, as provisioning makes them."""
    front.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test box CA")])
    ca = (
        x509.CertificateBuilder()
        .subject_name(issuer)
        .issuer_name(issuer)
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName("approve.localhost")]), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    authority.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (front / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (front / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
