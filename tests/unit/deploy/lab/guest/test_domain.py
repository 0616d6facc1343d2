"""The guest's libvirt definition says what was asked for."""

import pathlib

from deploy.lab.guest import build
from deploy.lab.guest import domain

FILES = build.Files(pathlib.Path("/k"), pathlib.Path("/i"), pathlib.Path("/d"))


def test_address_load_and_disk_are_in_it():
    guest = domain.Guest("a&b", "198.51.100.130", "/disk", 256, dirty_mib=32, dirty_rate=8)

    text = domain.xml(guest, FILES)

    assert "<name>a&amp;b</name>" in text
    assert "<memory unit='MiB'>256</memory>" in text
    assert "<mac address='fa:16:c6:33:64:82'/>" in text
    assert "<source file='/disk'/>" in text
    assert " whimbrel.dirty_mib=32 whimbrel.dirty_rate=8</cmdline>" in text


def test_idle_guest_is_told_no_load():
    guest = domain.Guest("demo", "198.51.100.130", "/disk")

    assert "dirty" not in domain.xml(guest, FILES)
