"""Addresses of pay-to-witness-public-key-hash outputs in bech32 (BIP 173)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from appliance.anchors.bitcoin.errors import MalformedBitcoin

_ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_PROGRAM_BYTES: Final = 20
_CHECKSUM: Final = 6


def address_of(prefix: str, program: bytes) -> str:
    """The address of a version 0 witness program of 20 bytes. `prefix`: the chain's, such as bc, ltc or rltc."""
    if len(program) != _PROGRAM_BYTES:
        raise MalformedBitcoin("a witness program of a public key has 20 bytes")
    values = [0, *_regrouped(program, 8, 5)]
    check = _polymod([*_expanded(prefix), *values, *[0] * _CHECKSUM]) ^ 1
    values += [check >> 5 * (_CHECKSUM - 1 - place) & 31 for place in range(_CHECKSUM)]
    return f"{prefix}1{''.join(_ALPHABET[value] for value in values)}"


def program_of(prefix: str, address: str) -> bytes:
    """The witness program of such an address. Raises MalformedBitcoin, also for another chain's."""
    if address != address.lower():
        if address != address.upper():
            raise MalformedBitcoin("an address is in one case")
        address = address.lower()
    start, _, data = address.rpartition("1")
    if start != prefix:
        raise MalformedBitcoin(f"the address is not of the chain of {prefix}")
    try:
        values = [_ALPHABET.index(character) for character in data]
    except ValueError:
        raise MalformedBitcoin("an address has a character that bech32 does not know") from None
    if len(values) < _CHECKSUM + 1 or _polymod([*_expanded(prefix), *values]) != 1:
        raise MalformedBitcoin("the address's checksum fails")
    program = bytes(_regrouped(values[1:-_CHECKSUM], 5, 8))
    # Written again, it is the same: so padding and length are as they must be.
    if values[0] != 0 or len(program) != _PROGRAM_BYTES or address_of(prefix, program) != address:
        raise MalformedBitcoin("the address is not one of a public key's hash")
    return program


def _regrouped(values: Iterable[int], size: int, into: int) -> list[int]:
    """Bits of groups of `size`, in groups of `into`; towards fives, the last is filled with zeroes."""
    held, bits, found = 0, 0, []
    for value in values:
        held, bits = (held << size | value) & 0xFFF, bits + size
        while bits >= into:
            bits -= into
            found.append(held >> bits & (1 << into) - 1)
    if into < size and bits:
        found.append(held << into - bits & (1 << into) - 1)
    return found


def _expanded(prefix: str) -> list[int]:
    return [*(ord(character) >> 5 for character in prefix), 0, *(ord(character) & 31 for character in prefix)]


def _polymod(values: Sequence[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, polynomial in enumerate(_GENERATOR):
            if top >> place & 1:
                check ^= polynomial
    return check
