"""The bench letter: one A4 page, fifteen bilingual lines, a ten-row table, a QR, every field varied."""

from __future__ import annotations

import hashlib
import random

import rfc8785

from appliance.documents.contracts import RenderLetterRequest
from appliance.pdf import Column, LetterPage, Pair, Row, Section, Table

TIME_S = 1_795_305_600

_ZH = "江河湖海山川平原春夏秋冬东南西北金银铜铁建工贸易科技电力水利公路桥梁港口航空材料设备能源环境城市乡村"
_EN = (
    "River Lake Sea Mountain Plain Spring Summer Autumn Winter East South West North Gold Silver Copper Iron Works "
    "Trade Science Power Water Road Bridge Port Air Materials Equipment Energy City"
)
_LABELS = [
    ("申请人", "Applicant"), ("受益人", "Beneficiary"), ("担保人", "Guarantor"), ("担保金额", "Guaranteed amount"),
    ("有效期至", "Valid until"), ("生效日期", "Effective from"), ("招标编号", "Tender number"),
    ("项目名称", "Project"),
    ("合同编号", "Contract number"), ("适用规则", "Rules"), ("申请人地址", "Applicant's address"),
    ("受益人地址", "Beneficiary's address"), ("经办机构", "Branch"), ("担保费率", "Fee rate"),
    ("联系电话", "Telephone"),
]  # fmt: skip
_NAMED = {"申请人", "受益人", "担保人", "项目名称", "申请人地址", "受益人地址", "经办机构"}


def bench_page(seed: int) -> LetterPage:
    """The page of the bench letter; each seed varies every field."""
    chance = random.Random(seed)

    def zh(count: int) -> str:
        return "".join(chance.choices(_ZH, k=count))

    def en(count: int) -> str:
        return " ".join(chance.choices(_EN.split(), k=count))

    def code(count: int) -> str:
        return "".join(chance.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=count))

    def date() -> str:
        return f"20{chance.randint(27, 39)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"

    def money() -> str:
        return f"{chance.randint(1_000_000, 999_999_999):,}.{chance.randint(0, 99):02}"

    def value(label: str) -> str | Pair:
        if label in _NAMED:
            return Pair(zh(6) + "有限公司", en(3) + " Co., Ltd.")
        if label == "担保金额":
            return f"CNY {money()}"
        if label in {"有效期至", "生效日期"}:
            return date()
        return f"{chance.random():.4%}" if label == "担保费率" else code(18)

    number = code(26)
    return LetterPage(
        title=Pair("投标保函", "Bid Bond"),
        issuer=Pair(zh(4) + "银行股份有限公司", en(2) + " Bank Corporation Limited"),
        number=number,
        date=date(),
        kind=f"bid-bond 1  SHA-256 {hashlib.sha256(zh(4).encode()).hexdigest()}",
        digest=hashlib.sha256(number.encode()).hexdigest(),
        statement=[
            Pair(
                f"鉴于申请人拟参加贵方{zh(6)}项目的投标，我行应其请求，在此不可撤销地向贵方承担下述保证责任。",
                f"Whereas the Applicant intends to bid for your project {en(3)}, we irrevocably undertake, at its "
                "request, the guarantee set out below.",
            )
        ],
        sections=[Section([Row(Pair(*label), value(label[0])) for label in _LABELS])],
        tables=[
            Table(
                title=Pair("担保明细", "Schedule"),
                columns=[
                    Column(Pair("标的", "Item"), 2.0),
                    Column(Pair("编号", "Reference"), 2.0),
                    Column(Pair("到期日", "Due"), 1.2),
                    Column(Pair("金额", "Amount (CNY)"), 1.8, number=True),
                ],
                rows=[[zh(5), code(14), date(), money()] for _ in range(10)],
                total=["合计 Total", "", "", money()],
            )
        ],
        notes=[
            Pair(
                "本函以电子印章签署，以所附结构化数据为准。",
                "This letter is sealed electronically; the structured data attached to it prevail.",
            )
        ],
        seals=[Pair("担保人（盖章）", "Guarantor (seal)")],
        verify=f"https://verify.example.cn/v/{code(6)}",
    )


def request_of(page: LetterPage, seed: int = 0, **changed: object) -> RenderLetterRequest:
    """The request that sets a page, with a letter of the same fields attached."""
    letter = {
        "number": page.number,
        "fields": {row.label.en: row.value if isinstance(row.value, str) else [row.value.zh, row.value.en]
                   for section in page.sections for row in section.rows},
        "rows": [row for table in page.tables for row in table.rows],
    }  # fmt: skip
    code = hashlib.sha256(b"code" + seed.to_bytes(8, "big")).hexdigest()[:32]
    given: dict[str, object] = {
        "data": page.json(),
        "time_s": TIME_S + seed,
        "attachment": rfc8785.dumps(letter),
        "qr": f"https://verify.example.cn/v/{code}",
        **changed,
    }
    return RenderLetterRequest(**given)  # type: ignore[arg-type]
