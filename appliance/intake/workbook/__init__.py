"""Workbooks (Office Open XML, ISO/IEC 29500; XLSX), read row by row with the standard library's expat and zlib.

openpyxl reads a workbook from its beginning to its end in one go. Here a slice of rows is read by one process that
then ends, so that memory is flat and no workbook can cost more than a task may: a later slice inflates up to its place
again, which is quick, and parses from there on.
"""

from appliance.intake.workbook.opened import Workbook
from appliance.intake.workbook.sheet import SheetRow, read_sheet

__all__ = ["SheetRow", "Workbook", "read_sheet"]
