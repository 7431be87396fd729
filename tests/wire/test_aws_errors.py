import pytest

from agent.wire.aws_errors import read_error


@pytest.mark.parametrize(
    ("header", "body", "code", "message"),
    [
        ("", b'{"__type":"ClientException","message":"Cluster not found."}', "ClientException", "Cluster not found."),
        ("", b'{"__type":"com.amazonaws.ecs#ServerException","Message":"m"}', "ServerException", "m"),
        ("", b'{"code":"Throttling:http://aws/","__type":"Other","message":"m"}', "Throttling", "m"),
        ("ns#ClientException:http://x/y#z", b'{"__type":"Other"}', "ClientException", "HTTP status 400"),
        ("", b"<html>bad gateway</html>", "", "HTTP status 400"),
        ("", b'{"__type": 7}', "", "HTTP status 400"),
        ("", b"\xff\xfe", "", "HTTP status 400"),
        ("", b"[]", "", "HTTP status 400"),
        ("", b'{"__type":null,"message":null}', "", "HTTP status 400"),
    ],
)
def test_the_code_is_found_where_services_put_it(header: str, body: bytes, code: str, message: str) -> None:
    assert read_error(400, header, body) == (code, message)
