"""A lab with Whimbrel's services is ready to be used when its start ends."""

import pathlib

import pytest

from deploy.lab import api
from deploy.lab import waiting
from tests.integration import labs

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def ask(lab: labs.Lab, path: str) -> api.Body:
    """Give the API's answer to a GET."""
    return api.call(lab.env()["WHIMBREL_ENDPOINT"], "GET", path)


def state(lab: labs.Lab, host: str) -> str:
    """Give what the API says of a host's compute."""
    rows = ask(lab, "/v2.1/os-services?binary=nova-compute")["services"]
    return {str(row["host"]): str(row["state"]) for row in rows}[host]


def test_everything_is_registered(lab):
    """Two flavors, the guest's image and the guests' network are there by their names."""
    flavors = {row["name"] for row in ask(lab, "/v2.1/flavors")["flavors"]}
    images = {row["name"] for row in ask(lab, "/v2.1/images")["images"]}
    networks = {row["name"] for row in ask(lab, "/v2.1/networks")["networks"]}
    env = lab.env()

    assert {"m1.tiny", "m1.small"} <= flavors
    assert env["WHIMBREL_LAB_IMAGE"] in images
    assert env["WHIMBREL_LAB_NETWORK"] in networks


def test_every_service_is_up(lab):
    """Each host's compute and the controller's services report, and their processes run."""
    rows = ask(lab, "/v2.1/os-services")["services"]

    assert {
        ("nova-conductor", "controller", "up"),
        ("nova-scheduler", "controller", "up"),
        ("nova-compute", "host1", "up"),
        ("nova-compute", "host2", "up"),
    } == {(row["binary"], row["host"], row["state"]) for row in rows}
    assert 0 == lab.run("status").returncode


def test_killed_compute_goes_down_and_comes_back(lab):
    """What the lab kills the API sees down, and up again once it is started."""
    lab.run("kill", "host2", "compute")
    waiting.until(lambda: state(lab, "host2") == "down", 30, "compute on host2 down")
    broken = lab.run("status", check=False)
    lab.run("start", "host2", "compute")

    waiting.until(lambda: state(lab, "host2") == "up", 30, "compute on host2 up")

    assert 1 == broken.returncode
    assert 0 == lab.run("status").returncode


def test_shared_lab_shares_the_instances_folder(lab, shared_lab):
    """What one host writes there the others see, and with local disks they do not."""
    path = "/var/lib/whimbrel/instances/seen"
    seen = {}
    for each in (lab, shared_lab):
        each.inside("host1", "touch", path)
        seen[each.name] = each.inside("host2", "sh", "-c", f"test -e {path} && echo yes || echo no")
        each.inside("host1", "rm", path)

    assert {lab.name: "no\n", shared_lab.name: "yes\n"} == seen


def test_database_may_be_postgresql(postgres):
    """A lab given the URL of an empty database keeps everything there."""
    other = labs.Lab("dunlin", "198.18.13.0/24")
    with labs.running(other, "--hosts", "1", "--database", postgres):
        rows = ask(other, "/v2.1/os-services")["services"]
        made = list(pathlib.Path(other.env()["WHIMBREL_LAB_DIR"]).glob("db/*"))

    assert ["up", "up", "up"] == [row["state"] for row in rows]
    assert [] == made
