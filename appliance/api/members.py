"""The members of the JSON bodies as tables: their types out of the structs, their meaning out of the docstrings."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable

import msgspec
from msgspec import inspect as shapes


def member_tables(bodies: Iterable[type]) -> str:
    """Markdown: a heading and a table for each struct, and for each that its members hold, in order of appearance."""
    parts: list[str] = []
    seen: set[type] = set()
    waiting = list(bodies)
    while waiting:
        struct = waiting.pop(0)
        if struct not in seen:
            seen.add(struct)
            shape = _struct(struct)
            parts.append(_table(shape))
            waiting[:0] = [held for member in shape.fields for held in _held(member.type)]
    return "\n".join(parts)


def link(struct: type) -> str:
    """A link to the table of a struct."""
    return f"[`{struct.__name__}`](#{struct.__name__.lower()})"


def _struct(struct: type) -> shapes.StructType:
    shape = shapes.type_info(struct)
    assert isinstance(shape, shapes.StructType)  # noqa: S101 - bodies are structs
    return shape


def _table(shape: shapes.StructType) -> str:
    meanings = _docstrings(shape.cls)
    rows = ["| Member | Type | Default | Meaning |", "|---|---|---|---|"]
    for member in shape.fields:
        kind, description = _kind(member.type)
        meaning = meanings.get(member.name) or description
        cells = (f"`{member.encode_name}`", kind, _default(member), meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    about = " ".join((shape.cls.__doc__ or "").split()).partition(" Raises ")[0]
    return f"#### {shape.cls.__name__}\n\n{about}\n\n" + "\n".join(rows) + "\n"


def _default(member: shapes.Field) -> str:
    if member.required:
        return "required"
    if isinstance(member.default, msgspec.Struct):
        return "none of them"
    if member.default is msgspec.NODEFAULT:
        made = member.default_factory
        return f"`{msgspec.json.encode(made()).decode()}`" if callable(made) else "absent"
    return f"`{msgspec.json.encode(member.default).decode()}`"


def _kind(shape: shapes.Type) -> tuple[str, str]:
    """How a type is said, and its own description."""
    if isinstance(shape, shapes.Metadata):
        return _kind(shape.type)[0], str((shape.extra_json_schema or {}).get("description", ""))
    if isinstance(shape, shapes.UnionType):
        kinds = [_kind(one) for one in shape.types if not isinstance(one, shapes.NoneType)]
        said = " or ".join(kind for kind, _ in kinds)
        nullable = any(isinstance(one, shapes.NoneType) for one in shape.types)
        return said + (" or null" if nullable else ""), next((text for _, text in kinds if text), "")
    if isinstance(shape, shapes.ListType):
        kind, description = _kind(shape.item_type)
        return f"list of {_range(shape.min_length, shape.max_length)}{kind}", description
    if isinstance(shape, shapes.DictType):
        return f"object of {_kind(shape.value_type)[0]} by name", ""
    if isinstance(shape, shapes.StructType):
        return link(shape.cls), ""
    if isinstance(shape, shapes.LiteralType):
        return ", ".join(f'`"{value}"`' for value in shape.values), ""
    if isinstance(shape, shapes.StrType):
        pattern = f" `{shape.pattern}`" if shape.pattern else ""
        length = _range(shape.min_length, shape.max_length)
        return f"string{pattern}" + (f" of {length}characters" if length else ""), ""
    names: dict[type[shapes.Type], str] = {
        shapes.BytesType: "base64",
        shapes.BoolType: "boolean",
        shapes.IntType: "integer",
        shapes.AnyType: "any value",
    }
    return names[type(shape)], ""


def _range(least: int | None, most: int | None) -> str:
    return f"{least or 0} to {most:,} " if most is not None else ""


def _held(shape: shapes.Type) -> list[type]:
    if isinstance(shape, shapes.StructType):
        return [shape.cls]
    if isinstance(shape, shapes.UnionType):
        return [held for one in shape.types for held in _held(one)]
    if isinstance(shape, shapes.ListType):
        return _held(shape.item_type)
    return _held(shape.type) if isinstance(shape, shapes.Metadata) else []


def _docstrings(struct: type) -> dict[str, str]:
    """The string below each field of a class and of those that it is made from."""
    found: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            found |= _own_docstrings(base)
    return found


def _own_docstrings(struct: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - it is the source of a class
    found: dict[str, str] = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            text = ast.literal_eval(after.value)
            found[field.target.id] = " ".join(str(text).split())
    return found
