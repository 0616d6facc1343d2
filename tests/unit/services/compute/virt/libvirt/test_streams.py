import socket

from services.compute.virt.libvirt import streams

LISTING = """\
ESTAB 0 0 198.51.100.11:42000 198.51.100.12:49152 users:(("qemu-system-x86",pid=77,fd=32))
ESTAB 0 0 198.51.100.11:42002 198.51.100.12:10809 users:(("qemu-system-x86",pid=77,fd=33))
ESTAB 0 0 [2001:db8::1]:49153 [2001:db8::2]:42000 users:(("qemu-system-x86",pid=77,fd=34))
ESTAB 0 0 198.51.100.11:42004 198.51.100.12:49152 users:(("qemu-system-x86",pid=177,fd=32))
FIN-WAIT-1 0 85 198.51.100.11:44124 198.51.100.12:16509
"""


def test_only_migration_streams_of_the_guest_are_meant():
    """Its network disks, and other guests, keep theirs."""
    found = [stream for stream in streams.parse(LISTING, 77) if stream.migrates(streams.MIGRATION)]

    assert [
        streams.Stream("198.51.100.11:42000", "198.51.100.12:49152"),
        streams.Stream("[2001:db8::1]:49153", "[2001:db8::2]:42000"),
    ] == found


def test_incoming_guests_may_have_other_ports():
    """The range is that of the configuration."""
    (found,) = (one for one in streams.parse(LISTING, 77) if one.migrates(range(10800, 10810)))

    assert "198.51.100.12:10809" == found.remote


def test_bytes_of_both_directions_are_counted():
    """Two looks at a stream differ when anything was confirmed in between."""
    line = LISTING.splitlines()[0]
    early, late = (
        list(streams.parse(f"{line} cubic bytes_sent:9 bytes_acked:{acked} bytes_received:5", 77))
        for acked in (6, 7)
    )

    assert [11] == [stream.moved for stream in early]
    assert early != late


def test_process_without_streams_loses_none():
    """A guest whose stream is gone already is left alone."""
    nobody = 2**22 + 1

    assert 0 == streams.end(streams.migrating(nobody, streams.MIGRATION), nobody)


def test_only_who_listens_answers(monkeypatch):
    """A closed port is no answer, and neither is a name that means nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setitem(streams.PORTS, "tcp", server.getsockname()[1])
        assert streams.answers("127.0.0.1", "tcp", 1)
    assert not streams.answers("127.0.0.1", "tcp", 1)
    assert not streams.answers("no.such.host.invalid", "tcp", 1)
