"""Files of rows: each row begins a letter of a kind, or is an event of one (K10). Pure: no I/O, key or clock.

`read_header` and `read_slice` take a file apart, in a document worker; `make_plan` finds which column is which field.
See docs/intake.md.
"""

from appliance.intake.errors import IntakeRefused, LineRefused
from appliance.intake.form import Form
from appliance.intake.keys import RowKeys
from appliance.intake.mapping import default_mapping, make_plan
from appliance.intake.plan import Plan, column_of
from appliance.intake.reading import MOST_ROWS, ROWS_A_SLICE, Slice, read_header, read_slice
from appliance.intake.rows import Row

__all__ = [
    "MOST_ROWS",
    "ROWS_A_SLICE",
    "Form",
    "IntakeRefused",
    "LineRefused",
    "Plan",
    "Row",
    "RowKeys",
    "Slice",
    "column_of",
    "default_mapping",
    "make_plan",
    "read_header",
    "read_slice",
]
