"""Whimbrel's own element in a domain's <metadata>: run token, server name, flavor."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import libvirt

from common import objects
from services.compute.virt.libvirt import trouble

NAMESPACE = "urn:whimbrel:instance:1"
PREFIX = "whimbrel"

NONE = frozenset({libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN})


def element(instance: objects.Instance) -> ET.Element:
    """Say whose guest this is, for people and for recovery."""
    # ElementTree's own prefixes are a global table, so this one is written out.
    root = ET.Element(f"{PREFIX}:instance", {f"xmlns:{PREFIX}": NAMESPACE})
    ET.SubElement(root, f"{PREFIX}:run", token=instance.run_token)
    ET.SubElement(root, f"{PREFIX}:name").text = instance.name
    flavor = instance.flavor
    ET.SubElement(
        root,
        f"{PREFIX}:flavor",
        name=flavor.name,
        vcpus=str(flavor.vcpus),
        memory_mb=str(flavor.memory_mb),
        root_gb=str(flavor.root_gb),
    )
    ET.SubElement(root, f"{PREFIX}:owner", project=instance.project_id, user=instance.user_id)
    if instance.image is not None:
        ET.SubElement(root, f"{PREFIX}:image", id=instance.image.id)
    return root


def run_token(domain: libvirt.virDomain) -> str:
    """The token of the guest's latest start; empty when it is not one of ours."""
    try:
        found = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
    except libvirt.libvirtError as error:
        if trouble.code(error) in NONE:
            return ""
        raise
    # libvirt gives the element without its prefix.
    run = ET.fromstring(found).find("run")
    return "" if run is None else run.get("token", "")
