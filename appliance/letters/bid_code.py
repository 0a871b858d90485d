"""Bid codes: 135 random bits that a sender holds and types at the opening.

    7X3C-9KQM-2B5T-ZW8R-4HND-V6JE-PA0*          27 symbols of 5 bits in Crockford's base 32, then a check symbol

The check symbol is the number modulo 37 (Crockford): it finds every single wrong symbol and every two neighbours
exchanged. I and L are read as 1, O as 0, small letters as capitals; hyphens and spaces mean nothing. A code is made by
`new_code` only; what cannot be one, or is plainly no product of chance, is refused.
"""

from __future__ import annotations

import secrets

from appliance.letters.errors import WeakCode

SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHECK_SYMBOLS = SYMBOLS + "*~$=U"
DATA_SYMBOLS = 27
BITS = 5 * DATA_SYMBOLS
SECRET_BYTES = (BITS + 7) // 8
"""17: the number, big endian; its first bit is 0."""
FEWEST_DIFFERENT = 9
"""Of 27 symbols drawn at random, fewer than 9 different ones turn up once in 10^9 codes."""
_GROUP = 4
_READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0", "-": "", " ": "", "\u3000": ""})
_VALUES = {symbol: value for value, symbol in enumerate(SYMBOLS)}


def new_code() -> str:
    """A fresh code from the system's random generator, in groups of four."""
    while True:
        code = _written(secrets.randbits(BITS))
        if len(set(code) & set(SYMBOLS)) > FEWEST_DIFFERENT:
            return code


def code_secret(code: str) -> bytes:
    """The 17 bytes that a code stands for. Raises WeakCode; its message never holds the code."""
    text = code.strip().upper().translate(_READ_AS)
    if len(text) != DATA_SYMBOLS + 1:
        raise WeakCode(f"a code has {DATA_SYMBOLS} symbols and a check symbol, {BITS} bits in all")
    data, check = text[:-1], text[-1]
    number = 0
    for symbol in data:
        value = _VALUES.get(symbol)
        if value is None:
            raise WeakCode("the code holds a symbol that no code has")
        number = number * 32 + value
    if CHECK_SYMBOLS[number % 37] != check:
        raise WeakCode("the code's check symbol does not fit: a symbol is wrong")
    if len(set(data)) < FEWEST_DIFFERENT:
        raise WeakCode("the code is no random one: codes are made by the box's client, not chosen")
    return number.to_bytes(SECRET_BYTES, "big")


def _written(number: int) -> str:
    symbols = "".join(SYMBOLS[(number >> 5 * place) & 31] for place in reversed(range(DATA_SYMBOLS)))
    text = symbols + CHECK_SYMBOLS[number % 37]
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))
