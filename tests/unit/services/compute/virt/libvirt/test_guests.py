import libvirt
import pytest

from common import errors
from common import states
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import metadata
from services.compute.virt.libvirt import power
from services.compute.virt.libvirt import trouble

NOBODY = "00000000-0000-4000-8000-000000000000"


def test_unknown_guest_is_none(connection):
    """Asking for a guest that is not there is no error."""
    assert guests.find(connection, NOBODY) is None


def test_guest_is_described(connection, domain):
    """A guest of somebody else's has no run token."""
    (found,) = guests.every(connection)

    assert (domain.UUIDString(), states.Power.RUNNING, "", True, False) == found


def test_run_token_is_read_from_the_metadata(domain):
    """What power_on wrote comes back."""
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        '<instance><run token="abc"/></instance>',
        metadata.PREFIX,
        metadata.NAMESPACE,
        0,
    )

    assert "abc" == guests.describe(domain).run_token


def test_pausing_and_going_on_may_be_repeated(domain):
    """The second time changes nothing."""
    seen = []
    for act in (power.pause, power.pause, power.unpause, power.unpause):
        act(domain)
        seen.append(guests.power(domain))

    paused, running = states.Power.PAUSED, states.Power.RUNNING
    assert [paused, paused, running, running] == seen


def test_plug_may_be_pulled_twice(domain):
    """A guest that is off stays off."""
    power.off(domain)
    power.off(domain)

    assert states.Power.SHUTDOWN == guests.power(domain)


def test_guest_stands_as_it_is(connection, domain):
    """Active, off, absent; and what is absent can be forgotten again."""
    uuid = domain.UUIDString()
    seen = [guests.standing(connection, uuid)]
    power.off(domain)
    seen.append(guests.standing(connection, uuid))
    guests.forget(connection, uuid, 0)
    guests.forget(connection, uuid, 0)
    seen.append(guests.standing(connection, uuid))

    assert [guests.Standing.ACTIVE, guests.Standing.OFF, guests.Standing.ABSENT] == seen
    assert guests.one(connection, uuid) is None


def test_libvirts_refusal_is_told_in_our_words(connection):
    """The kind by its code, the sentence with libvirt's own words."""
    with pytest.raises(errors.GuestNotFound, match=r"^look: .*[^.]$"), trouble.told("look"):
        connection.lookupByUUIDString(NOBODY)


def test_other_refusals_are_hypervisor_errors(domain):
    """Whatever has no kind of its own."""
    with pytest.raises(errors.HypervisorError, match=r"^start: "), trouble.told("start"):
        domain.create()


@pytest.mark.parametrize(
    ("number", "kind"), [(28, errors.NoDiskSpace), (13, errors.HypervisorError)]
)
def test_full_disk_has_a_kind_of_its_own(number, kind):
    """Operators look for it first."""
    with pytest.raises(kind, match=r"^write: "), trouble.files("write"):
        raise OSError(number, "said the system")
