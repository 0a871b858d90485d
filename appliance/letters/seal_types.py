"""What seal objects are for, and how large they are seen: shared by ceremonies and by the objects themselves."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

SealType = Literal["official", "contract", "finance", "guarantee", "legal-representative"]
"""What the seal is for: 公章, 合同专用章, 财务专用章, 担保专用章, 法定代表人章."""
Side = Annotated[int, msgspec.Meta(ge=10, le=60)]
"""Of the square that a seal is seen in, millimetres."""
