"""Whether the revision of a PDF's first signature brought the signature and nothing else.

pyHanko looks at what came after a signature. What came with the first one is signed with it, so no signature tells
whether it is still the page that was there before; it is compared here, from the catalogue down, all that is not a
signature's own: its field, its appearance, and what makes it last.
"""

from __future__ import annotations

from typing import Any, Final

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
from pyhanko.sign.diff_analysis import DiffResult
from pyhanko.sign.validation import EmbeddedPdfSignature

from appliance.pdf import PdfRefused

_MOST_COMPARED: Final = 400_000
_OF_SIGNATURES: Final = {"/AcroForm", "/DSS", "/Extensions", "/Metadata", "/Perms", "/Version"}
"""Members of the catalogue that show nothing on a page; the form is looked at by itself."""
_OF_FORMS: Final = {"/Fields", "/SigFlags"}
_OF_SIGNED_FIELDS: Final = {"/V", "/AP"}


def only_signed(reader: PdfFileReader, signatures: list[EmbeddedPdfSignature]) -> bool:
    """Whether a PDF shows, and its form holds, what it did before the first of its signatures (in their order), whose
    changes after them were judged. Raises PdfRefused where there is too much to compare."""
    first = signatures[0].signed_revision
    old, new = reader.get_historical_resolver(first - 1), reader.get_historical_resolver(first)
    return _Comparison().holds(old, new) and _only_seals_since(signatures)


def _only_seals_since(signatures: list[EmbeddedPdfSignature]) -> bool:
    names = {one.field_name for one in signatures}
    since = signatures[0].diff_result
    return since is None or (isinstance(since, DiffResult) and since.changed_form_fields <= names)


class _Comparison:
    def __init__(self) -> None:
        self._waiting: list[tuple[Any, Any]] = []
        self._seen: set[tuple[int, int, int, int]] = set()

    def holds(self, old: HistoricalResolver, new: HistoricalResolver) -> bool:
        if _reference(old.trailer_view.raw_get("/Root")) != _reference(new.trailer_view.raw_get("/Root")):
            return False
        if not self._members(old.root, new.root, _OF_SIGNATURES) or not self._form(old.root, new.root):
            return False
        compared = 0
        while self._waiting:
            compared += 1
            if compared > _MOST_COMPARED:
                raise PdfRefused("pdf: it has too many parts")
            if not self._same(*self._waiting.pop()):
                return False
        return True

    def _same(self, old: Any, new: Any) -> bool:
        """Of two values themselves; what is in them waits."""
        if isinstance(old, generic.IndirectObject) and isinstance(new, generic.IndirectObject):
            pair = (*_reference(old), *_reference(new))
            if pair in self._seen:
                return True
            self._seen.add(pair)
        old, new = _direct(old), _direct(new)
        if isinstance(old, generic.DictionaryObject):
            if isinstance(old, generic.StreamObject) and not (
                isinstance(new, generic.StreamObject) and old.encoded_data == new.encoded_data
            ):
                return False
            return isinstance(new, generic.DictionaryObject) and self._dictionary(old, new)
        if isinstance(old, generic.ArrayObject):
            if not isinstance(new, generic.ArrayObject) or len(old) != len(new):
                return False
            self._waiting += zip(_items(old), _items(new), strict=True)
            return True
        return type(old) is type(new) and bool(old == new)

    def _dictionary(self, old: generic.DictionaryObject, new: generic.DictionaryObject) -> bool:
        if member(old, "/Type") == "/Page":
            return self._members(old, new, {"/Annots"}) and self._longer(old, new, "/Annots")
        return self._members(old, new, _OF_SIGNED_FIELDS if _is_unsigned(old) else set())

    def _members(self, old: generic.DictionaryObject, new: generic.DictionaryObject, but: set[str]) -> bool:
        names = old.keys() - but
        if names != new.keys() - but:
            return False
        self._waiting += [(old.raw_get(name), new.raw_get(name)) for name in names]
        return True

    def _form(self, old: generic.DictionaryObject, new: generic.DictionaryObject) -> bool:
        before, after = member(old, "/AcroForm"), member(new, "/AcroForm")
        if not isinstance(after, generic.DictionaryObject):
            return False
        if before is None:
            return self._longer(generic.DictionaryObject(), after, "/Fields")  # type: ignore[no-untyped-call]
        return (
            isinstance(before, generic.DictionaryObject)
            and self._members(before, after, _OF_FORMS)
            and self._longer(before, after, "/Fields")
        )

    def _longer(self, old: generic.DictionaryObject, new: generic.DictionaryObject, name: str) -> bool:
        """Whether a list is the same with signatures at its end."""
        before, after = _list(old, name), _list(new, name)
        if before is None or after is None or len(after) < len(before):
            return False
        self._waiting += zip(before, after[: len(before)], strict=True)
        return all(_is_of_signature(_direct(one)) for one in after[len(before) :])


def _reference(value: Any) -> tuple[int, int]:
    return (value.idnum, value.generation)


def _direct(value: Any) -> Any:
    return value.get_object() if isinstance(value, generic.IndirectObject) else value  # type: ignore[no-untyped-call]


def member(holder: Any, name: str) -> Any:
    """Of a dictionary; None where there is none. `get` of pyHanko's does not follow references."""
    return _direct(holder.get(name))


def _items(array: generic.ArrayObject) -> list[Any]:
    return [array.raw_get(at) for at in range(len(array))]


def _list(holder: generic.DictionaryObject, name: str) -> list[Any] | None:
    found = member(holder, name)
    if isinstance(found, generic.ArrayObject):
        return _items(found)
    return [] if found is None else None


def _is_of_signature(value: Any) -> bool:
    return (
        isinstance(value, generic.DictionaryObject)
        and member(value, "/FT") == "/Sig"
        and member(value, "/Subtype") == "/Widget"
        and "/Kids" not in value
    )


def _is_unsigned(value: generic.DictionaryObject) -> bool:
    return member(value, "/FT") == "/Sig" and "/V" not in value
