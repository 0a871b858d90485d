"""Filing with authorities: adapters as data files, the message that they make of a letter, receipts. Pure.

What speaks to authorities is the filer (appliance.filer); docs/filing.md.
"""

from appliance.filing.adapter import ADAPTER_BYTES, Adapter, LoadedAdapter, check_adapter, check_parts, read_adapter
from appliance.filing.errors import AdapterRefused, NotAnswered, ReceiptRefused
from appliance.filing.message import PreparedFiling, prepare_filing
from appliance.filing.receipt import Receipt, read_receipt

__all__ = [
    "ADAPTER_BYTES",
    "Adapter",
    "AdapterRefused",
    "LoadedAdapter",
    "NotAnswered",
    "PreparedFiling",
    "Receipt",
    "ReceiptRefused",
    "check_adapter",
    "check_parts",
    "prepare_filing",
    "read_adapter",
    "read_receipt",
]
