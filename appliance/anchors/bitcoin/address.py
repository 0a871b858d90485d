"""Addresses of pay-to-witness-public-key-hash outputs in bech32 (BIP 173)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.anchors.bitcoin.errors import MalformedBitcoin

_ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_PROGRAM_BYTES: Final = 20
_CHECKSUM: Final = 6


def address_of(prefix: str, program: bytes) -> str:
    """The address of a version 0 witness program of 20 bytes. `prefix`: the chain's, such as bc, ltc or rltc. Raises
    MalformedBitcoin."""
    if len(program) != _PROGRAM_BYTES:
        raise MalformedBitcoin("a witness program of a public key has 20 bytes")
    values = [0, *_in_fives(program)]
    check = _polymod([*_expanded(prefix), *values, *[0] * _CHECKSUM]) ^ 1
    values += [check >> 5 * (_CHECKSUM - 1 - place) & 31 for place in range(_CHECKSUM)]
    return f"{prefix}1{''.join(_ALPHABET[value] for value in values)}"


def _in_fives(program: bytes) -> list[int]:
    """Its bits in groups of five, the first bits first; a program's 160 bits leave none over."""
    bits = int.from_bytes(program, "big")
    return [bits >> shift & 31 for shift in range(8 * _PROGRAM_BYTES - 5, -1, -5)]


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
