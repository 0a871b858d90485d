"""What of a log is asked for. Pure: a filter is data, checked once, and the same for pages and exports."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.audit.errors import FilterRefused

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Instant = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999_999)]
FILTER_BYTES = 4_000
"""Of a filter as JSON: it stands in the log whenever somebody is shown content."""


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that is given must hold. Times in microseconds since the epoch, as records state them."""

    applications: Annotated[list[Word], msgspec.Meta(max_length=32)] = []
    keys: Annotated[list[Word], msgspec.Meta(max_length=32)] = []
    kinds: Annotated[list[Word], msgspec.Meta(max_length=32)] = []
    since: Instant | None = None
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """Stands in the record's JSON as it is, letter case aside."""
    until: Instant | None = None
    """Not included."""

    def text_of(self) -> str:
        """As JSON, members in sorted order."""
        return msgspec.json.encode(self, order="sorted").decode()

    @property
    def by_head(self) -> bool:
        """Whether it asks for certain kinds, keys or applications."""
        return bool(self.kinds or self.keys or self.applications)

    def takes_head(self, application: str, kind: str, key: str) -> bool:
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.keys or key in self.keys)
            and (not self.applications or application in self.applications)
        )

    def takes_time(self, time: int) -> bool:
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)


def checked(wanted: Filter) -> Filter:
    """The filter of a request, as far as its members' types do not say it all. Raises FilterRefused."""
    if len(wanted.text_of().encode()) > FILTER_BYTES:
        raise FilterRefused(f"a filter has at most {FILTER_BYTES} bytes")
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        raise FilterRefused("the time range ends before it begins")
    return wanted
