"""Modules are loaded after what they need."""

import lzma

from deploy.lab.guest import modules


def module(*needs: str) -> bytes:
    """Give bytes with a .modinfo section such as a kernel module has."""
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(needs).encode() + b"\0name=x\0"


def test_needs_come_first_and_once(tmp_path):
    contents = {
        "virtio_net": module("virtio", "net_failover"),
        "net-failover": module("failover"),
        "failover": module(),
        "virtio_pci": module("virtio_ring", "virtio"),
        "virtio": module("virtio_ring"),
        "virtio_ring": module(),
    }
    for name, data in contents.items():
        (tmp_path / f"{name}.ko").write_bytes(data)

    order = list(modules.load(tmp_path))

    assert ["virtio_ring", "virtio", "virtio_pci"] == order[:3]
    assert ["failover", "net_failover", "virtio_net"] == order[3:]


def test_built_in_modules_are_passed_over(tmp_path):
    """A kernel that has everything built in needs no module."""
    assert {} == modules.load(tmp_path)


def test_compressed_module_is_unpacked(tmp_path):
    (tmp_path / "button.ko.xz").write_bytes(lzma.compress(module()))

    assert {"button": module()} == modules.load(tmp_path)


def test_module_without_needs_has_none():
    assert [] == modules.depends(module())
    assert [] == modules.depends(b"no modinfo at all")
