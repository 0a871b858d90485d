"""Why a container or a manifest is refused."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError


class ContainerRefused(BadRequest):
    """The bytes are not a container in the one form that is written here; the detail says where they differ."""

    code = "container-refused"
    title = "The container is not acceptable"


class ManifestRefused(BadRequest):
    """The bytes are not a manifest in the one form that is written here."""

    code = "manifest-refused"
    title = "The manifest is not acceptable"


class EvidenceNotBuildable(CinnabarError):
    """What should go into an evidence file does not fit together."""

    code = "evidence-not-buildable"
    title = "The evidence file cannot be put together"
