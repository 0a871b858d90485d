"""The kinds that ship with the box: files of the package, to use as they are or to begin with."""

from __future__ import annotations

from importlib.resources import files


def shipped() -> dict[str, bytes]:
    """The files of the catalogue, by the kind's id, in the order of the ids."""
    directory = files("appliance.letters") / "catalogue"
    found = {entry.name.removesuffix(".toml"): entry for entry in directory.iterdir() if entry.name.endswith(".toml")}
    return {name: found[name].read_bytes() for name in sorted(found)}
