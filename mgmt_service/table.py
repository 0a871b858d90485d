"""The table of the service's parts, each with its operations. An area that is not in it has no route."""

from mgmt_service.areas import bundles, ceremonies, description, drafting, entry, files, officers, overview

AREAS = (
    entry.area,
    files.area,
    overview.area,
    drafting.area,
    ceremonies.area,
    bundles.area,
    officers.area,
    description.area,
)
