"""One box for all rows: its tenants are the institutions that rows speak of, its desks their counterparts' programs."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from appliance.box.home import Home
from appliance.box.settings import read_settings, write_settings
from appliance.ceremonies.actions import InstallAdapter
from appliance.client import Client, Credentials
from appliance.keymaster.actions.adapters import keep as keep_adapter
from appliance.keymaster.actions.partners import keep
from appliance.letters.approvers import FILE
from firmware_tests.filing.authority import Authority
from firmware_tests.gateway.docking import Partner, connected, profile_of
from firmware_tests.gateway.partner import Party
from firmware_tests.mgmt_service.managed import OFFICERS, ManagedBox, Visitor
from firmware_tests.patient import Patient
from firmware_tests.running import RunningBox
from firmware_tests.scenarios.systems.claims import take_shown
from firmware_tests.scenarios.systems.desks import DESKS
from firmware_tests.scenarios.systems.markers import written
from firmware_tests.scenarios.systems.members import Member, joined
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.overseers import Overseer
from firmware_tests.scenarios.systems.practice import Offline, wait_until

TENANTS = ("guarantor", "bank", "second-bank", "platform", "supervisor")
"""A guarantor (bank, insurer or guarantee company), two banks, a platform, a supervising authority."""
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def office() -> Office:
    """Who approves."""
    return Office()


@pytest.fixture(scope="session")
def fund(open_directory: Path) -> Iterator[Authority]:
    """An authority with a TLS server of its own, where the guarantor files by two versions of an interface."""
    made = Authority(open_directory / "fund")
    yield made
    made.close()


@pytest.fixture(scope="session")
def hall(open_directory: Path, office: Office, fund: Authority) -> Iterator[ManagedBox]:
    """The town's box with its officers and their pages: every tenant with the kinds that ship, and desks that may do
    only what their role lets them. What one officer asks for, two others approve: one of them executes nothing."""
    made = ManagedBox(open_directory / "town", *TENANTS)
    box = made.running
    box.provision()
    _install_own(box.home)
    _file_with(box.home, fund)
    for tenant in TENANTS:
        office.put_in_force(box.home, tenant)
    subprocess.run(
        (sys.executable, "-m", "firmware_tests.scenarios.systems.desks", box.home.root),
        check=True,
        timeout=60,
        cwd=ROOT,
    )
    made.start("--public", "127.0.0.1:0")
    with box.admin() as admin:
        for desk in DESKS:
            admin.enrol_application(desk.tenant, desk.name, desk.permissions)
            shown = x509.load_pem_x509_certificate((box.home.clients / f"{desk.name}.crt").read_bytes())
            begins, ends = int(shown.not_valid_before_utc.timestamp()), int(shown.not_valid_after_utc.timestamp())
            admin.enrol_certificate(desk.tenant, desk.name, shown.fingerprint(hashes.SHA256()), begins, ends)
    with made.console() as console:
        office.enrol(console)
    made.found_with({scope: OFFICERS for scope in ("box", *(f"tenant/{tenant}" for tenant in TENANTS))}, threshold=2)
    wait_until(lambda: all((box.home.policies / tenant / FILE).exists() for tenant in TENANTS))
    yield made
    assert made.stop() == 0, box.said()


@pytest.fixture(scope="session")
def town(hall: ManagedBox) -> RunningBox:
    """The box itself."""
    return hall.running


@pytest.fixture(scope="session")
def ann(hall: ManagedBox) -> Visitor:
    """An officer of every institution of the town, signed in at its pages."""
    return hall.signed_in("ann")


@pytest.fixture
def overseers(hall: ManagedBox, ann: Visitor) -> Callable[..., Overseer]:
    """overseers(person, *tenants): a supervisory authority's or an investor's person whom officers of these tenants let
    read their letters, signed in by the link that they sent her."""

    def made(person: str, *tenants: str) -> Overseer:
        ann.sign_in()  # naming a reader wants a fresh passkey
        return Overseer.named(hall, ann, person, tenants)

    return made


def _file_with(home: Home, fund: Authority) -> None:
    """Adapters for three interfaces of a fund and for a register, as the keymaster would have kept them, and their host
    among those allowed."""
    settings = msgspec.structs.replace(read_settings(home.settings), filing_hosts=(fund.host,))
    write_settings(home.settings, settings)
    for version in ("4.0", "4.1", "5.0"):
        name = version.replace(".", "")
        later = version == "5.0"
        text = fund.adapter(id=f"fund-{name}", interface=version, path=f"v{name}", key="guarantor-seal", later=later)
        keep_adapter(home, settings, InstallAdapter(tenant="guarantor", adapter=text))
    text = (Path(__file__).parent / "adapters" / "zhongdeng.toml").read_text().replace("HOST", fund.host)
    for name, file in (("CA", "ca"), ("CERTIFICATE", "receipts")):
        text = text.replace(f'"""\n{name}"""', f'"""\n{(fund.directory / f"{file}.crt").read_text()}"""')
    keep_adapter(home, settings, InstallAdapter(tenant="platform", adapter=text))


def _install_own(home: Home) -> None:
    """What is no part of the catalogue: a product, and a contract that two institutions seal; put where the keymaster
    puts kinds."""
    for tenant, kind in (("guarantor", "tariff-bond"), ("guarantor", "joint-contract"), ("bank", "joint-contract")):
        directory = home.kinds / tenant / kind
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "1.toml").write_bytes((Path(__file__).parent / "kinds" / f"{kind}.toml").read_bytes())


@pytest.fixture(scope="session")
def clients(town: RunningBox) -> Iterator[Callable[[str], Client]]:
    """A client by the name of its application, `TENANT-app` or a desk's."""
    with ExitStack() as stack:
        made: dict[str, Client] = {}

        def client(name: str) -> Client:
            if name not in made:
                directory = town.home.clients
                credentials = Credentials(
                    directory / f"{name}.crt", directory / f"{name}.key", town.home.trust / "box-ca.pem"
                )
                made[name] = stack.enter_context(Client(town.url, credentials=credentials))
            return made[name]

        yield client


@pytest.fixture(scope="session")
def guarantor(clients: Callable[[str], Client]) -> Client:
    """Its core system: it may do everything of its tenant."""
    return clients("guarantor-app")


@pytest.fixture(scope="session")
def bank(clients: Callable[[str], Client]) -> Client:
    """Likewise."""
    return clients("bank-app")


@pytest.fixture(scope="session")
def second_bank(clients: Callable[[str], Client]) -> Client:
    """Likewise."""
    return clients("second-bank-app")


@pytest.fixture(scope="session")
def platform(clients: Callable[[str], Client]) -> Client:
    """Likewise."""
    return clients("platform-app")


@pytest.fixture(scope="session")
def supervisor(clients: Callable[[str], Client]) -> Client:
    """Likewise."""
    return clients("supervisor-app")


@pytest.fixture(scope="session")
def beneficiary(clients: Callable[[str], Client]) -> Client:
    """A beneficiary's program at the guarantor: it may claim and release for OWNER, and nothing else."""
    return clients("beneficiary-desk")


@pytest.fixture(scope="session")
def supplier(clients: Callable[[str], Client]) -> Client:
    """A program that serves all suppliers of the platform: applicant, holder, borrower and subject of consents."""
    return clients("supplier-desk")


@pytest.fixture(scope="session")
def second_tier(clients: Callable[[str], Client]) -> Client:
    """One supplier's own program at the platform: it acts for SECOND_TIER alone."""
    return clients("second-tier-desk")


@pytest.fixture(scope="session")
def core_firm(clients: Callable[[str], Client]) -> Client:
    """The core firm's program at the platform: debtor of vouchers, buyer of orders."""
    return clients("core-desk")


@pytest.fixture(scope="session")
def other_bank(clients: Callable[[str], Client]) -> Client:
    """One bank's own program at the platform: it acts for OTHER_BRANCH alone."""
    return clients("other-bank-desk")


@pytest.fixture(scope="session")
def branch(clients: Callable[[str], Client]) -> Client:
    """One branch's own program at the bank: it acts for OTHER_BRANCH alone."""
    return clients("branch-desk")


@pytest.fixture(scope="session")
def funder(clients: Callable[[str], Client]) -> Client:
    """A funding bank's program at the platform."""
    return clients("funder-desk")


@pytest.fixture
def join(hall: ManagedBox, tmp_path: Path) -> Iterator[Callable[..., Member]]:
    """join(tenant, name, role, party): a program that gets a certificate of its own by itself; `party`: the id of the
    firm whose program it is."""
    with ExitStack() as stack:

        def made(tenant: str, name: str, role: str, party: str | None = None) -> Member:
            member = joined(hall, tenant, name, role, party, tmp_path)
            stack.enter_context(member.client)
            return member

        yield made


@pytest.fixture(scope="session")
def docks(town: RunningBox, open_directory: Path) -> Iterator[dict[str, Partner]]:
    """Partners that speak by messages: none of the box's code, openssl's keys. By name."""
    made: dict[str, Partner] = {}
    signing = (("ES256", "ECDH-ES", "envelope"), ("RS256", "RSA-OAEP-256", "jose"))
    for number, desk in enumerate(desk for desk in DESKS if desk.kinds):
        sign, encrypt, format_ = signing[number % 2]
        party = Party(open_directory / "docks" / desk.name, sign, encrypt)
        partner = Partner(town, desk.tenant, desk.name, party, format_, connected(town, desk.name))
        keep(town.home, profile_of(partner, desk.kinds), "0" * 64, 0)  # as the keymaster would have, after a ceremony
        made[desk.name] = partner
    yield made
    for partner in made.values():
        partner.http.close()


@pytest.fixture(scope="session")
def anybody(town: RunningBox) -> Iterator[httpx.Client]:
    """Somebody on the network without a certificate, at the public listener."""
    context = ssl.create_default_context(cafile=str(town.home.trust / "box-ca.pem"))
    with httpx.Client(base_url=f"https://{town.address('public')}", transport=Patient(verify=context)) as client:
        yield client


@pytest.fixture
def offline(town: RunningBox, tmp_path: Path) -> Offline:
    """Checks files with `cinnabar verify`, with the trust bundle and nothing else of the box."""
    return Offline(town.home.trust, tmp_path)


@pytest.fixture(autouse=True)
def _came_past_its_markers(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that passes has shown every claim that docs/systems.md takes from its source."""
    take_shown()
    yield
    path = Path(request.path)
    came_past = take_shown()
    if getattr(request.node, "passed_its_call", False):
        assert came_past == written(path.read_text(), path.name, request.node.name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.when == "call":
        item.passed_its_call = report.passed  # type: ignore[attr-defined]
    return report
