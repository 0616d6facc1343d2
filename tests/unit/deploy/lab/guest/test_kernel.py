"""The kernel's packages are found behind the distribution's metapackage."""

from deploy.lab.guest import kernel


def test_debian_has_one_package():
    said = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n"

    assert ["linux-image-6.1.0-56-cloud-amd64"] == kernel.real(said)


def test_ubuntu_has_modules_in_another():
    said = (
        "linux-image-6.8.0-31-generic\n"
        "  Depends: kmod\n"
        "  Depends: linux-modules-6.8.0-31-generic\n"
        "  Recommends: grub-pc\n"
    )

    assert ["linux-modules-6.8.0-31-generic"] == kernel.real(said)
