"""The lab's guest: its kernel, its initramfs, its disk and its libvirt definition."""
