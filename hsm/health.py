"""What is known of a token's health, without asking the token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeyHealth:
    uri: str
    scheme: str
    usable: bool
    weaknesses: tuple[str, ...]
    """Names of hsm.policy.Weakness in lower case with hyphens; empty for a key as this box makes them."""
    error: str | None


@dataclass(frozen=True)
class SiteHealth:
    """One of the tokens that hold the keys: primary or standby."""

    name: str
    connected: bool
    last_error: str | None
    reconnects: int
    hanging_lanes: int
    replaced_lanes: int
    self_test_at: float | None
    """Seconds since the epoch."""
    self_test_error: str | None
    keys: tuple[KeyHealth, ...]


@dataclass(frozen=True)
class TokenHealth:
    sites: tuple[SiteHealth, ...]

    @property
    def available(self) -> bool:
        """Whether every key can be used on some token, and the last self-test there passed."""
        uris = {(key.uri, key.scheme) for site in self.sites for key in site.keys}
        return any(site.connected for site in self.sites) and all(
            any(
                site.connected
                and site.self_test_error is None
                and any((key.uri, key.scheme) == uri and key.usable for key in site.keys)
                for site in self.sites
            )
            for uri in uris
        )

    @property
    def degraded(self) -> bool:
        """Whether anything is not as it should be, though signing may go on."""
        return not all(
            site.connected and site.self_test_error is None and all(key.usable for key in site.keys)
            for site in self.sites
        )
