"""Letters checked by whoever holds them, with the code and a second field: by JSON and on the plain page."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import uuid
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import sync_playwright

from appliance.api.letters.multipart import file_within
from appliance.client import Client
from appliance.letters.kind import read_kind
from appliance.letters.shipped import shipped
from firmware_tests import accessible
from firmware_tests.browsers import CHROMIUM, SCREENSHOTS
from firmware_tests.evidence.corpus import PACKED
from firmware_tests.evidence.test_letters import good
from firmware_tests.letters.conftest import LETTERS_URL
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.letters.test_evidence_file import taken
from firmware_tests.letters.test_letters import bid
from firmware_tests.patient import Patient
from firmware_tests.running import RunningBox


@pytest.fixture
def anybody(letter_box: RunningBox):
    """A stranger with the box's CA, and no certificate of its own."""
    context = ssl.create_default_context(cafile=str(letter_box.home.trust / "box-ca.pem"))
    transport = Patient(verify=context)
    with httpx.Client(base_url=f"https://{letter_box.address('public')}", transport=transport) as client:
        yield client


def test_who_has_the_letter_is_told_what_its_kind_makes_public(client: Client, anybody: httpx.Client) -> None:
    fields = bid()
    letter = client.begin_letter("bid-bond", fields).happened.letter
    found = anybody.post("/v1/check", json={"code": letter, "second": f" {fields['tender_code']} ".lower()}).json()
    assert found["state"] == {"en": "Issued", "zh": "已出函"}
    assert {one["name"]: one["value"] for one in found["fields"]} == {
        name: fields[name] for name in ("tender_code", "amount", "valid_until")
    }
    client.letter_event(letter, "release")
    found = anybody.post("/v1/check", json={"code": letter, "second": fields["tender_code"]}).json()
    assert (found["state"]["en"], found["final"]) == ("Released", True)
    assert "bidder" not in str(found)


def test_wrong_codes_and_wrong_fields_are_answered_alike(client: Client, anybody: httpx.Client) -> None:
    fields = bid()
    letter = client.begin_letter("bid-bond", fields).happened.letter
    asked = [
        {"code": "00" * 16, "second": fields["tender_code"]},
        {"code": letter, "second": "T-0"},
        {"code": letter, "second": ""},
    ]
    answers = [anybody.post("/v1/check", json=one) for one in asked]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    pages = [anybody.post(f"/letters/{one['code']}", data={"second": one["second"]}) for one in asked]
    assert {page.status_code for page in pages} == {404}
    assert len({page.text.replace(str(one["code"]), "") for page, one in zip(pages, asked, strict=True)}) == 1


def test_a_code_as_people_type_it(client: Client, anybody: httpx.Client) -> None:
    fields = bid()
    letter = client.begin_letter("bid-bond", fields).happened.letter
    typed = f" {letter[:8].upper()} {letter[8:]}\u3000"
    for page in (anybody.get(f"/letters/{quote(typed)}"), anybody.get("/", params={"code": typed})):
        assert (page.status_code, letter in page.text, "第二项要素" in page.text) == (200, True, True)
    answer = anybody.post(f"/letters/{quote(typed)}", data={"second": fields["tender_code"]})
    assert (answer.status_code, "已出函" in answer.text) == (200, True)
    for wrong in (letter[1:], letter + "0", "not/a/code", "<script>", "函\n", "0" * 500):
        path = f"/letters/{quote(wrong)}"
        for page in (anybody.get(path), anybody.post(path, data={"second": str(fields["tender_code"])})):
            assert page.status_code == 404
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert "这不是函件编号" in page.text
            assert "<script" not in page.text


def test_checking_begins_at_the_address_itself(client: Client, anybody: httpx.Client) -> None:
    page = anybody.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert anybody.get("/letters/").text == page.text
    assert 'name="code"' in page.text
    assert 'name="file"' in page.text
    shown = set(re.findall(r"/letters/find\?kind=([a-z-]+)", page.text))
    kinds = [read_kind(text).kind for text in shipped().values()]
    assert shown == {one.id for one in kinds if one.pair is not None and one.public}
    assert "bid-bond" in shown
    for kind in shown:
        assert 'name="first"' in anybody.get("/letters/find", params={"kind": kind}).text


def test_by_a_pair_of_fields_from_the_opening_on(client: Client, other: Client, anybody: httpx.Client) -> None:
    bidder = {"name": f"岭南路桥 {uuid.uuid4().hex[:8]}", "id": "91440101MA5CXXXX1K"}
    opened, later = (bid(bidder=bidder, opening=f"{year}-01-05T01:30:00Z") for year in ("2026", "2099"))
    for fields in (opened, later):
        client.begin_letter("bid-bond", fields)
    letter = other.begin_letter("bid-bond", opened).happened.letter  # another institution's, for the same tender
    other.letter_event(letter, "release")

    def ask(**changed: str) -> httpx.Response:
        given = {"kind": "bid-bond", "first": bidder["name"], "second": str(opened["tender_code"])}
        return anybody.post("/v1/check/pair", json=given | changed)

    found = ask(first=f" {bidder['name'].upper()} ").json()["letters"]
    assert [one["state"]["en"] for one in found] == ["Issued", "Released"]
    assert found[0]["issuer"] != found[1]["issuer"]
    assert "code" not in found[0]
    assert {one["name"] for one in found[0]["fields"]} == {"tender_code", "amount", "valid_until"}
    wrong = [
        ask(first="别的公司"), ask(second="T-0"), ask(second=str(later["tender_code"])), ask(kind="wage-bond"),
        ask(kind="no-such-kind"), ask(second=""), ask(first="\u202e"), ask(first="x" * 300),
        ask(first=str(opened["tender_code"]), second=bidder["name"]),
    ]  # fmt: skip
    assert {answer.status_code for answer in wrong} == {404}
    assert len({answer.content for answer in wrong}) == 1


def test_by_a_pair_that_has_changed_and_by_that_which_it_had(client: Client, anybody: httpx.Client) -> None:
    fields = bid(opening="2026-01-05T01:30:00Z")
    letter = client.begin_letter("bid-bond", fields).happened.letter
    asked = {"kind": "bid-bond", "first": FIELDS["bidder"]["name"], "second": fields["tender_code"]}
    assert anybody.post("/v1/check/pair", json=asked).status_code == 200
    client.letter_event(letter, "postpone", fields={"opening": "2099-01-05T01:30:00Z", "valid_until": "2099-12-31"})
    assert anybody.post("/v1/check/pair", json=asked).status_code == 404


def pledge() -> dict[str, object]:
    """Of a kind that makes nothing public."""
    party = {"name": "天津钢管仓储有限公司", "id": "91440101MA5CXXXX1K"}
    return {
        "asset": f"ZYW-{uuid.uuid4().hex[:12]}", "pledgor": party, "pledgee": party, "place": "12",
        "devices": [{"device": "07", "certificate": "ab" * 32}],
    }  # fmt: skip


def test_by_the_file_that_the_box_made(client: Client, anybody: httpx.Client) -> None:
    made = client.begin_letter("bid-bond", bid(), document=True).happened
    pdf = made.beside["letter.pdf"]
    headers = {"Content-Type": "application/pdf"}
    (found,) = anybody.post("/v1/check/file", content=pdf, headers=headers).json()["letters"]
    assert found["state"]["en"] == "Issued"
    client.letter_event(made.letter, "release")
    (found,) = anybody.post("/v1/check/file", content=pdf, headers=headers).json()["letters"]
    assert found["state"]["en"] == "Released"
    private = client.begin_letter("pledged-asset", pledge())
    wrong = [pdf[:-1], pdf + b"\n", b"%PDF-1.7", b"", private.happened.event]
    answers = [anybody.post("/v1/check/file", content=one, headers=headers) for one in wrong]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    page = anybody.post("/letters/file", files={"file": ("保函.pdf", pdf, "application/pdf")})
    assert (page.status_code, "Released" in page.text, made.letter in page.text) == (200, True, False)
    assert anybody.post("/letters/file", files={"file": ("x.pdf", pdf[1:], "application/pdf")}).status_code == 404


def test_the_qr_of_a_letters_page_leads_to_it_and_tells_nothing_else(
    client: Client, anybody: httpx.Client, tmp_path: Path
) -> None:
    """Read by zbar off the picture that poppler makes, as a telephone reads it off paper."""
    fields = bid()
    begun = client.begin_letter("bid-bond", fields, document=True).happened
    released = client.letter_event(begun.letter, "release", document=True).happened
    for number, pdf in enumerate((begun.beside["letter.pdf"], released.beside["letter.pdf"])):
        page = tmp_path / f"{number}.pdf"
        page.write_bytes(pdf)
        subprocess.run(["pdftoppm", "-r", "150", "-png", "-singlefile", page, tmp_path / str(number)], check=True)
        read = subprocess.run(
            ["zbarimg", "--quiet", "--raw", tmp_path / f"{number}.png"], check=True, capture_output=True, text=True
        )
        # The whole of it: no field's value, no state, no event.
        assert read.stdout == f"{LETTERS_URL}/{begun.letter}\n"
    address = read.stdout.strip().removeprefix(LETTERS_URL.removesuffix("/letters"))
    form = anybody.get(address)
    assert (form.status_code, begun.letter in form.text) == (200, True)
    assert str(fields["tender_code"]) not in form.text
    answer = anybody.post(address, data={"second": fields["tender_code"]})
    assert (answer.status_code, "Released" in answer.text) == (200, True)


def test_by_the_evidence_file(client: Client, other: Client, anybody: httpx.Client) -> None:
    letter = other.begin_letter("bid-bond", bid()).happened.letter
    content = taken(other, letter)
    headers = {"Content-Type": "application/vnd.etsi.asic-e+zip"}

    def ask(one: bytes) -> httpx.Response:
        return anybody.post("/v1/check/file", content=one, headers=headers)

    (found,) = ask(content).json()["letters"]
    assert (found["state"]["en"], "code" in found) == ("Issued", False)
    assert {one["name"] for one in found["fields"]} == {"tender_code", "amount", "valid_until"}
    other.letter_event(letter, "release")
    (found,) = ask(content).json()["letters"]
    assert found["state"]["en"] == "Released", "as it stands now, whatever the file knows"
    private = taken(client, client.begin_letter("pledged-asset", pledge()).happened.letter)
    answers = [ask(one) for one in (good(), private, content[:-1], PACKED["a bomb"](content))]
    answers.append(anybody.post("/v1/check/file", content=b"%PDF-1.7", headers={"Content-Type": "application/pdf"}))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


def test_the_page_for_files_in_a_browser(client: Client, letter_box: RunningBox, tmp_path: Path) -> None:
    letter = client.begin_letter("bid-bond", bid()).happened.letter
    content = taken(client, letter)
    (tmp_path / "letter.asice").write_bytes(content)
    (tmp_path / "changed.asice").write_bytes(content[:-1])
    shots = Path(os.environ.get(SCREENSHOTS) or tmp_path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(ignore_https_errors=True, viewport={"width": 480, "height": 800})
        for name, said in (("changed", "没有与所填要素或文件相符"), ("letter", "已出函")):
            page.goto(f"https://{letter_box.address('public')}/letters/find")
            page.get_by_label("证据文件").set_input_files(tmp_path / f"{name}.asice")
            page.screenshot(path=shots / f"find-{name}.png")
            page.get_by_role("button", name="Check the file").click()
            page.get_by_text(said).first.wait_for()  # no page has a picture while another one takes its place
            page.screenshot(path=shots / f"found-{name}.png")
            assert letter not in page.inner_text("main")
            assert accessible.findings(page, scheme="light") == []
            assert accessible.sticks_out(page) == []
        browser.close()


def test_the_page_of_a_pair_names_its_fields(client: Client, anybody: httpx.Client) -> None:
    fields = bid(opening="2026-01-05T01:30:00Z", project="<script>alert(1)</script>")
    client.begin_letter("bid-bond", fields)
    page = anybody.get("/letters/find", params={"kind": "bid-bond"})
    assert page.status_code == 200
    assert "Tender code" in page.text
    assert "Bidder" in page.text
    assert 'name="first"' not in anybody.get("/letters/find", params={"kind": "no-such"}).text
    asked = {"kind": "bid-bond", "first": FIELDS["bidder"]["name"], "second": str(fields["tender_code"])}
    answer = anybody.post("/letters/find", data=asked)
    assert (answer.status_code, "<script>" in answer.text) == (200, False)
    wrong = anybody.post("/letters/find", data=asked | {"second": "T-0"})
    assert wrong.status_code == 404
    assert anybody.post("/letters/find", data={"kind": ""}).status_code == 404


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_the_file_of_a_form_comes_out_as_it_went_in(content: bytes, boundary: bytes) -> None:
    line = b"--" + boundary.hex().encode()[:60]
    body = line + b'\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + content + b"\r\n" + line + b"--\r\n"
    assert file_within(body) == content or line in content
    assert isinstance(file_within(content), bytes)


def test_the_plain_page_in_a_browser(client: Client, letter_box: RunningBox, tmp_path: Path) -> None:
    fields = bid(project="<script>alert(1)</script>")
    letter = client.begin_letter("bid-bond", fields).happened.letter
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(ignore_https_errors=True, viewport={"width": 480, "height": 800})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(f"https://{letter_box.address('public')}/letters/{letter}")
        page.get_by_label("第二项要素").fill(str(fields["tender_code"]))
        page.screenshot(path=tmp_path / "form.png")
        page.get_by_role("button").click()
        assert "已出函" in page.inner_text("main")
        assert "CNY 500000.00" in page.inner_text("main")
        page.screenshot(path=tmp_path / "answer.png")
        assert page.locator("script").count() == 0
        assert complaints == []
        browser.close()
