import pytest

from common import checks
from common import errors
from services.compute.virt.libvirt import processors

# As libvirt 9.0 writes them out for a KVM guest, cut to a few rows: an older host and a newer.
PENRYN = """
<cpu mode='custom' match='exact'>
  <model fallback='forbid'>Penryn</model>
  <vendor>Intel</vendor>
  <feature policy='require' name='sse4.1'/>
  <feature policy='require' name='ssse3'/>
  <feature policy='require' name='sse2'/>
  <feature policy='require' name='hypervisor'/>
  <feature policy='disable' name='xsave'/>
</cpu>
"""
SKYLAKE = """
<cpu mode='custom' match='exact'>
  <model fallback='forbid'>Skylake-Server</model>
  <vendor>Intel</vendor>
  <feature policy='require' name='sse4.1'/>
  <feature policy='require' name='ssse3'/>
  <feature policy='require' name='sse2'/>
  <feature policy='require' name='hypervisor'/>
  <feature policy='require' name='xsave'/>
  <feature policy='require' name='avx512f'/>
  <feature policy='disable' name='mpx'/>
</cpu>
"""


@pytest.fixture
def old() -> list[str]:
    """The features that the older host tells of itself."""
    return processors.named(PENRYN)


@pytest.fixture
def new() -> list[str]:
    """The features that the newer host tells of itself."""
    return processors.named(SKYLAKE)


def test_what_is_switched_off_is_no_feature(old):
    """libvirt names what a model has and this host has not."""
    assert ["hypervisor", "sse2", "sse4.1", "ssse3"] == old


def test_guest_that_uses_more_is_refused(old, new):
    """All that it would miss is named."""
    with pytest.raises(errors.IncompatibleCpu, match="lacks avx512f, xsave, which the guest uses"):
        processors.forth("kvm", new, old)


def test_guest_that_uses_less_passes(old, new):
    """A newer host has all of an older one's."""
    assert "has all that the guest uses" in processors.forth("kvm", old, new)


def test_more_at_the_destination_warns_of_the_way_back(old, new):
    """What this host could not give itself is named all the same."""
    answer = processors.back("kvm", old, new)

    assert isinstance(answer, checks.Doubt)
    assert "this processor lacks avx512f, xsave, which the destination's has" in answer.reason


def test_less_at_the_destination_is_no_doubt(old, new):
    """What starts there can come back."""
    assert "has all" in processors.back("kvm", new, old)


@pytest.mark.parametrize(("ours", "theirs"), [([], ["sse2"]), (["sse2"], [])])
def test_unknown_processors_are_told_as_such(ours, theirs):
    """Nobody is refused for what libvirt does not know."""
    assert processors.UNKNOWN == processors.forth("kvm", ours, theirs)
    assert processors.UNKNOWN == processors.back("kvm", ours, theirs)


def test_plain_qemu_compares_no_processors(old, new):
    """It emulates the same ones everywhere."""
    assert processors.EMULATED == processors.forth("qemu", new, old)
    assert processors.EMULATED == processors.back("qemu", old, new)
