"""libvirt's own test hypervisor, in memory, one for each connection."""

import libvirt
import pytest

from services.compute.virt.libvirt import settings

NODE = """
<node>
  <domain type="test">
    <name>test</name>
    <memory>65536</memory>
    <os><type>hvm</type></os>
  </domain>
</node>
"""


@pytest.fixture
def uri(tmp_path_factory):
    """The address of a test hypervisor that runs one guest."""
    path = tmp_path_factory.mktemp("node") / "node.xml"
    path.write_text(NODE)
    return f"test://{path}"


@pytest.fixture
def connection(uri):
    """A connection to it."""
    opened = libvirt.open(uri)
    yield opened
    opened.close()


@pytest.fixture
def domain(connection):
    """The guest that runs there."""
    return connection.listAllDomains()[0]


@pytest.fixture
def here(tmp_path_factory):
    """The settings of host1, with its directory."""
    return settings.Settings(
        host="host1",
        uri="test:///default",
        address="198.51.100.11",
        scheme="tcp",
        instances=tmp_path_factory.mktemp("instances"),
        virt_type="qemu",
        machine_type="pc-q35-7.2",
        cpu_model="qemu64",
        trust_shared=False,
    )
