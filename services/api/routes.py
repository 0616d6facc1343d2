"""The URL table: every route is one row."""

from __future__ import annotations

from collections.abc import Iterator

from werkzeug import routing

from services.api import route
from services.api import versions
from services.api.handlers import actions
from services.api.handlers import aggregates
from services.api.handlers import checks
from services.api.handlers import create
from services.api.handlers import documents
from services.api.handlers import empty
from services.api.handlers import flavors
from services.api.handlers import groups
from services.api.handlers import history
from services.api.handlers import hypervisors
from services.api.handlers import images
from services.api.handlers import limits
from services.api.handlers import metadata
from services.api.handlers import moves
from services.api.handlers import networks
from services.api.handlers import policies
from services.api.handlers import rankings
from services.api.handlers import servers
from services.api.handlers import services
from services.api.handlers import zones
from services.api.schemas import grouping
from services.api.schemas import others as bodies
from services.api.schemas import servers as server_bodies

LAST_BY_HOST: versions.Version = (2, 52)
LAST_NUMBERS: versions.Version = (2, 87)


R = route.Route
S = "/servers/<server_id>"
M = f"{S}/migrations"
F = "/flavors/<flavor_id>"
H = "/os-hypervisors"
A = "/os-aggregates"
G = "/os-server-groups"

DOCUMENTS = (
    R("GET", "/", documents.list_versions, open=True),
    R("GET", "/v2.1", documents.show_version, open=True),
    R("GET", "/v2", documents.show_oldest_version, open=True),
    R("GET", "/image", documents.list_image_versions, open=True),
    R("GET", "/image/v2", documents.list_image_versions, open=True),
    R("GET", "/network", documents.show_network_version, open=True),
    R("GET", "/network/v2.0", documents.show_network_version, open=True),
)

COMPUTE = (
    R("GET", "/servers", servers.list_servers, "servers:read"),
    R("GET", "/servers/detail", servers.list_servers_detail, "servers:read"),
    R("POST", "/servers", create.create_server, "servers:write", 202, server_bodies.CREATE),
    R("POST", "/whimbrel/ranking", rankings.rank_new, "servers:write", 200, server_bodies.CREATE),
    R("GET", S, servers.show_server, "servers:read"),
    R("PUT", S, servers.update_server, "servers:write", 200, server_bodies.UPDATE),
    R("DELETE", S, servers.delete_server, "servers:write", 204),
    R("GET", f"{S}/ips", servers.list_addresses, "servers:read"),
    R("POST", f"{S}/action", actions.act_on_server, "servers:read", 202),
    R("GET", f"{S}/metadata", metadata.list_metadata, "servers:read"),
    R(
        "POST",
        f"{S}/metadata",
        metadata.update_metadata,
        "servers:write",
        200,
        server_bodies.METADATA,
    ),
    R(
        "PUT",
        f"{S}/metadata",
        metadata.replace_metadata,
        "servers:write",
        200,
        server_bodies.METADATA,
    ),
    R("GET", f"{S}/metadata/<key>", metadata.show_metadata, "servers:read"),
    R("PUT", f"{S}/metadata/<key>", metadata.update_item, "servers:write", 200, server_bodies.META),
    R("DELETE", f"{S}/metadata/<key>", metadata.delete_item, "servers:write", 204),
    R("GET", f"{S}/os-instance-actions", history.list_actions, "servers:read"),
    R("GET", f"{S}/os-instance-actions/<request_id>", history.show_action, "servers:read"),
    R("GET", f"{S}/os-interface", networks.list_interfaces, "servers:read"),
    R(
        "GET",
        f"{S}/os-volume_attachments",
        empty.nothing_of_server("volumeAttachments"),
        "servers:read",
    ),
    R("GET", f"{S}/os-security-groups", empty.nothing_of_server("security_groups"), "servers:read"),
    R("GET", f"{S}/tags", empty.nothing_of_server("tags"), "servers:read", since=(2, 26)),
    R("GET", M, moves.list_going_on, "servers:move", since=(2, 23)),
    R("GET", f"{M}/<migration_id>", moves.show_going_on, "servers:move", since=(2, 23)),
    R("DELETE", f"{M}/<migration_id>", moves.abort_move, "servers:move", 202, since=(2, 24)),
    R(
        "POST",
        f"{M}/<migration_id>/action",
        moves.act_on_move,
        "servers:move",
        202,
        since=(2, 22),
    ),
    R("GET", f"{S}/whimbrel-check-migrate", checks.check_migrate, "servers:move"),
    R("GET", f"{S}/whimbrel-ranking", rankings.rank_move, "servers:move"),
    R("GET", "/os-migrations", moves.list_moves, "migrations:read"),
    R("GET", "/os-migrations/<migration_id>", moves.show_move, "migrations:read"),
    R("GET", "/flavors", flavors.list_flavors),
    R("GET", "/flavors/detail", flavors.list_flavors_detail),
    R("POST", "/flavors", flavors.create_flavor, "flavors:write", 200, bodies.CREATE_FLAVOR),
    R("GET", F, flavors.show_flavor),
    R("DELETE", F, flavors.delete_flavor, "flavors:write", 202),
    R("GET", f"{F}/os-extra_specs", flavors.list_specs),
    R(
        "POST",
        f"{F}/os-extra_specs",
        flavors.create_specs,
        "flavors:write",
        200,
        bodies.EXTRA_SPECS,
    ),
    R("GET", f"{F}/os-extra_specs/<key>", flavors.show_spec),
    R("PUT", f"{F}/os-extra_specs/<key>", flavors.update_spec, "flavors:write"),
    R("DELETE", f"{F}/os-extra_specs/<key>", flavors.delete_spec, "flavors:write"),
    R("GET", "/os-services", services.list_services, "services:read"),
    R(
        "PUT",
        "/os-services/<service_id>",
        services.update_service,
        "services:write",
        200,
        bodies.UPDATE_SERVICE,
    ),
    R("GET", H, hypervisors.list_hypervisors, "hosts:read"),
    R("GET", f"{H}/detail", hypervisors.list_hypervisors_detail, "hosts:read"),
    R("GET", f"{H}/statistics", hypervisors.show_statistics, "hosts:read", until=LAST_NUMBERS),
    R("GET", f"{H}/<hypervisor_id>", hypervisors.show_hypervisor, "hosts:read"),
    R(
        "GET",
        f"{H}/<hypervisor_id>/uptime",
        hypervisors.show_uptime,
        "hosts:read",
        until=LAST_NUMBERS,
    ),
    R(
        "GET",
        f"{H}/<pattern>/search",
        hypervisors.search_hypervisors,
        "hosts:read",
        until=LAST_BY_HOST,
    ),
    R(
        "GET",
        f"{H}/<pattern>/servers",
        hypervisors.list_hypervisor_servers,
        "hosts:read",
        until=LAST_BY_HOST,
    ),
    R("GET", "/os-availability-zone", zones.list_zones),
    R("GET", "/os-availability-zone/detail", zones.list_zones_detail, "hosts:read"),
    R("GET", "/os-keypairs", empty.nothing("keypairs")),
    R("GET", "/os-keypairs/<key>", empty.missing("keypair")),
    R("GET", "/os-security-groups", empty.nothing("security_groups")),
    R("GET", "/extensions", empty.nothing("extensions")),
    R("GET", "/limits", empty.show_limits),
)

GROUPING = (
    R("GET", A, aggregates.list_aggregates, "aggregates:read"),
    R("POST", A, aggregates.create_aggregate, "aggregates:write", 200, grouping.CREATE_AGGREGATE),
    R("GET", f"{A}/<aggregate_id>", aggregates.show_aggregate, "aggregates:read"),
    R(
        "PUT",
        f"{A}/<aggregate_id>",
        aggregates.update_aggregate,
        "aggregates:write",
        200,
        grouping.UPDATE_AGGREGATE,
    ),
    R("DELETE", f"{A}/<aggregate_id>", aggregates.delete_aggregate, "aggregates:write"),
    R("POST", f"{A}/<aggregate_id>/action", aggregates.act_on_aggregate, "aggregates:write"),
    R("GET", G, groups.list_groups, "servers:read"),
    R("POST", G, groups.create_group, "servers:write", 200, grouping.CREATE_GROUP),
    R("GET", f"{G}/<group_id>", groups.show_group, "servers:read"),
    R("DELETE", f"{G}/<group_id>", groups.delete_group, "servers:write", 204),
)

HOSTS = (
    R("GET", "/whimbrel/hosts", hypervisors.list_hosts, "hosts:read"),
    R("GET", "/whimbrel/hosts/<host>", hypervisors.show_host, "hosts:read"),
    R("POST", "/whimbrel/hosts/audit", hypervisors.audit_hosts, "hosts:audit"),
    R("POST", "/whimbrel/hosts/<host>/audit", hypervisors.audit_host, "hosts:audit"),
)

CONTROL = (
    R("GET", "/whimbrel/limits", limits.show_limits, "migrations:read"),
    R("PUT", "/whimbrel/limits", limits.update_limits, "migrations:limit", 200, bodies.LIMITS),
    R("GET", "/whimbrel/policies", policies.list_policies, "migrations:read"),
)

IMAGES = (
    R("GET", "/images", images.list_images),
    R("GET", "/images/<image_id>", images.show_image),
)

NETWORKS = (
    R("GET", "/networks", networks.list_networks),
    R("POST", "/networks", networks.create_network, "networks:write", 201, bodies.CREATE_NETWORK),
    R("GET", "/networks/<network_id>", networks.show_network),
    R("DELETE", "/networks/<network_id>", networks.delete_network, "networks:write", 204),
    R("GET", "/subnets", networks.list_subnets),
    R("GET", "/subnets/<subnet_id>", networks.show_subnet),
    R("GET", "/ports", networks.list_ports),
)

# Where each table is found. A client that knows one endpoint only looks for images and
# networks below the compute API; novaclient adds /v2 for images.
PLACES: tuple[tuple[str, tuple[route.Route, ...]], ...] = (
    ("", DOCUMENTS),
    ("/v2.1", COMPUTE),
    ("/v2.1", GROUPING),
    ("/v2.1", HOSTS),
    ("", HOSTS),
    ("/v2.1", CONTROL),
    ("/v2.1", IMAGES),
    ("/v2.1/v2", IMAGES),
    ("/image/v2", IMAGES),
    ("/v2.1", NETWORKS),
    ("/network/v2.0", NETWORKS),
    ("/network/v2.0", (R("GET", "/extensions", empty.nothing("extensions")),)),
)


def table() -> routing.Map:
    """Make the map that finds the row of a request."""
    return routing.Map(list(_rules()), strict_slashes=False, merge_slashes=False)


def _rules() -> Iterator[routing.Rule]:
    for prefix, rows in PLACES:
        for row in rows:
            # Werkzeug adds HEAD to GET by itself.
            yield routing.Rule(prefix + row.path, methods=[row.method], endpoint=row)
