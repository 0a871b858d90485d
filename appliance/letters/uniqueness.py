"""Uniqueness keys (control ONCE): what two letters must not share, as a keyed hash that tells nothing of it. Pure.

    key = HMAC(k, "cinnabar uniqueness v1\\n" || part(scope) || part(name) || n || part(value 1) ... part(value n))

HMAC is that of RFC 2104 with SHA-256. part(text) is the length in bytes of its UTF-8 (32 bits, big endian) and that
UTF-8; n is 32 bits, big endian. k never leaves its token: a tenant's own for its scope, a federation's for that of the
federation. Without k nobody can try out values; whoever may ask the token can, which is why questions are metered and
recorded.

Values are compared as people read them, not as machines write them. Each is, in this order,

1. taken in Unicode normalisation form KC (UAX #15): full-width letters and digits, ligatures and compatibility
   ideographs become the plain ones, the ideographic space a space;
2. freed of characters that nobody sees (variation selectors, fillers and blanks that are no spaces);
3. folded in case (Unicode full case folding; `INV-1` and `inv-1` are the same), and normalised again;
4. trimmed, and every run of white space inside made one space.

Control characters (but for tabs and line ends, which are white space), format, private and unassigned characters and
lone surrogates are refused: what is assigned today normalises and folds alike in every later version of Unicode, so
that a key made now is found in decades. Nothing else is evened out: dashes of different kinds, `0` and `O`, traditional
and simplified characters stay different.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from appliance.letters.errors import FieldRefused

_Mac = TypeVar("_Mac")
PREFIX = b"cinnabar uniqueness v1\n"
KEY_BYTES = 32
LONGEST_VALUE = 1_024
"""Characters of a value, before and after normalisation."""
MOST_VALUES = 16
_SCOPE = re.compile(r"\A(tenant/[a-z0-9][a-z0-9-]{0,62}|@[a-z][a-z0-9-]{0,62})\Z")
_NAME = re.compile(r"\A[a-z][a-z0-9_-]{0,62}\Z")
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_WHITE_CONTROLS = frozenset("\t\n\r")
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)
"""Default-ignorable code points (Unicode, DerivedCoreProperties) that are not format characters, and those that fonts
draw as nothing: the braille pattern blank, the Khitan filler and the musical null notehead."""
_WHITE_SPACE = re.compile(r"\s+")


class Use(NamedTuple):
    """One claim of the recorder's (appliance.recorder.messages.Claim), its values still in clear."""

    scope: str
    """Empty: the tenant's own; else a federation's name after "@"."""
    name: str
    values: tuple[str, ...]
    amount: int
    capacity: int
    again: bool = False
    """Whether what the same letter claimed before is passed over, not claimed twice."""


def tenant_scope(tenant: str) -> str:
    """The scope of one tenant."""
    return f"tenant/{tenant}"


@lru_cache(maxsize=1024)
def normalised(value: str) -> str:
    """A value as it is compared (see above). Raises FieldRefused for what has no such form, or has nothing in it."""
    if len(value) > LONGEST_VALUE:
        raise FieldRefused(f"a unique value has at most {LONGEST_VALUE} characters")
    if value.isascii() and value.isprintable() and not (value.isspace() or value == ""):
        return " ".join(value.lower().split())  # what all the rest comes to, for most values
    _check(value)
    text = unicodedata.normalize("NFKC", value)
    text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text).casefold())
    text = _WHITE_SPACE.sub(" ", _UNSEEN.sub("", text)).strip()
    if not text:
        raise FieldRefused("a unique value must not be empty")
    if len(text) > LONGEST_VALUE:
        raise FieldRefused(f"a unique value has at most {LONGEST_VALUE} characters")
    return text


def _check(value: str) -> None:
    for character in () if value.isprintable() else value:  # what can be printed is in none of the categories
        if unicodedata.category(character) in _REFUSED_CATEGORIES and character not in _WHITE_CONTROLS:
            raise FieldRefused(f"a unique value holds a character that nobody sees: U+{ord(character):04X}")


def encoded(scope: str, name: str, values: Sequence[str]) -> bytes:
    """The message that is hashed. `scope`: `tenant/NAME` or `@FEDERATION`; `name`: of the rule in the kind; `values`: 1
    to 16, in the rule's order. Raises FieldRefused."""
    return b"".join([_head(scope, name, len(values)), *[_part(normalised(value)) for value in values]])


@lru_cache(maxsize=1024)
def _head(scope: str, name: str, values: int) -> bytes:
    """What is the same in all messages of a rule."""
    if not _SCOPE.match(scope) or not _NAME.match(name):
        raise FieldRefused("no such scope or rule of uniqueness")
    if not 1 <= values <= MOST_VALUES:
        raise FieldRefused(f"a uniqueness key has 1 to {MOST_VALUES} values")
    return b"".join([PREFIX, _part(scope), _part(name), values.to_bytes(4, "big")])


def uniqueness_key(mac: Callable[[bytes], _Mac], scope: str, name: str, values: Sequence[str]) -> _Mac:
    """The 32 bytes that the recorder claims once, or what will give them. `mac`: HMAC-SHA-256 under the scope's key
    (hsm.MacKey.mac or mac_async).

    Raises FieldRefused, and what `mac` raises."""
    return mac(encoded(scope, name, values))


def _part(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(4, "big") + raw
