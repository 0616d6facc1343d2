"""What aggregates say of their hosts."""

import pytest

from common.db import hosts
from services.scheduler import request
from services.scheduler.filters import aggregates

SPEC = "aggregate_instance_extra_specs:"
ASKED = request.Request(
    consumer="vm", amounts={}, zone=None, requested_host=None, ignored=frozenset()
)


def room(*said: dict[str, str]) -> hosts.Room:
    """Give a host in one aggregate for each of the metadata."""
    found = tuple(hosts.Aggregate(f"agg{number}", one) for number, one in enumerate(said))
    return hosts.Room("host1", "nova", True, 1.0, False, False, None, {}, aggregates=found)


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ({}, []),
        ({"hw:cpu_policy": "dedicated", "ssd": "true"}, []),
        ({f"{SPEC}ssd": "true"}, [{"ssd": "true"}]),
        ({f"{SPEC}ssd": "true"}, [{}, {"ssd": "true"}]),
        ({f"{SPEC}disk": "nvme"}, [{"disk": "ssd, nvme"}]),
        ({f"{SPEC}disk": "<or> ssd <or> nvme"}, [{"disk": "nvme"}]),
        ({f"{SPEC}speed": ">= 10"}, [{"speed": "25"}]),
        ({f"{SPEC}ssd": "true", f"{SPEC}gpu": "true"}, [{"ssd": "true"}, {"gpu": "true"}]),
    ],
)
def test_a_host_whose_aggregates_have_it_all_passes(specs, said):
    assert aggregates.extra_specs(room(*said), ASKED._replace(extra_specs=specs)) is None


@pytest.mark.parametrize(
    ("specs", "said", "reason"),
    [
        ({f"{SPEC}ssd": "true"}, [], "they say nothing"),
        ({f"{SPEC}ssd": "true"}, [{"ssd": "false"}], "wants ssd true of its aggregates"),
        ({f"{SPEC}speed": ">= 10"}, [{"speed": "1"}], "they say 1"),
        ({f"{SPEC}ssd": "true", f"{SPEC}gpu": "true"}, [{"ssd": "true"}], "wants gpu true"),
    ],
)
def test_a_host_without_it_is_refused_with_what_is_said(specs, said, reason):
    told = aggregates.extra_specs(room(*said), ASKED._replace(extra_specs=specs))

    assert told is not None
    assert reason in told


@pytest.mark.parametrize(
    ("project", "said", "passes"),
    [
        ("p1", [], True),
        ("p1", [{"ssd": "true"}], True),
        ("p1", [{"filter_tenant_id": "p1"}], True),
        ("p1", [{"filter_tenant_id": "p0, p1"}], True),
        ("p1", [{"filter_tenant_id": "p0", "filter_tenant_id2": "p1"}], True),
        ("p1", [{"filter_tenant_id": "p0"}], False),
        ("p1", [{"filter_tenant_id": "p1"}, {"filter_tenant_id": "p0"}], False),
        ("", [{"filter_tenant_id": "p0"}], False),
    ],
)
def test_a_host_is_kept_for_the_projects_that_its_aggregates_name(project, said, passes):
    """In several such aggregates, for those that all of them name."""
    told = aggregates.tenants(room(*said), ASKED._replace(project_id=project))

    assert passes == (told is None)
    assert passes or "is kept for the projects p0" in str(told)
