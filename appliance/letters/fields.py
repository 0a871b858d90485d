"""Values of fields, held to their declaration. A refusal begins with the JSON pointer of the value (RFC 6901).

Values are plain JSON: a text, an integer, true or false; money as {amount, currency}; decimals, dates and times as
texts; a party as {name, id}; another letter as its id; a table as a list of rows.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from appliance.instants import microseconds
from appliance.letters.errors import FieldRefused
from appliance.letters.kind import Field
from appliance.letters.money import parse_amount

SAFE_INTEGER: Final = 2**53 - 1
"""RFC 7493, section 2.2."""
_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control and format characters (bidirectional overrides among them), surrogates, and what has no meaning."""
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,9})?\Z")
_LETTER = re.compile(r"[0-9a-f]{32}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)


def check_fields(
    declared: Mapping[str, Field], values: Mapping[str, Any], *, needed: Iterable[str], where: str
) -> None:
    """Every value declared and sound, every needed one there. `where`: the pointer above. Raises FieldRefused."""
    for name, value in values.items():
        if name not in declared:
            raise FieldRefused(f"{where}/{name}: this event does not set it")
        check_value(declared[name], value, f"{where}/{name}")
    for name in needed:
        if name not in values:
            raise FieldRefused(f"{where}/{name}: it is required")


def check_value(field: Field, value: Any, where: str) -> None:
    """Raises FieldRefused."""
    try:
        _CHECKS[field.type](field, value, where)
    except ValueError as error:
        raise FieldRefused(f"{where}: {error}") from None


def plain_text(value: Any, longest: int) -> str:
    """A text that looks like what it is: NFC, no control or format characters, no outer blanks. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("it is a text")
    if not value or len(value) > longest:
        raise ValueError(f"it has 1 to {longest} characters")
    if not value.isprintable():  # a quick look; it dislikes spaces of other scripts, which may stand
        for character in value:
            if unicodedata.category(character) in _HIDDEN_CATEGORIES:
                raise ValueError(f"it holds the character U+{ord(character):04X}, which does not show")
    if value != value.strip() or not unicodedata.is_normalized("NFC", value):
        raise ValueError("it begins or ends with a blank, or is not in Unicode's form NFC")
    return value


def as_declared(values: Mapping[str, Any], declared: Mapping[str, Field]) -> list[tuple[str, Any]]:
    """Values for people: in the order in which their kind has them, as on the letter's page."""
    places = {name: place for place, name in enumerate(declared)}
    return sorted(values.items(), key=lambda one: (places.get(one[0], len(places)), one[0]))


@lru_cache(maxsize=4096)
def moment(text: str, zone: str, *, end: bool = False) -> int:
    """Microseconds since the epoch of a time, or of the first or last microsecond of a date in `zone`. Remembered: one
    event asks several times, and letters of one matter share their dates."""
    if _DATE.match(text):
        begin = datetime.datetime.fromisoformat(f"{text}T00:00:00{zone}")
        return microseconds(begin) + (86_400_000_000 - 1 if end else 0)
    return microseconds(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")))


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern})\Z")


def _text(field: Field, value: Any, _where: str) -> None:
    text = plain_text(value, field.longest)
    if field.pattern is not None and _pattern(field.pattern).match(text) is None:
        raise ValueError(f"it does not have the form {field.pattern}")


def _within(field: Field, value: Any, read: Any) -> None:
    if field.least is not None and value < read(field.least):
        raise ValueError(f"it is at least {field.least}")
    if field.most is not None and value > read(field.most):
        raise ValueError(f"it is at most {field.most}")


def _money(field: Field, value: Any, _where: str) -> None:
    if not isinstance(value, dict) or set(value) != {"amount", "currency"}:
        raise ValueError("money has the members amount and currency")
    amount, currency = value["amount"], value["currency"]
    if not isinstance(amount, str) or not isinstance(currency, str):
        raise ValueError("amount and currency are texts")
    if field.currencies and currency not in field.currencies:
        raise ValueError(f"its currency is one of {', '.join(field.currencies)}")
    _within(field, parse_amount(amount, currency), parse_limit)


@lru_cache(maxsize=1024)
def parse_limit(text: str) -> int:
    """A limit in ten-thousandths: it has up to four digits after the point in any currency."""
    whole, _, part = text.partition(".")
    return int(whole) * 10_000 + int(part.ljust(4, "0"))


def _integer(field: Field, value: Any, _where: str) -> None:
    if type(value) is not int or abs(value) > SAFE_INTEGER:
        raise ValueError("it is an integer of at most 53 bits")
    _within(field, value, int)


def _decimal(field: Field, value: Any, _where: str) -> None:
    import decimal  # noqa: PLC0415 - few kinds have one

    if not isinstance(value, str) or _DECIMAL.match(value) is None:
        raise ValueError("it is a decimal number as a text")
    _within(field, decimal.Decimal(value), decimal.Decimal)


def _date(field: Field, value: Any, _where: str) -> None:
    if not isinstance(value, str) or _DATE.match(value) is None:
        raise ValueError("it is a date, YYYY-MM-DD")
    _within(field, datetime.date.fromisoformat(value), datetime.date.fromisoformat)


def _time(field: Field, value: Any, _where: str) -> None:
    if not isinstance(value, str) or _TIME.match(value) is None:
        raise ValueError("it is a time of RFC 3339 with its offset")
    _within(field, moment(value, ""), lambda text: moment(text, ""))


def _choice(field: Field, value: Any, _where: str) -> None:
    if not isinstance(value, str) or value not in field.choices:
        raise ValueError(f"it is one of {', '.join(field.choices)}")


def _yes_no(_field: Field, value: Any, _where: str) -> None:
    if not isinstance(value, bool):
        raise ValueError("it is true or false")


def _digest(_field: Field, value: Any, _where: str) -> None:
    if not isinstance(value, str) or _DIGEST.match(value) is None:
        raise ValueError("it is a SHA-256, 64 lower-case hexadecimal digits")


def _party(field: Field, value: Any, _where: str) -> None:
    needed = {"name", "id"} if field.identified else {"name"}
    if not isinstance(value, dict) or not {"name", "id"} >= set(value) >= needed:
        raise ValueError("a party has the members name and id")
    plain_text(value["name"], field.longest)
    if "id" in value:
        plain_text(value["id"], 64)


def _letter(_field: Field, value: Any, _where: str) -> None:
    if not isinstance(value, str) or _LETTER.match(value) is None:
        raise ValueError("it is a letter's id, 32 lower-case hexadecimal digits")


def _table(field: Field, value: Any, where: str) -> None:
    if not isinstance(value, list) or not 1 <= len(value) <= field.longest:
        raise ValueError(f"it has 1 to {field.longest} rows")
    needed = [name for name, column in field.columns.items() if column.required]
    for row, cells in enumerate(value):
        if not isinstance(cells, dict):
            raise FieldRefused(f"{where}/{row}: a row is an object")
        check_fields(field.columns, cells, needed=needed, where=f"{where}/{row}")


_CHECKS: Final = {
    "text": _text,
    "money": _money,
    "integer": _integer,
    "decimal": _decimal,
    "date": _date,
    "time": _time,
    "choice": _choice,
    "yes-no": _yes_no,
    "digest": _digest,
    "party": _party,
    "letter": _letter,
    "table": _table,
}
