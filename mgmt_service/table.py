"""The table of the service's parts, each with its operations. An area that is not in it has no route."""

from mgmt_service.areas import (
    audit,
    box,
    bundles,
    ceremonies,
    description,
    drafting,
    entry,
    exports,
    files,
    keys,
    officers,
    overview,
    records,
    tenants,
)

AREAS = (
    entry.area,
    files.area,
    overview.area,
    drafting.area,
    ceremonies.area,
    bundles.area,
    keys.area,
    tenants.area,
    records.area,
    audit.area,
    exports.area,
    officers.area,
    box.area,
    description.area,
)
