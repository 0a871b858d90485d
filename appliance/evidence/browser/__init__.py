"""The verifier as one page: a static HTML file that checks evidence of a letter in any browser, without a network.

Put together from the scripts beside this module, in the order of `SCRIPTS`; its Content-Security-Policy names the
digests of exactly that script and style, and allows nothing else. It embeds no anchors and keeps nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Final, get_args

from mnemonic import Mnemonic

from appliance.anchors import canonical
from appliance.anchors.evm.shapes import Named, named_shape

SCRIPTS: Final = (
    "base", "forms", "container", "der", "strength", "chain", "cms", "renewals", "sm3", "tree", "log", "successor",
    "judging", "bundle", "trust", "approvals", "keccak", "secp256k1", "rlp", "evm_transaction", "evm_block",
    "evm_contract", "evm", "scrypt", "bitcoin", "protobuf", "fabric_members", "fabric", "stamp_anchor", "anchors",
    "letter",
)  # fmt: skip
"""In the order in which they need each other; the page's own comes last."""
_PLACE: Final = Path(__file__).parent


def rules() -> str:
    """The scripts that judge, without the page: they run wherever WebCrypto is. First of them the shapes of contracts
    that come with the box, as the program has them."""
    shapes = {name: json.loads(canonical.encode(named_shape(name))) for name in get_args(Named)}
    scripts = [(_PLACE / f"{name}.js").read_text() for name in SCRIPTS]
    return scripts[0] + f"const SHAPES = {json.dumps(shapes)};\n" + "".join(scripts[1:])


def verifier_page() -> bytes:
    """The page, the same bytes each time."""
    words = {"en": " ".join(Mnemonic("english").wordlist), "zh": " ".join(Mnemonic("chinese_simplified").wordlist)}
    listed = f"const WORDS = {json.dumps(words, ensure_ascii=False)};\n"
    listed += 'for (const name of Object.keys(WORDS)) WORDS[name] = WORDS[name].split(" ");\n'
    script = rules() + listed + (_PLACE / "page.js").read_text()
    style = (_PLACE / "page.css").read_text()
    page = (_PLACE / "page.html").read_text()
    for name, text in (("SCRIPT_DIGEST", _digest(script)), ("STYLE_DIGEST", _digest(style)), ("STYLE", style)):
        page = page.replace(f"@{name}@", text)
    return page.replace("@SCRIPT@", script).encode()


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
