"""From method and path to an endpoint, one router a listener, compiled from the endpoint table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from appliance.api.endpoints import Endpoint, ListenerName
from appliance.api.errors import MethodNotAllowed, UnknownPath

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def compile_template(endpoint: Endpoint) -> re.Pattern[str]:
    """The template as a regular expression over the percent-decoded path; parameters bring their own patterns."""
    patterns = {parameter.name: parameter.pattern for parameter in endpoint.parameters}
    parts = _PLACEHOLDER.split(endpoint.path)
    literal = [
        re.escape(part) if index % 2 == 0 else f"(?P<{part}>{patterns[part]})" for index, part in enumerate(parts)
    ]
    return re.compile("".join(literal), re.ASCII)


class Router:
    """Routes of one listener. Exact paths are found in a dictionary; templates are tried in the table's order."""

    def __init__(self, endpoints: Iterable[Endpoint], listener: ListenerName) -> None:
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._templates: list[tuple[str, re.Pattern[str], dict[str, Endpoint]]] = []
        by_template: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            if listener not in endpoint.listeners:
                continue
            if not endpoint.parameters:
                self._exact.setdefault(endpoint.path, {})[endpoint.method] = endpoint
                continue
            methods = by_template.get(endpoint.path)
            if methods is None:
                methods = by_template[endpoint.path] = {}
                prefix = endpoint.path.partition("{")[0]
                self._templates.append((prefix, compile_template(endpoint), methods))
            methods[endpoint.method] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
        """The endpoint and the decoded parameters of the path. Raises UnknownPath and MethodNotAllowed."""
        methods = self._exact.get(path)
        arguments: dict[str, str] = {}
        if methods is None:
            decoded = unquote(path, errors="replace") if "%" in path else path
            for prefix, pattern, candidate in self._templates:
                if decoded.startswith(prefix) and (match := pattern.fullmatch(decoded)):
                    methods, arguments = candidate, match.groupdict()
                    break
            else:
                raise UnknownPath("No endpoint of this listener has this path.")
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else [])})
            raise MethodNotAllowed(", ".join(allowed))
        return endpoint, arguments
