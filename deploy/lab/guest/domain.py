"""The guest as a libvirt domain, for people and tests that use virsh without Whimbrel."""

from dataclasses import dataclass
from xml.sax.saxutils import escape

from deploy.lab.guest import build
from deploy.lab.plan import guest_mac
from deploy.lab.plan import TENANT_BRIDGE

# A fixed machine and CPU: both ends of a migration must offer the same.
XML = """\
<domain type='{virt_type}'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initramfs}</initrd>
    <cmdline>{command_line}</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact' check='none'><model>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='{bridge}'/>
      <model type='virtio'/>
    </interface>
    <serial type='file'><source path='/var/log/libvirt/{name}.log'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""


@dataclass(frozen=True)
class Guest:
    """One guest: its IPv4 address, memory in MiB, and how much of it is dirtied how fast."""

    name: str
    address: str
    disk: str
    memory: int = 128
    dirty_mib: int = 0
    dirty_rate: int = 0
    prefix: int = 25
    virt_type: str = "qemu"

    @property
    def command_line(self) -> str:
        """The kernel's command line, which also tells the guest its load."""
        words = [build.COMMAND_LINE, f"whimbrel.prefix={self.prefix}"]
        if self.dirty_mib:
            words.append(f"whimbrel.dirty_mib={self.dirty_mib}")
            words.append(f"whimbrel.dirty_rate={self.dirty_rate}")
        return " ".join(words)


def xml(guest: Guest, files: build.Files) -> str:
    """The definition of a guest, booted directly from the given kernel and initramfs."""
    return XML.format(
        virt_type=guest.virt_type,
        name=escape(guest.name),
        memory=guest.memory,
        kernel=escape(str(files.kernel)),
        initramfs=escape(str(files.initramfs)),
        command_line=escape(guest.command_line),
        disk=escape(guest.disk),
        mac=guest_mac(guest.address),
        bridge=TENANT_BRIDGE,
    )
