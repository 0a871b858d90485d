"""The seal that a rehearsal box gives each tenant to be seen: round and red, the tenant's name around a star."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import math
from pathlib import Path
from typing import Final

import typst

from appliance.box.home import Home
from appliance.ceremonies import encode
from appliance.documents.letters import fonts
from appliance.files import write_file
from appliance.letters.seal_object import SealObject

NAME: Final = "rehearsal"
_SIDE_MM: Final = 40
_PIXELS_AN_INCH: Final = 240.0
_ARC: Final = 250.0
"""Degrees of the ring that a long name fills."""
_TEMPLATE: Final = """
#set page(width: 40mm, height: 40mm, margin: 0mm, fill: none)
#set text(font: "Noto Serif CJK SC", weight: "bold", fill: rgb("#c8201c"))
#let ink = rgb("#c8201c")
#place(center + horizon, circle(radius: 18.8mm, stroke: 1.1mm + ink))
#let star = range(10).map(at => {
  let angle = -90deg + at * 36deg
  let radius = if calc.even(at) { 6mm } else { 2.3mm }
  (20mm + radius * calc.cos(angle), 20mm + radius * calc.sin(angle))
})
#place(top + left, polygon(fill: ink, stroke: none, ..star))
#for one in json(bytes(sys.inputs.letters)) {
  place(top + left, dx: one.x * 1mm - 4mm, dy: one.y * 1mm - 4mm,
    box(width: 8mm, height: 8mm,
      align(center + horizon, rotate(one.turn * 1deg, text(size: one.size * 1mm, one.text)))))
}
#place(center + bottom, dy: -6.6mm, text(size: 3.2mm)[演练用章])
"""


def draw_seal(name: str) -> bytes:
    """A PNG, transparent around the red. Raises FontsMissing."""
    step = min(24.0, _ARC / max(1, len(name) - 1))
    size = min(5.0, 1.25 * math.tau * 15.0 * step / 360)
    around = []
    for at, character in enumerate(name):
        turn = (at - (len(name) - 1) / 2) * step
        angle = math.radians(turn)
        place = {"x": 20 + 14.9 * math.sin(angle), "y": 20 - 14.9 * math.cos(angle)}
        around.append({"text": character, "turn": turn, "size": size, **place})
    made = typst.compile(
        _TEMPLATE.encode(),
        format="png",
        ppi=_PIXELS_AN_INCH,
        font_paths=fonts(),
        ignore_system_fonts=True,
        sys_inputs={"letters": json.dumps(around, ensure_ascii=False)},
    )
    assert isinstance(made, bytes)  # noqa: S101 - one page
    return made


def write_seal(home: Home, tenant: str, name: str, certificate: bytes, now: datetime.datetime) -> Path:
    """The seal object of a tenant for the key with this certificate (DER): as if its quorum had registered it."""
    form = "%Y-%m-%dT%H:%M:%SZ"
    made = SealObject(
        tenant=tenant,
        seal=NAME,
        title=f"{name} 演练用章",
        type="official",
        version=1,
        previous=None,
        image=base64.b64encode(draw_seal(name)).decode(),
        side_mm=_SIDE_MM,
        not_before=(now - datetime.timedelta(hours=1)).strftime(form),
        not_after=(now + datetime.timedelta(days=825)).strftime(form),
        certificates=[hashlib.sha256(certificate).hexdigest()],
        proposal=None,
        step=0,
    )
    path = home.seal_objects / tenant / NAME / "1.json"
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    write_file(path, encode(made), 0o640)
    return path
