"""Who asks the public listener too often is told so, whatever was asked, and nobody else waits for it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

import httpx
import pytest

from appliance.client import Client
from firmware_tests.letters.test_letters import bid
from firmware_tests.patient import Patient
from firmware_tests.running import RunningBox

MOST = 400
"""Requests in which a limit of two a second, after a burst of 20, bites on the slowest machine."""
Asks = Callable[[httpx.Client], httpx.Response]


def stranger(box: RunningBox, address: str, *, patient: bool = False) -> httpx.Client:
    """Somebody at an address of their own, with the box's CA and no certificate."""
    context = ssl.create_default_context(cafile=str(box.home.trust / "box-ca.pem"))
    kind = Patient if patient else httpx.HTTPTransport
    transport = kind(verify=context, local_address=address)
    return httpx.Client(base_url=f"https://{box.address('public')}", transport=transport, timeout=30)


@pytest.fixture
def hasty(letter_box: RunningBox) -> Iterator[httpx.Client]:
    with stranger(letter_box, "127.0.0.77") as made:
        yield made


@pytest.fixture
def neighbour(letter_box: RunningBox) -> Iterator[httpx.Client]:
    with stranger(letter_box, "127.0.0.78") as made:
        yield made


def until_refused(client: httpx.Client, ask: Asks) -> httpx.Response:
    """The first answer that the front's limit gives; before it there are others."""
    for _ in range(MOST):
        answer = ask(client)
        if answer.status_code == 429:
            return answer
    raise AssertionError(f"{MOST} requests, and no limit")


def told(answer: httpx.Response) -> tuple[object, ...]:
    """Everything that an answer tells, but for the time of day."""
    return answer.content, {name: value for name, value in answer.headers.items() if name != "date"}


def by_code(code: str, second: str) -> Asks:
    return lambda client: client.post("/v1/check", json={"code": code, "second": second})


def by_pair(first: str) -> Asks:
    return lambda client: client.post("/v1/check/pair", json={"kind": "bid-bond", "first": first, "second": "T-1"})


def by_file(content: bytes) -> Asks:
    headers = {"Content-Type": "application/pdf"}
    return lambda client: client.post("/v1/check/file", content=content, headers=headers)


def on_page(code: str, second: str) -> Asks:
    return lambda client: client.post(f"/letters/{code}", data={"second": second})


def file_on_page(content: bytes) -> Asks:
    return lambda client: client.post("/letters/file", files={"file": ("x.pdf", content, "application/pdf")})


def test_whoever_asks_too_often_is_told_the_same_whatever_was_asked(
    client: Client, letter_box: RunningBox, hasty: httpx.Client, neighbour: httpx.Client
) -> None:
    fields = bid()
    letter, second = client.begin_letter("bid-bond", fields).happened.letter, str(fields["tender_code"])
    right, wrong_code, wrong_second = by_code(letter, second), by_code("00" * 16, second), by_code(letter, "T-0")
    assert right(hasty).status_code == 200
    limited = [until_refused(hasty, ask) for ask in (right, wrong_code, wrong_second, by_pair(second))]
    assert len({str(told(answer)) for answer in limited}) == 1
    assert limited[0].headers["content-type"] == "application/problem+json"
    assert int(limited[0].headers["retry-after"]) >= 1
    problem = limited[0].json()
    assert (problem["type"], problem["status"]) == ("urn:cinnabar:problem:too-many-requests", 429)
    assert problem["retriable"] is True
    # The pages share the limit, and say it to people.
    pages = [
        until_refused(hasty, ask)
        for ask in (on_page(letter, second), on_page("00" * 16, second), on_page(letter, "T-0"), lambda c: c.get("/"))
    ]
    assert len({str(told(page)) for page in pages}) == 1
    assert pages[0].headers["content-type"] == "text/html; charset=utf-8"
    assert int(pages[0].headers["retry-after"]) >= 1
    assert "查验过于频繁" in pages[0].text
    assert "Too many checks" in pages[0].text
    assert "default-src 'none'" in pages[0].headers["content-security-policy"]
    assert letter not in pages[0].text
    # Files have a limit of their own, another address has its own, and so has the box's work for applications.
    assert by_file(b"%PDF-1.7")(hasty).status_code == 404
    assert right(neighbour).status_code == 200
    assert {wrong_code(neighbour).status_code, wrong_second(neighbour).status_code} == {404}
    with letter_box.http(transport=httpx.HTTPTransport(verify=letter_box.tls(), local_address="127.0.0.77")) as same:
        assert {same.get(f"/v1/letters/{letter}").status_code for _ in range(40)} == {200}
    with stranger(letter_box, "127.0.0.77", patient=True) as waiting:
        assert right(waiting).status_code == 200, "who waits is answered again"


def test_files_are_looked_up_more_seldom_still(client: Client, hasty: httpx.Client, neighbour: httpx.Client) -> None:
    made = client.begin_letter("bid-bond", bid(), document=True).happened
    pdf = made.beside["letter.pdf"]
    limited = [until_refused(hasty, by_file(content)) for content in (b"%PDF-1.7", pdf)]
    assert len({str(told(answer)) for answer in limited}) == 1
    assert limited[0].json()["type"] == "urn:cinnabar:problem:too-many-requests"
    page = until_refused(hasty, file_on_page(pdf))
    assert ("查验过于频繁" in page.text, page.headers["retry-after"]) == (True, "1")
    assert by_file(pdf)(neighbour).status_code == 200


def test_the_rest_of_the_listener_has_its_own_limit(hasty: httpx.Client) -> None:
    until_refused(hasty, by_pair("nobody"))
    assert {hasty.get("/no-such-path").status_code for _ in range(30)} == {404}


def test_a_body_too_large_for_a_page_is_still_told_so(neighbour: httpx.Client) -> None:
    answer = neighbour.post(f"/letters/{'00' * 16}", content=bytes(5000))
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
