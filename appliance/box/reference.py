"""The generated parts of docs/operations.md: `python -m appliance.box.reference docs/operations.md`.

The page is written by hand around them. Each part stands between two comments, `<!-- begin NAME -->` and
`<!-- end NAME -->`, and is made anew from the code: states, causes, weaknesses, files, settings, problems.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

import appliance
from appliance.box.home import Home
from appliance.box.known_weaknesses import KnownWeakness
from appliance.box.settings import BoxSettings
from appliance.box.states import STATES, Cause, Work
from appliance.errors import CinnabarError

_WORDS = {str: "text", int: "number", float: "number", bool: "true or false"}
_SNAKE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(headings)
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def states() -> str:
    """Every state, gravest last: what it means, what it allows, how it is left."""
    rows = []
    for state, rule in STATES.items():
        allowed = "all" if len(rule.allowed) == len(Work) else ", ".join(w.value for w in Work if w in rule.allowed)
        causes = ", ".join(f"`{cause.label}`" for cause in Cause if cause.state is state)
        rows.append((str(state.value), f"**{state.label}**", rule.meaning, allowed, causes or "none", rule.leaves_by))
    return table(("", "State", "Meaning", "Still does", "Causes", "Left by"), rows)


def weaknesses() -> str:
    """Every weakness that the box can tell of."""
    return table(
        ("Weakness", "Means", "Goes by"), ((f"`{one.label}`", one.means, one.goes_by) for one in KnownWeakness)
    )


def files() -> str:
    """What stands where under a home."""
    home = Home(Path("HOME"))
    rows = [
        (f"`{getattr(home, name).relative_to(home.root)}`", one_line(value.__doc__))
        for name, value in vars(Home).items()
        if isinstance(value, property)
    ]
    rows.append((f"`{home.worker_socket(0, 'NAME').relative_to(home.root)}`", one_line(Home.worker_socket.__doc__)))
    return table(("Path", "What"), sorted(rows))


def member_texts(kind: type) -> dict[str, str]:
    """The string that stands below each member of a class, or of one that it is made of."""
    above = [one for one in kind.__bases__ if issubclass(one, msgspec.Struct) and one is not msgspec.Struct]
    found = {name: text for one in above for name, text in member_texts(one).items()}
    body = typing.cast("ast.ClassDef", ast.parse(inspect.getsource(kind)).body[0]).body
    for member, following in itertools.pairwise(body):
        if (
            isinstance(member, ast.AnnAssign)
            and isinstance(member.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            found[member.target.id] = one_line(str(following.value.value))
    return found


@dataclass(frozen=True)
class TypeWords:
    """How a page says of which type a member is."""

    struct: Callable[[type[msgspec.Struct]], str]
    """A link to another part, or its name."""
    named: Mapping[Any, str] = field(default_factory=dict)
    """Types that have a name of their own."""
    null: str = "null"
    """How a member says that it may be null; empty: not at all."""
    mapping: str = "object"
    """With `{key}` and `{value}`."""

    def of(self, hint: Any) -> str:
        if hint in self.named:
            return self.named[hint]
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            meta = arguments[1]
            limits = f", {meta.ge} to {meta.le}" if meta.le is not None else ""
            return self.of(arguments[0]) + limits
        if origin is typing.Literal:
            return " or ".join(f"`{value}`" for value in arguments)
        if origin in (types.UnionType, typing.Union):
            return " or ".join(self.of(one) for one in arguments if self.null or one is not type(None))
        if origin in (list, tuple):
            return f"list of {self.of(arguments[0])}"
        if origin is dict:
            return self.mapping.format(key=self.of(arguments[0]), value=self.of(arguments[1]))
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            return self.struct(hint)
        return self.null if hint is type(None) else _WORDS[hint]


def _title(kind: type) -> str:
    return _SNAKE.sub(" ", kind.__name__).lower()


_TYPES = TypeWords(lambda kind: f"[{_title(kind)}](#{_title(kind).replace(' ', '-')})")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**required**"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return "its own" if isinstance(value, msgspec.Struct) else f"`{msgspec.json.encode(value).decode()}`"


def _structs_in(annotation: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _structs_in(argument)


def setting_structs(kind: type[msgspec.Struct] = BoxSettings) -> list[type[msgspec.Struct]]:
    """The objects of box.json in the order in which they are met, the whole first."""
    found = [kind]
    for hint in typing.get_type_hints(kind).values():
        for inner in _structs_in(hint):
            found += [one for one in setting_structs(inner) if one not in found]
    return found


def _meaning(texts: dict[str, str], field: msgspec.structs.FieldInfo, hints: dict[str, Any]) -> str:
    below = "See below." if any(_structs_in(hints[field.name])) else ""
    return re.sub(r"\bNone\b", "null", texts.get(field.name, below))


def settings_reference() -> str:
    """Every setting of box.json."""
    parts = []
    for kind in setting_structs():
        texts, hints = member_texts(kind), typing.get_type_hints(kind)
        rows = [
            (f"`{field.name}`", _TYPES.of(hints[field.name]), _default(field), _meaning(texts, field, hints))
            for field in msgspec.structs.fields(kind)
        ]
        if (tag := kind.__struct_config__.tag) is not None:
            rows.insert(0, (f"`{kind.__struct_config__.tag_field}`", f"`{tag}`", "**required**", "Tells it apart."))
        about = re.sub(r"\bNone\b", "null", one_line(kind.__dict__.get("__doc__")))
        parts.append(
            f"### {_title(kind)}\n\n"
            + (f"{about}\n\n" if about else "")
            + table(("Member", "Type", "Default", "Meaning"), rows)
        )
    return "\n".join(parts)


def errors() -> list[type[CinnabarError]]:
    """Every error class of the appliance, by code."""
    for module in pkgutil.walk_packages(appliance.__path__, "appliance."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = {CinnabarError}
    pending = [CinnabarError]
    while pending:
        for kind in pending.pop().__subclasses__():
            if kind.__module__.startswith("appliance.") and kind not in found:
                found.add(kind)
                pending.append(kind)
    return sorted(found, key=lambda kind: (kind.code, kind.__module__, kind.__name__))


def problems() -> str:
    """Every error by its code. Classes that tell a client the same share a row."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for kind in errors():
        told = (f"`{kind.code}`", str(kind.status), kind.control or "", "yes" if kind.retriable else "no")
        module = kind.__module__.removeprefix("appliance.")
        rows.setdefault(told, []).append(f"`{module}.{kind.__name__}`")
    return table(
        ("Code", "Status", "Control", "Retriable", "Raised as"), [(*told, ", ".join(k)) for told, k in rows.items()]
    )


PARTS: dict[str, Callable[[], str]] = {
    "states": states,
    "weaknesses": weaknesses,
    "files": files,
    "settings": settings_reference,
    "problems": problems,
}


def renew(page: str, parts: Mapping[str, Callable[[], str]] = PARTS) -> str:
    """The page with every generated part made anew. Raises ValueError when a part's place is not there once."""
    for name, make in parts.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"{begin.strip()} and {end.strip()} must stand once in the page")
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}{make()}{end}{after}"
    return page


def main(path: Path) -> None:
    """Renew the page at `path`."""
    path.write_text(renew(path.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
