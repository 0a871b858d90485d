"""A sound kind that uses everything a kind can have, as a document to break on purpose."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import msgspec

from appliance.letters.kind import Kind

TEXT = """
format = "cinnabar-kind/1"
id = "sample"
version = 1
retention_years = 5
title = { en = "Sample", zh = "样本" }
about = { en = "Everything a kind can have.", zh = "种类文件的全部要素。" }
public = ["number", "face"]
second = "number"

[value]
rule = "divisible"
amount = "face"

[fields]
number = { label = { en = "Number", zh = "编号" }, type = "text", pattern = "[A-Z]{2}-[0-9]+", longest = 40 }
face = { label = { en = "Face", zh = "票面" }, type = "money", currencies = ["CNY", "USD"], least = "0.01" }
holder = { label = { en = "Holder", zh = "持有人" }, type = "party", identified = true }
seller = { label = { en = "Seller", zh = "卖方" }, type = "party", identified = true }
share = { label = { en = "Share", zh = "比例" }, type = "decimal", least = "0", most = "1", required = false }
grade = { label = { en = "Grade", zh = "级" }, required = false, type = "choice", choices.a = { en = "A", zh = "甲" } }
source = { label = { en = "Source", zh = "来源" }, type = "letter", required = false }
price = { label = { en = "Price", zh = "报价" }, type = "money", confidentiality = "veiled" }
remark = { label = { en = "Remark", zh = "备注" }, type = "text", confidentiality = "hidden", required = false }
times = { label = { en = "Times", zh = "次数" }, type = "integer", required = false }

[fields.sellers]
label = { en = "Sellers", zh = "卖方名单" }
required = false
type = "table"
columns.id = { label = { en = "Id", zh = "标识" }, type = "text" }

[fields.due]
label = { en = "Due", zh = "到期日" }
type = "date"
least = "2020-01-01"
most = "2100-01-01"

[fields.due.term]
after = "@begun"
most = "P2Y"

[unique.number]
fields = ["number", "seller.id"]
free_in = ["cancelled"]

[quotas.open]
title = { en = "Outstanding", zh = "余额" }
measure = "value"
period = "outstanding"
by = "holder.id"

[states]
drafted = { title = { en = "Drafted", zh = "草拟" } }
held = { title = { en = "Held", zh = "持有" } }
gone = { title = { en = "Gone", zh = "转出" }, final = true }
cancelled = { title = { en = "Cancelled", zh = "撤销" }, final = true }
redeemed = { title = { en = "Redeemed", zh = "兑付" }, final = true }

[events.draft]
title = { en = "Draft", zh = "草拟" }
to = "drafted"
by = ["maker"]
fields = ["number", "face", "holder", "due", "price", "share", "grade", "remark", "seller", "times", "sellers"]

[events.cancel]
title = { en = "Cancel", zh = "撤销" }
from = ["drafted"]
to = "cancelled"
by = ["maker"]

[events.issue]
title = { en = "Issue", zh = "开立" }
from = ["drafted"]
to = "held"
by = ["maker"]
fields = ["source"]
value = { move = "open" }
opens = ["price"]
not_before = "due"

[[events.issue.conditions]]
letter = "source"
kinds = ["sample"]
states = ["held"]
same = { holder = "holder" }
serves = { as = "issue", at_most = "times" }
compare = [
  { own = "face", is = "at-most", theirs = "@balance" },
  { own = "seller.id", is = "within", theirs = "sellers.id", of = ["sample"] },
  { own = "@letter", is = "equal", theirs = "source" },
]

[events.issue.approvals]
amount = "face"
tiers = [
  { currency = "CNY", up_to = "1000" },
  { currency = "CNY", steps = [{ policy = "issue" }] },
  { currency = "USD", steps = [{ policy = "issue" }] },
]

[events.release]
title = { en = "Release", zh = "直接开立" }
from = ["drafted"]
to = "held"
by = ["maker"]
value = { move = "open" }

[events.postpone]
title = { en = "Postpone", zh = "展期" }
from = ["held"]
by = ["maker"]
fields = ["due"]

[events.transfer]
title = { en = "Transfer", zh = "转让" }
from = ["held"]
by = ["holder"]
value = { move = "split", parts = "parts", parts_state = "held", emptied = "gone" }

[events.transfer.data.parts]
label = { en = "Parts", zh = "拆分" }
type = "table"
[events.transfer.data.parts.columns]
amount = { label = { en = "Amount", zh = "金额" }, type = "money" }
holder = { label = { en = "Holder", zh = "持有人" }, type = "party", identified = true }

[events.pay]
title = { en = "Pay", zh = "付款" }
from = ["held"]
by = ["maker"]
not_after = "due"
receipts = ["registry"]
value = { move = "lower", amount = "paid", emptied = "redeemed" }
data = { paid = { label = { en = "Paid", zh = "付款额" }, type = "money" } }

[events.lapse]
title = { en = "Lapse", zh = "失效" }
from = ["drafted"]
to = "cancelled"
by = ["maker"]
not_before = "due"
automatic = true

[events.redeem]
title = { en = "Redeem", zh = "兑付" }
from = ["held"]
to = "redeemed"
by = ["maker"]
value = { move = "close" }
"""


def document() -> Any:  # TOML
    """A fresh copy, to break."""
    return copy.deepcopy(tomllib.loads(TEXT))


def kind(document: Any) -> Kind:
    return msgspec.convert(document, Kind)
