"""Bid codes: enough bits, every slip of the pen found, nothing weak taken."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.letters.bid_code import BITS, CHECK_SYMBOLS, DATA_SYMBOLS, SECRET_BYTES, SYMBOLS, code_secret, new_code
from appliance.letters.errors import WeakCode


def flat(code: str) -> str:
    return code.replace("-", "")


def test_codes_are_random_and_long_enough() -> None:
    assert BITS >= 128
    codes = {new_code() for _ in range(200)}
    assert len(codes) == 200
    for code in codes:
        assert len(flat(code)) == DATA_SYMBOLS + 1
        assert len(code_secret(code)) == SECRET_BYTES
    used = {symbol for code in codes for symbol in flat(code)[:-1]}
    assert used == set(SYMBOLS)


def test_it_is_read_as_people_write_it() -> None:
    code = new_code()
    secret = code_secret(code)
    for written in (code.lower(), flat(code), code.replace("-", " "), f"  {code}\n", code.replace("-", "\u3000")):
        assert code_secret(written) == secret
    muddled = flat(code).replace("0", "O").replace("1", "l")
    assert code_secret(muddled) == secret


def test_every_wrong_symbol_and_every_exchange_of_neighbours_is_found() -> None:
    for _ in range(5):
        code = flat(new_code())
        for at, symbol in enumerate(code):
            for other in SYMBOLS if at < DATA_SYMBOLS else CHECK_SYMBOLS:
                if other != symbol:
                    with pytest.raises(WeakCode):
                        code_secret(code[:at] + other + code[at + 1 :])
            if at + 1 < DATA_SYMBOLS and symbol != code[at + 1]:
                with pytest.raises(WeakCode):
                    code_secret(code[:at] + code[at + 1] + symbol + code[at + 2 :])


@pytest.mark.parametrize("symbols", ["0", "A", "01", "12345678", "SECRET"])
def test_a_code_that_somebody_chose_is_refused(symbols: str) -> None:
    data = (symbols * DATA_SYMBOLS)[:DATA_SYMBOLS]
    number = 0
    for symbol in data:
        number = number * 32 + SYMBOLS.index(symbol)
    with pytest.raises(WeakCode, match="no random one"):
        code_secret(data + CHECK_SYMBOLS[number % 37])


@pytest.mark.parametrize("cut", range(1, DATA_SYMBOLS))
def test_a_shorter_code_is_refused(cut: int) -> None:
    with pytest.raises(WeakCode):
        code_secret(flat(new_code())[cut:])


@settings(max_examples=500)
@given(st.text(max_size=40))
def test_any_text_is_refused_typed_and_not_repeated(text: str) -> None:
    with pytest.raises(WeakCode) as refused:
        code_secret(text)
    assert len(text) < 8 or text not in str(refused.value)
