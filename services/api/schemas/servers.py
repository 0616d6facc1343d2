"""Bodies about servers."""

from __future__ import annotations

from services.api.schemas import grouping
from services.api.schemas import parts
from services.api.schemas.check import Schema
from services.api.schemas.check import Schemas

# What clients call the hints for the scheduler, beside the server.
HINTS = ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")

_UUID: Schema = {"type": "string", "minLength": 1, "maxLength": 255}

_NETWORK: Schema = {
    "type": "object",
    "properties": {
        "uuid": _UUID,
        "port": parts.only(None),
        "fixed_ip": parts.only(None),
        "tag": {"type": "string"},
    },
    "required": ["uuid"],
    "additionalProperties": False,
}
_NETWORKS: Schema = {"type": "array", "items": _NETWORK, "maxItems": 16}
_NETWORKS_OR_WORD: Schema = {
    "anyOf": [_NETWORKS, {"enum": ["auto", "none"]}],
    "description": 'be "auto", "none" or a list of {"uuid": ID}; ports and fixed addresses are '
    "not supported",
}

# The one block device that a server here has: its disk, made of an image.
_IMAGE_DISK: Schema = {
    "type": "object",
    "properties": {
        "uuid": _UUID,
        "boot_index": {"enum": [0, "0"], "description": "be 0"},
        "source_type": {"enum": ["image"]},
        "destination_type": {"enum": ["local"]},
        "delete_on_termination": {"enum": [True], "description": "be true"},
        "device_name": {"type": ["string", "null"]},
        "disk_bus": {"type": ["string", "null"]},
        "device_type": {"type": ["string", "null"]},
        "tag": {"type": "string"},
    },
    "required": ["uuid", "source_type"],
    "additionalProperties": False,
}

_REFERENCE: Schema = {"type": "string", "maxLength": 1024}

_FIELDS: dict[str, Schema] = {
    "name": parts.NAME,
    "imageRef": _REFERENCE,
    "flavorRef": {"type": ["string", "integer"], "minLength": 1, "maxLength": 1024},
    "networks": _NETWORKS,
    "block_device_mapping_v2": {"type": "array", "items": _IMAGE_DISK, "maxItems": 1},
    "metadata": parts.METADATA,
    "availability_zone": parts.HOST,
    # Taken, and without any effect here.
    "adminPass": {"type": "string"},
    "accessIPv4": {"type": ["string", "null"]},
    "accessIPv6": {"type": ["string", "null"]},
    "OS-DCF:diskConfig": parts.DISK_CONFIG,
    # Taken as long as they ask for nothing that is missing here.
    "min_count": parts.only(1, "1", None),
    "max_count": parts.only(1, "1", None),
    "config_drive": parts.only(False, "False", "false", "", None),
    "user_data": parts.only("", None),
    "key_name": parts.only("", None),
    "personality": parts.only([]),
    "return_reservation_id": parts.only(False, "False", "false"),
    "security_groups": parts.only([], [{"name": "default"}]),
    "block_device_mapping": parts.only([]),
    "trusted_image_certificates": parts.only(None, []),
    "tags": parts.only([]),
}

_HOSTNAME: Schema = {
    "type": "string",
    "pattern": r"^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$",
    "description": "be a host name of letters, digits and hyphens",
}


def _create(required: list[str], **more: Schema) -> Schema:
    schema = parts.inside("server", parts.thing(required, **{**_FIELDS, **more}))
    schema["properties"] |= dict.fromkeys(HINTS, grouping.HINTS)
    schema["additionalProperties"] = False
    return schema


_FIRST = ["name", "flavorRef"]
_LATER = ["name", "flavorRef", "networks"]
_DESCRIBED = {"description": parts.TEXT}
_PLACED = {"host": parts.HOST, "hypervisor_hostname": parts.HOST}

CREATE: Schemas = (
    (
        (2, 90),
        _create(_LATER, networks=_NETWORKS_OR_WORD, hostname=_HOSTNAME, **_DESCRIBED, **_PLACED),
    ),
    ((2, 74), _create(_LATER, networks=_NETWORKS_OR_WORD, **_DESCRIBED, **_PLACED)),
    ((2, 37), _create(_LATER, networks=_NETWORKS_OR_WORD, **_DESCRIBED)),
    ((2, 19), _create(_FIRST, **_DESCRIBED)),
    ((2, 1), _create(_FIRST)),
)

_CHANGES: dict[str, Schema] = {
    "name": parts.NAME,
    "OS-DCF:diskConfig": parts.DISK_CONFIG,
    "accessIPv4": {"type": ["string", "null"]},
    "accessIPv6": {"type": ["string", "null"]},
}

UPDATE: Schemas = (
    ((2, 19), parts.inside("server", parts.thing(**_CHANGES, **_DESCRIBED))),
    ((2, 1), parts.inside("server", parts.thing(**_CHANGES))),
)

METADATA: Schemas = (((2, 1), parts.inside("metadata", parts.METADATA)),)
META: Schemas = (
    ((2, 1), parts.inside("meta", {**parts.METADATA, "minProperties": 1, "maxProperties": 1})),
)
