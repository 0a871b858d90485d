"""Documents for people, set by typst from a template and data. The data come as JSON and are text, never markup."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import typst

from appliance.documents.errors import FontsMissing, NotRendered

TEMPLATES: Final = {path.stem: path.read_bytes() for path in (Path(__file__).parent / "templates").glob("*.typ")}
"""Read once, by the keeper."""
FONTS: Final = Path("/usr/share/fonts/opentype/noto")
"""Of the package fonts-noto-cjk: one family for Latin, one for fixed width, both with Chinese."""
FAMILIES: Final = ("Noto Sans CJK SC", "Noto Sans Mono CJK SC")


def begin_threads() -> None:
    """Start typst's one thread: after this, a process needs no further one."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    typst.Compiler(b"", ignore_system_fonts=True).compile(format="pdf")


def render(template: str, data: str, time_s: int) -> bytes:
    """The PDF of a template and data (JSON). `time_s`: its time of making, in seconds since the epoch; equal arguments
    give equal bytes. Raises FontsMissing, NotRendered."""
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS])
    missing = sorted(set(FAMILIES) - set(fonts.families()))
    if missing:
        # Without a font typst leaves the text out.
        raise FontsMissing(f"the box lacks the font {missing[0]}: install fonts-noto-cjk")
    try:
        compiler = typst.Compiler(
            TEMPLATES[template], font_paths=fonts, ignore_system_fonts=True, sys_inputs={"data": data}
        )
        made = compiler.compile(format="pdf", timestamp=time_s)
    except (typst.TypstError, RuntimeError) as error:
        raise NotRendered(f"the document cannot be set: {error}") from None
    if not isinstance(made, bytes):
        raise NotRendered("the document cannot be set: it came in pieces")
    return made
