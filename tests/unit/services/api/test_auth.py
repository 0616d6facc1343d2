import os

import bcrypt
import pytest

from common import errors
from common.config import load
from services.api import auth
from tests import factories


def line(name: str, password: str, roles: str = "") -> str:
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()
    return f"{name}:{hashed}{roles}\n"


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "htpasswd"
    path.write_text("# people\n\n" + line("admin", "secret") + line("bob", "pass", ":member"))
    return path


class TestBasic:
    @pytest.fixture
    def options(self, users):
        return {"api.auth": "http_basic", "api.http_basic_file": str(users)}

    def test_version_documents_are_open(self, api):
        for path in ("/", "/v2.1", "/v2.1/", "/image/v2", "/network/v2.0"):
            assert 200 == api.client.get(path).status_code

    @pytest.mark.parametrize("given", [None, ("admin", "wrong"), ("nobody", "secret"), ("", "")])
    def test_unknown_user_is_asked_who_it_is(self, api, given):
        response = api.client.get("/v2.1/servers", auth=given)

        assert 401 == response.status_code
        assert "unauthorized" in response.json
        assert response.headers["WWW-Authenticate"].startswith("Basic")
        assert response.headers["x-openstack-request-id"].startswith("req-")

    @pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic YQ==", "Bearer x", "x"])
    def test_malformed_credentials_are_no_credentials(self, api, header):
        response = api.client.get("/v2.1/servers", headers={"Authorization": header})

        assert 401 == response.status_code

    def test_user_without_roles_is_an_administrator(self, api):
        response = api.client.get("/v2.1/os-services", auth=("admin", "secret"))

        assert 200 == response.status_code

    def test_member_may_not_what_administrators_may(self, api):
        response = api.client.get("/v2.1/os-services", auth=("bob", "pass"))

        assert 403 == response.status_code
        assert "services:read" in response.json["forbidden"]["message"]

    def test_member_does_not_see_servers_of_another_project(self, api):
        mine = api.server(name="mine", project_id=auth.PROJECT)
        theirs = api.server(name="theirs", project_id="other")

        listed = api.client.get("/v2.1/servers?all_tenants=1", auth=("bob", "pass")).json
        shown = api.client.get(f"/v2.1/servers/{theirs.uuid}", auth=("bob", "pass"))

        assert [mine.uuid] == [row["id"] for row in listed["servers"]]
        assert 404 == shown.status_code

    def test_member_does_not_see_hosts(self, api):
        server = api.server()

        shown = api.client.get(f"/v2.1/servers/{server.uuid}", auth=("bob", "pass")).json

        assert "OS-EXT-SRV-ATTR:host" not in shown["server"]

    def test_member_sees_when_a_server_confirms_itself(self, api):
        """The migration is not a member's to see, but the server is."""
        server = api.server(vm_state="resized")
        api.move(server, type="resize", status="finished", confirm_at=factories.NOW)

        shown = api.client.get(f"/v2.1/servers/{server.uuid}", auth=("bob", "pass")).json

        assert "2026-01-01T00:00:00Z" == shown["server"]["whimbrel:confirms_at"]

    def test_member_may_not_move_servers(self, api):
        server = api.server()
        body = {"os-migrateLive": {"host": None, "block_migration": "auto"}}

        response = api.client.post(
            f"/v2.1/servers/{server.uuid}/action", json=body, auth=("bob", "pass")
        )

        assert 403 == response.status_code

    def test_changed_file_is_read_again(self, api, users):
        assert 401 == api.client.get("/v2.1/servers", auth=("carol", "new")).status_code

        users.write_text(line("carol", "new"))
        os.utime(users, ns=(1, 1))

        assert 200 == api.client.get("/v2.1/servers", auth=("carol", "new")).status_code
        assert 401 == api.client.get("/v2.1/servers", auth=("admin", "secret")).status_code

    def test_missing_file_is_unavailable(self, api, users):
        users.unlink()

        response = api.client.get("/v2.1/servers", auth=("admin", "secret"))

        assert 503 == response.status_code
        assert "http_basic_file" in response.json["serviceUnavailable"]["message"]


@pytest.mark.parametrize("listen", ["0.0.0.0", "198.51.100.1", "::", "somewhere.example"])
def test_noauth_serves_this_machine_only(listen):
    conf = load.private({"api.listen": listen})

    with pytest.raises(errors.Invalid, match="http_basic"):
        auth.make(conf)


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_noauth_serves_loopback(listen):
    auth.check_loopback(listen)
