import pytest

from services.compute.virt import fallback
from tests import factories

ALL = frozenset(
    {
        "auto-converge",
        "parallel",
        "parallel-post-copy",
        "post-copy",
        "post-copy-recovery",
        "tls",
        "xbzrle",
        "zlib",
        "zstd",
    }
)
WISH = {
    "post_copy": "on-stall",
    "auto_converge": True,
    "parallel_connections": 4,
    "compression": "zstd",
    "tls": True,
}


def test_hosts_that_can_everything_leave_a_policy_alone():
    """Nothing is left out without a reason."""
    policy = factories.policy(**WISH)

    assert (policy, (), "", "", True) == fallback.settle(policy, ALL, paused=False)


@pytest.mark.parametrize(
    ("without", "paused", "changed", "reasons"),
    [
        ({"post-copy"}, False, {"post_copy": "never"}, ["no post-copy: libvirt"]),
        ({"post-copy-recovery"}, False, {"post_copy": "never"}, ["no post-copy: libvirt before"]),
        (set(), True, {"post_copy": "never"}, ["no post-copy: the guest is paused"]),
        ({"auto-converge"}, False, {"auto_converge": False}, ["no auto-converge"]),
        ({"zstd"}, False, {"compression": "none"}, ["no compression: QEMU or libvirt"]),
        (
            {"parallel-post-copy"},
            False,
            {"parallel_connections": 1, "compression": "none"},
            ["one connection: QEMU before 10.1", "no compression: zlib and zstd"],
        ),
        (
            {"parallel"},
            False,
            {"parallel_connections": 1, "compression": "none"},
            ["one connection: QEMU or libvirt", "no compression: zlib and zstd"],
        ),
    ],
)
def test_what_hosts_cannot_combine_is_left_out(without, paused, changed, reasons):
    """Each rule changes its part, and a later rule sees it."""
    policy = factories.policy(**WISH)

    found = fallback.settle(policy, ALL - without, paused=paused)

    assert policy.replace(**changed) == found.policy
    assert len(reasons) == len(found.notes)
    assert all(map(str.startswith, found.notes, reasons))
    assert "" == found.refusal


def test_old_compression_takes_one_connection():
    """xbzrle and several connections exclude each other; the connections win."""
    policy = factories.policy(parallel_connections=2, compression="xbzrle")

    found = fallback.settle(policy, ALL, paused=False)

    assert ("none", 2) == (found.policy.compression, found.policy.parallel_connections)


def test_secrecy_is_not_given_up():
    """Without TLS on both hosts there is no move, rather than one in the clear."""
    policy = factories.policy(tls=True)

    found = fallback.settle(policy, ALL - {"tls"}, paused=False)

    assert found.policy.tls
    assert "TLS" in found.refusal
    assert fallback.PLAIN in found.refusal


def test_what_is_wrong_with_certificates_refuses_only_who_wants_them():
    """The reason is told; what will be wrong only soon refuses nobody."""
    secret, plain = factories.policy(tls=True), factories.policy()
    wrong, soon = fallback.Secrecy("on host2 /x is missing"), fallback.Secrecy("", "/x expires")

    assert (
        "on host2 /x is missing"
        in fallback.settle(secret, ALL, paused=False, secrecy=wrong).refusal
    )
    assert ("", "/x expires") == fallback.settle(secret, ALL, paused=False, secrecy=soon)[2:4]
    assert ("", "") == fallback.settle(plain, ALL, paused=False, secrecy=wrong)[2:4]
