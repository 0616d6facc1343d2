import socket

import pytest
import requests

from common import errors
from services.api import http


def hello(_environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_serves_until_the_block_ends(host):
    with http.listening(hello, host, 0, 2) as root:
        with requests.Session() as session:
            assert "hello" == session.get(root, timeout=5).text

        assert "hello" == requests.get(root, timeout=5).text

    with pytest.raises(requests.ConnectionError):
        requests.get(root, timeout=5)


def test_taken_port_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(errors.Unavailable, match=f"port {port}"):
            http.listening(hello, "127.0.0.1", port, 2).__enter__()
