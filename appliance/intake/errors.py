"""Why a file of rows, or one row, is refused."""

from __future__ import annotations

from appliance.errors import BadRequest


class IntakeRefused(BadRequest):
    """The file, or what is said about it, cannot be taken; the detail names row and column where there are such."""

    code = "intake-refused"
    status = 422
    title = "The file of rows cannot be taken"


class LineRefused(Exception):
    """One row is not what it should be, the others are: its verdict. Begins with the column, where there is one."""

    def __init__(self, text: str, column: str = "") -> None:
        super().__init__(text)
        self.column = column
