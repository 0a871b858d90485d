"""Controls RECORD and ONCE under kill -9 at named steps: a worker or the recorder dies amid a split and a batch.

Whoever asked asks again with the same key. Nothing exists twice, every sum is what it was, and each signature that is
on no record was in flight in a process that was killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from appliance.api.letters.schemas import Letter, LetterAnswer
from appliance.client import Client, Credentials, RetryPolicy
from appliance.client.errors import ApiError
from appliance.client.intake_files import all_verdicts, send_intake, watch_intake
from appliance.client.retries import new_idempotency_key
from firmware_tests.gateway.conftest import enrolled
from firmware_tests.gateway.docking import Partner, connected
from firmware_tests.gateway.partner import Party
from firmware_tests.governed import governed
from firmware_tests.intake.files import cells, csv_file
from firmware_tests.letters.kinds import install
from firmware_tests.running import RunningBox, cinnabar, wait_until
from firmware_tests.scenarios.deaths import Deaths
from firmware_tests.scenarios.systems.practice import firm
from firmware_tests.scenarios.systems.vouchers import parts, voucher

ROOT = Path(__file__).parents[2]
PATIENT = RetryPolicy(attempts=400, first_s=0.05, longest_s=0.2)
FACE = Decimal("900000.00")
SHARES = ("500000.00", "120000.00", "79999.99")


@dataclass(frozen=True)
class Step:
    """Where somebody dies."""

    name: str
    times: int = 1
    """How often it is passed until then."""
    lost: int = 0
    """Signatures that are on no record after it."""
    happened: bool = True
    """Whether it happened all the same, before it is asked for again."""


@dataclass
class Mortal:
    """A box whose processes die on order."""

    box: RunningBox
    partner: Partner
    deaths: Deaths
    lost: dict[int, int] = field(default_factory=dict)
    """By process: signatures that a killed one had made, or was about to make, and put on no record."""

    def client(self, retries: RetryPolicy = PATIENT) -> Client:
        certificate, key = self.box.credentials()
        credentials = Credentials(certificate, key, self.box.home.trust / "box-ca.pem")
        return Client(self.box.url, credentials=credentials, retries=retries)

    def died(self, step: Step) -> bool:
        """Whether somebody died at the step that was ordered last."""
        process = self.deaths.dead
        if process is not None and step.lost:
            self.lost[process] = step.lost
        return process is not None

    def runs(self) -> list[dict[str, Any]]:
        told = cinnabar("counts", "--home", str(self.box.home.root), "--json", "--limit", "1000")
        assert told.returncode == 0, told.stdout + told.stderr
        return json.loads(told.stdout)["runs"]  # type: ignore[no-any-return]

    def explained(self) -> bool:
        """Whether every call of C_Sign is a row, a typed drop, or in flight in a process that was killed."""
        differences = {run["process"]: run["difference"] for run in self.runs() if run["difference"]}
        return differences == self.lost


@pytest.fixture(scope="module")
def mortal(open_directory: Path) -> Iterator[Mortal]:
    root = open_directory / "mortal"
    root.mkdir()
    deaths = Deaths(root / "deaths")

    def prepare(box: RunningBox) -> None:
        install(box.home, "demo")
        deaths.prepare(box)
        output = box.home.clients / "srm-demo"
        command = (sys.executable, "-m", "firmware_tests.scenarios.issue_client", box.home.root, output, "0")
        subprocess.run(command, check=True, timeout=60, cwd=ROOT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(deaths.code))  # the supervisor's, which starts parts again at once
        made = governed(root / "box", "demo", prepare=prepare)
    try:
        with connected(made.box, "srm-demo") as http:
            party = Party(root / "party", "ES256", "ECDH-ES")
            partner = Partner(made.box, "demo", "srm", party, "envelope", http)
            application, certificate, profile = enrolled(partner, made.box.home.clients)
            roles = [*application.permissions, "role-holder", "party-*"]  # type: ignore[attr-defined]
            application = msgspec.structs.replace(application, permissions=roles)
            made.decide([application, certificate, msgspec.structs.replace(profile, kinds=["credit-voucher"])])
            yield Mortal(made.box, partner, deaths)
    finally:
        status = made.box.stop()
    assert status == 0, made.box.said()


@pytest.fixture
def client(mortal: Mortal) -> Iterator[Client]:
    with mortal.client() as made:
        yield made


SPLIT = [
    Step("worker: before C_Sign", 1, 1, happened=False),
    Step("worker: after C_Sign", 1, 1, happened=False),
    Step("worker: before the record is sent", 1, 2, happened=False),
    Step("worker: after the recorder's answer"),
    Step("recorder: before the transaction"),
    Step("recorder: between effects", 2),
    Step("recorder: parts written, their origin not"),
    Step("recorder: letters written, events not"),
    Step("recorder: before COMMIT"),
    Step("recorder: after COMMIT"),
    Step("recorder: in a checkpoint"),
]
"""Signed are its seal and the time-stamp of that. Where the recorder dies, its worker is patient and sends again."""
MESSAGE = [
    Step("worker: before C_Sign", 3, 3, happened=False),
    Step("worker: before the record is sent", 1, 3, happened=False),
    Step("worker: after the recorder's answer"),
    Step("recorder: before COMMIT"),
    Step("recorder: after COMMIT"),
]
"""A split that a partner asks for: its answer is signed last."""
BONDS = 4
BATCH = [
    Step("worker: before C_Sign", 3, 3),
    Step("worker: after C_Sign", BONDS + 1, BONDS + 1),
    Step("worker: before the record is sent", 2, BONDS + 1),
    Step("worker: after the recorder's answer"),
    Step("recorder: between effects", 3),
    Step("recorder: before COMMIT", 2),
    Step("recorder: after COMMIT"),
    Step("recorder: in a checkpoint"),
]
"""Of two slices, each of a row a bond: the second begins where a bond comes again. Signed are a slice's rows, and then
the time-stamp over them."""
Ask = Callable[[], bytes | None]
"""Ask once; the answer, or None where there was none."""


def held(client: Client) -> str:
    """A voucher of FACE that is held."""
    letter = client.begin_letter("credit-voucher", voucher(str(FACE))).happened.letter
    client.letter_event(letter, "confirm")
    return letter


def transfer() -> dict[str, Any]:
    """To three holders."""
    return parts(*((share, firm("三级供应商模具厂")) for share in SHARES))


def by_application(mortal: Mortal, letter: str) -> Ask:
    key, data = new_idempotency_key(), transfer()

    def ask() -> bytes | None:
        with mortal.client(RetryPolicy(attempts=1)) as client:
            try:
                answer = client.letter_event(letter, "transfer", data=data, idempotency_key=key)
            except ApiError as error:
                if RetryPolicy().pause(1, error, True, None) is None:
                    raise
                return None
        return msgspec.json.encode(answer)

    return ask


def by_partner(mortal: Mortal, letter: str) -> Ask:
    partner = mortal.partner
    asked = {"call": "event", "letter": letter, "request": {"event": "transfer", "data": transfer()}}
    message = partner.write(asked)

    def ask() -> bytes | None:
        headers = {"content-type": partner.media}
        try:
            answer = partner.http.post(partner.path, content=message, headers=headers)
        except httpx.TransportError:
            return None
        if answer.status_code >= 500:
            return None
        assert answer.status_code == 200, answer.text
        return answer.content

    return ask


def killed(mortal: Mortal, step: Step, ask: Ask) -> bytes | None:
    """What was answered while somebody died at the step."""
    mortal.deaths.order(step.name, step.times)
    while True:
        answer = ask()
        if mortal.died(step):
            return answer
        assert answer is None, f"{step}: nobody passed it"


def repeated(ask: Ask) -> bytes:
    """Asked until it is answered."""
    found: list[bytes] = []

    def answered() -> bool:
        answer = ask()
        if answer is not None:
            found.append(answer)
        return answer is not None

    wait_until(answered, 60, "an answer")
    return found[0]


def family(client: Client, letter: str) -> list[Letter]:
    """A voucher and the vouchers that were split off it, of all that there are."""
    found, after = list[Letter](), None
    while True:
        page = client.letters(kind="credit-voucher", after=after)
        found += page.letters
        after = page.next
        if after is None:
            break
    assert len({one.letter for one in found}) == len(found)
    return [one for one in found if letter in {one.letter, one.origin}]


def balances(letters: list[Letter]) -> list[Decimal]:
    return sorted(Decimal(one.balance or "0") for one in letters)


def verified(mortal: Mortal, client: Client, letters: list[str], directory: Path) -> None:
    files = []
    for letter in letters:
        files.append(directory / f"{letter}.asice")
        files[-1].write_bytes(client.evidence(letter))
    checked = cinnabar("verify", "--trust", str(mortal.box.home.trust), *map(str, files))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("asking", "steps"), [(by_application, SPLIT), (by_partner, MESSAGE)])
def test_a_split_happens_once_wherever_somebody_dies(
    mortal: Mortal, client: Client, tmp_path: Path, asking: Callable[[Mortal, str], Ask], steps: list[Step]
) -> None:
    whole, split = [FACE], sorted([*map(Decimal, SHARES), FACE - sum(map(Decimal, SHARES))])
    letters: list[str] = []
    for step in steps:
        letter = held(client)
        ask = asking(mortal, letter)
        first = killed(mortal, step, ask)
        assert (first is not None) == step.name.startswith("recorder"), step
        between = family(client, letter)
        assert balances(between) == (split if step.happened else whole), step
        answer = repeated(ask)
        assert first in {None, answer}, step
        assert repeated(ask) == answer, step
        after = family(client, letter)
        assert balances(after) == split, step
        assert not step.happened or after == between, step
        assert len(client.letter_events(letter).events) == 3, step
        if asking is by_application:
            told = msgspec.json.decode(answer, type=LetterAnswer)
            assert {letter, *told.parts} == {one.letter for one in after}, step
        letters += [one.letter for one in after]
    verified(mortal, client, letters, tmp_path)
    wait_until(mortal.explained, 30, f"{mortal.lost} and nothing else in {mortal.runs()}")


def bonds(client: Client, directory: Path) -> list[str]:
    """Performance bonds, each of 100,000.00."""
    file = directory / "bonds.csv"
    file.write_bytes(csv_file([cells(one) for one in range(BONDS)]))
    mapping = {"币种": "fields.amount.currency"}
    run = watch_intake(client, send_intake(client, "performance-bond", file, mapping=mapping).intake, every_s=0.05)
    letters = [one.letter or "" for one in all_verdicts(client, run.intake)]
    for letter in letters:
        client.letter_event(letter, "issue")
    return letters


def test_a_batch_moves_value_once_wherever_somebody_dies(mortal: Mortal, client: Client, tmp_path: Path) -> None:
    letters = bonds(client, tmp_path)
    left, events = Decimal("100000.00"), 2
    mapping = {"bond": "letter", "by": "data.by.amount", "of": "data.by.currency"}
    for number, step in enumerate(BATCH, 1):
        by = Decimal(f"{number}.01")
        file = tmp_path / f"{number}.csv"
        file.write_bytes(csv_file([(one, str(by), "CNY") for one in letters * 2], ("bond", "by", "of")))
        wanted = {"event": "reduce", "mapping": mapping, "idempotency_key": new_idempotency_key()}
        mortal.deaths.order(step.name, step.times)
        run = send_intake(client, "performance-bond", file, **wanted)
        wait_until(lambda: mortal.died(step), 60, f"the death at {step}")  # noqa: B023
        assert send_intake(client, "performance-bond", file, **wanted).intake == run.intake, step
        run = watch_intake(client, run.intake, every_s=0.05)
        assert (run.state, run.accepted, run.duplicate, run.refused) == ("done", 2 * BONDS, 0, 0), step
        assert [one.letter for one in all_verdicts(client, run.intake)] == letters * 2, step
        left, events = left - 2 * by, events + 2
        del wanted["idempotency_key"]
        again = watch_intake(client, send_intake(client, "performance-bond", file, **wanted).intake, every_s=0.05)
        assert (again.state, again.accepted, again.duplicate) == ("done", 0, 2 * BONDS), step
        stand = [client.letter(one) for one in letters]
        assert [(Decimal(one.balance or "0"), one.number) for one in stand] == [(left, events)] * BONDS, step
    there = client.letters(kind="performance-bond")
    assert sorted(one.letter for one in there.letters) == sorted(letters)
    verified(mortal, client, letters, tmp_path)
    wait_until(mortal.explained, 30, f"{mortal.lost} and nothing else in {mortal.runs()}")
