"""Another ECS agent as seen from outside: its introspection answers, and containers with the labels that it sets."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

CLUSTER = "default"
INSTANCE = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/0f1e2d3c4b5a69788796a5b4c3d2e1f0"
VERSION = "Amazon ECS Agent - v1.105.1 (abc1234)"


class OtherAgent:
    """What it answers may be changed while it serves."""

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.cluster = CLUSTER
        self.instance_arn: str | None = INSTANCE
        self.tasks: list[dict[str, Any]] = []
        self.asked: list[str] = []

    def answer(self, path: str) -> bytes:
        """Compact JSON without an end of line, as it comes from a Go program."""
        self.asked.append(path)
        body: dict[str, Any] = {"AvailableCommands": ["/v1/metadata", "/v1/tasks", "/license"]}
        if path == "/v1/metadata":
            body = {"Cluster": self.cluster, "ContainerInstanceArn": self.instance_arn, "Version": VERSION}
        elif path == "/v1/tasks":
            body = {"Tasks": self.tasks}
        return json.dumps(body, separators=(",", ":")).encode()

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator[Self]:
        """One that answers on a port of its own until it is left."""
        agent = cls()

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = agent.answer(self.path)
                self.send_response_only(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as inherited
                return

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
            agent.url = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield agent
            finally:
                server.shutdown()
                thread.join()


def a_task(arn: str, *containers: dict[str, Any], known: str = "RUNNING", desired: str = "RUNNING") -> dict[str, Any]:
    """A task as /v1/tasks has it."""
    return {
        "Arn": arn,
        "DesiredStatus": desired,
        "KnownStatus": known,
        "Family": "shop",
        "Version": "7",
        "Containers": list(containers),
    }


def a_container(docker_id: str, name: str, **more: object) -> dict[str, Any]:
    """A container as /v1/tasks has it."""
    return {
        "DockerId": docker_id,
        "DockerName": f"ecs-shop-7-{name}",
        "Name": name,
        "Image": "dockworker.invalid/test:1",
        "ImageID": "sha256:9d",
        **more,
    }
