import pytest

from services.api import versions


def test_root_names_one_service(api):
    """Clients break on a root that lists two services."""
    response = api.client.get("/")

    assert ["v2.0", "v2.1"] == [row["id"] for row in response.json["versions"]]
    assert ("2.1", "2.96") == (
        response.json["versions"][1]["min_version"],
        response.json["versions"][1]["version"],
    )


@pytest.mark.parametrize("path", ["/v2.1", "/v2.1/"])
def test_version_document_has_both_forms(api, path):
    response = api.client.get(path)

    assert 200 == response.status_code
    assert "http://localhost/v2.1/" == response.json["version"]["links"][0]["href"]


@pytest.mark.parametrize(
    ("headers", "spoken"),
    [
        ({}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.53"}, "2.53"),
        ({"OpenStack-API-Version": "compute latest"}, "2.96"),
        ({"OpenStack-API-Version": "volume 3.1, compute 2.30"}, "2.30"),
        ({"OpenStack-API-Version": "volume 3.1"}, "2.1"),
        ({"X-OpenStack-Nova-API-Version": "2.25"}, "2.25"),
        (
            {"OpenStack-API-Version": "compute 2.3", "X-OpenStack-Nova-API-Version": "2.25"},
            "2.3",
        ),
    ],
)
def test_answer_says_which_version_it_speaks(api, headers, spoken):
    response = api.client.get("/v2.1/servers", headers=headers)

    assert 200 == response.status_code
    assert f"compute {spoken}" == response.headers["OpenStack-API-Version"]
    assert spoken == response.headers["X-OpenStack-Nova-API-Version"]
    assert "OpenStack-API-Version, X-OpenStack-Nova-API-Version" == response.headers["Vary"]


@pytest.mark.parametrize("wanted", ["2.97", "3.0", "1.9"])
def test_version_out_of_range_is_not_acceptable(api, wanted):
    message = api.refuse("GET", "/servers", None, 406, wanted)

    assert "Minimum is 2.1 and maximum is 2.96" in message


@pytest.mark.parametrize("wanted", ["2", "2.x", "two", "2.01", ""])
def test_malformed_version_is_a_bad_request(api, wanted):
    assert "MajorNum.MinorNum" in api.refuse("GET", "/servers", None, 400, wanted)


def test_history_is_in_order_and_in_range():
    known = list(versions.HISTORY)

    assert sorted(known) == known
    assert (versions.MIN, versions.MAX) == (known[0], known[-1])
