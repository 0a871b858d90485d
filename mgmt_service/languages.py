"""English and Simplified Chinese. Messages are read from the .po files at start: nothing compiled is kept anywhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final, Literal

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, Domain, gettext, ngettext
from markupsafe import Markup

from mgmt_service.texts import visible

COOKIE: Final = "language"
LANGUAGES: Final = {"en": "English", "zh_Hans_CN": "简体中文"}
"""Locale to its own name."""
TAGS: Final = {"en": "en", "zh_Hans_CN": "zh-Hans"}
"""For the `lang` attribute."""
TRANSLATIONS: Final = Path(__file__).parent / "translations"


class PlainDomain(Domain):  # type: ignore[misc]
    """Catalogues read from translations/LANGUAGE/*.po, one file an area of the service."""

    def __init__(self, directory: Path = TRANSLATIONS) -> None:
        super().__init__()
        for language in LANGUAGES:
            merged = Catalog(locale=Locale.parse(language))
            for path in sorted((directory / language).glob("*.po")):
                with path.open("rb") as file:
                    for message in read_po(file, locale=Locale.parse(language)):
                        if message.id:
                            merged[message.id] = message
            compiled = io.BytesIO()
            write_mo(compiled, merged)
            compiled.seek(0)
            self.cache[str(Locale.parse(language)), self.domain[0]] = Translations(compiled)


def chosen_language() -> str:
    """The language of this request: the cookie's, else what the browser asks for, else English."""
    if not has_request_context():
        return "en"
    if "language" not in g:
        kept = request.cookies.get(COOKIE, "")
        if kept in LANGUAGES:
            g.language = kept
        else:
            best = request.accept_languages.best_match(["en", "zh-CN", "zh-Hans-CN", "zh-Hans", "zh"], "en")
            g.language = "zh_Hans_CN" if best.startswith("zh") else "en"
    language: str = g.language
    return language


def word_list() -> Literal["english", "chinese_simplified"]:
    """The list that digests are shown from as words, in the reader's language."""
    return "english" if chosen_language() == "en" else "chinese_simplified"


class _PlainBabel(Babel):  # type: ignore[misc]
    domain_instance = PlainDomain()


def _translate(text: str, /, **variables: Any) -> Markup:
    """For templates: texts of others are shown as `visible` shows them, then escaped."""
    shown = {name: visible(value) if _is_plain(value) else value for name, value in variables.items()}
    return Markup(gettext(text)) % shown if shown else Markup(gettext(text))  # noqa: S704 - our own messages


def _translate_many(one: str, many: str, number: int, /, **variables: Any) -> Markup:
    shown = {name: visible(value) if _is_plain(value) else value for name, value in variables.items()}
    return Markup(ngettext(one, many, number).replace("%(num)s", str(number))) % shown  # noqa: S704 - our own messages


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Markup)


def install(app: Flask) -> None:
    """Set up translation in an application."""
    _PlainBabel(app, default_locale="en", default_timezone="UTC", locale_selector=chosen_language)
    app.jinja_env.globals.update(_=_translate, gettext=_translate, ngettext=_translate_many)
