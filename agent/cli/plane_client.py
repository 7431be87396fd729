"""A client of the ECS API that is just large enough for ``dockworker dev``: one signed POST for each action."""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from agent.controlplane.keys_driver import KeyPair

TARGET = "AmazonEC2ContainerServiceV20141113"
PATIENCE = aiohttp.ClientTimeout(total=15)
Answer = dict[str, Any]


class ApiError(Exception):
    """The control plane refused. `code` is the error's name in the ECS API."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class PlaneClient:
    """Calls the control plane at *endpoint* with *keys*. Use as a context manager."""

    def __init__(self, endpoint: str, keys: KeyPair, region: str) -> None:
        self.endpoint = endpoint
        self._signer = SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), "ecs", region)
        self._http = aiohttp.ClientSession(timeout=PATIENCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def call(self, action: str, request: Mapping[str, object] | None = None) -> Answer:
        """The answer to *action*. Raises ApiError if it is refused, OSError or TimeoutError if it does not arrive."""
        body = json.dumps(request or {}).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{TARGET}.{action}"}
        signed = AWSRequest(method="POST", url=f"{self.endpoint}/", data=body, headers=headers)
        self._signer.add_auth(signed)
        try:
            async with self._http.post(f"{self.endpoint}/", data=body, headers=dict(signed.headers)) as answer:
                said: Answer = json.loads(await answer.read() or b"{}")
        except (aiohttp.ClientError, json.JSONDecodeError) as error:
            raise ConnectionError(f"{self.endpoint} does not answer as it must: {error}") from error
        if not answer.ok:
            raise ApiError(str(said.get("__type", answer.status)).rpartition("#")[2], str(said.get("message", "")))
        return said
