"""Bodies: JSON, or the same structure by an HTML form whose field names are paths (`actions.0.key`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from flask import Request
from msgspec import inspect as shapes

from mgmt_service.problems import Malformed

BODY_BYTES = 2 * 1024 * 1024
UPLOADS = "files"
"""A form's file input of this name becomes a list of names and contents; nothing looks into the contents."""
Form = TypeVar("Form", bound=msgspec.Struct)
_SEPARATORS = re.compile(r"[\s,;]+")
_AT = re.compile(r" - at `\$\.?(.*)`$")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_TRUE = {"on", "true", "1", "yes"}


class FieldError(Malformed):
    """A field that is not right; `path` says which, as forms name it."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


def read_body(request: Request, form: type[Form]) -> Form:
    """The body as the declared form. Raises Malformed."""
    if request.mimetype == "application/json":
        try:
            document = msgspec.json.decode(request.get_data(cache=False))
        except (msgspec.DecodeError, RecursionError):
            raise Malformed("the body is not JSON") from None
        return convert(document, form)
    if request.mimetype not in {"application/x-www-form-urlencoded", "multipart/form-data", ""}:
        raise Malformed("the body must be JSON or a form")
    pairs = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf"]
    uploads = []
    for name, file in request.files.items(multi=True):
        if name == UPLOADS:
            if file.filename:
                uploads.append({"name": file.filename[-255:], "content": file.read()})
            continue
        content = file.read(BODY_BYTES)
        if content:
            pairs.append((name, content.decode("latin-1")))
    document = coerce(shapes.type_info(form), nested(pairs))
    return convert(document | ({UPLOADS: uploads} if uploads else {}), form)


def read_query(request: Request, form: type[Form]) -> Form:
    """The query as the declared form; empty values are absent ones. Raises Malformed."""
    pairs = [(name, value) for name, value in request.args.items(multi=True) if value]
    return convert(coerce(shapes.type_info(form), nested(pairs)), form)


def convert(document: Any, form: type[Form]) -> Form:
    try:
        return msgspec.convert(document, form)
    except (msgspec.ValidationError, RecursionError) as error:
        text = str(error)
        found = _AT.search(text)
        path = re.sub(r"\[(\d+)\]", r".\1", found[1]) if found else ""
        if missing := _MISSING.match(text):
            path = f"{path}.{missing[1]}".lstrip(".")
        raise FieldError(_AT.sub("", text), path) from None


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Names with dots as a tree. Raises Malformed."""
    tree: dict[str, Any] = {}
    for count, (name, value) in enumerate(pairs):
        parts = name.split(".")
        if count > 2_000 or len(parts) > 8:
            raise Malformed("the form has too many fields")
        at = tree
        for part in parts[:-1]:
            inner = at.setdefault(part, {})
            if not isinstance(inner, dict):
                raise Malformed(f"{name!r} stands twice in different forms")
            at = inner
        last = parts[-1]
        if last in at:
            if not isinstance(at[last], list):
                at[last] = [at[last]]
            at[last].append(value)
        else:
            at[last] = value
    return tree


def coerce(info: Any, value: Any) -> Any:
    """A form's texts as what the type wants; what fits nowhere is left for msgspec to refuse."""
    match info:
        case shapes.StructType():
            if not isinstance(value, dict):
                return value
            made: dict[str, Any] = {}
            if info.tag_field is not None and info.tag_field in value:
                made[info.tag_field] = value[info.tag_field]
            for field in info.fields:
                inner = value.get(field.encode_name)
                if isinstance(field.type, shapes.BoolType):
                    made[field.encode_name] = str(inner).lower() in _TRUE
                elif inner is not None and not (inner == "" and not field.required):
                    made[field.encode_name] = coerce(field.type, inner)
            return made | {name: inner for name, inner in value.items() if name not in made and _is_stray(info, name)}
        case shapes.ListType() | shapes.VarTupleType():
            return [coerce(info.item_type, item) for item in _items(value, info.item_type)]
        case shapes.UnionType():
            return _coerce_union(info, value)
        case shapes.IntType():
            text = str(value).strip().replace("\u00a0", "").replace(",", "")
            return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else value
        case shapes.StrType() | shapes.LiteralType():
            return value.replace("\r\n", "\n").strip() if isinstance(value, str) else value
        case shapes.DictType() | shapes.AnyType():
            return _whole(value)
        case _:
            return value


def _whole(value: Any) -> Any:
    """What a text that looks like JSON stands for; one that is none is left as it is, for msgspec to refuse."""
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _is_stray(info: shapes.StructType, name: str) -> bool:
    return name != info.tag_field and name not in {field.encode_name for field in info.fields}


def _items(value: Any, item: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value[key] for key in sorted(value, key=lambda key: (len(key), key))]
    texts = value if isinstance(value, list) else [value]
    if isinstance(item, shapes.StrType):
        return [part for text in texts if isinstance(text, str) for part in _SEPARATORS.split(text) if part]
    return texts


def _coerce_union(info: shapes.UnionType, value: Any) -> Any:
    if value == "" and any(isinstance(one, shapes.NoneType) for one in info.types):
        return None
    others = [one for one in info.types if not isinstance(one, shapes.NoneType)]
    if len(others) == 1:
        return coerce(others[0], value)
    for one in others:
        if isinstance(one, shapes.StructType) and isinstance(value, dict) and value.get(one.tag_field or "") == one.tag:
            return coerce(one, value)
    return value
