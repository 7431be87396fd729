"""A proxy of a few lines: HTTP with CONNECT, or SOCKS5. It alone knows where the names of a test are."""

import asyncio
import ssl
import struct
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"
DENIED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Proxy:
    """What it was asked for, and by whom."""

    places: Mapping[str, int]
    user: str = ""
    asked: list[str] = field(default_factory=list)
    port: int = 0
    jobs: set[asyncio.Task[None]] = field(default_factory=set)

    async def http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.splitlines()[0].split(" ")
        self.asked.append(f"{method} {target}")
        if self.user and f"Basic {b64encode(self.user.encode()).decode()}" not in head:
            writer.write(DENIED)
            writer.close()
            return
        if method == "CONNECT":
            await self._join(target.rpartition(":")[0], CONNECTED, reader, writer)
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.places[urlsplit(target).hostname or ""])
        back.write(head.replace(target, urlsplit(target).path).encode())
        await asyncio.gather(pour(reader, back), pour(there, writer))

    async def socks5(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x00")
        _, _, _, kind, length = await reader.readexactly(5)
        assert kind == 3, "names are for the proxy to look up"
        host = (await reader.readexactly(length)).decode()
        (port,) = struct.unpack(">H", await reader.readexactly(2))
        self.asked.append(f"SOCKS5 {host}:{port}")
        await self._join(host, b"\x05\x00\x00\x01" + bytes(6), reader, writer)

    async def _join(self, host: str, hello: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.places[host])
        writer.write(hello)
        await asyncio.gather(pour(reader, back), pour(there, writer))


async def pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while octets := await source.read(65536):
            sink.write(octets)
            await sink.drain()
    except OSError:
        pass  # one end is gone, and so will be the other
    finally:
        sink.close()


@asynccontextmanager
async def a_proxy(
    kind: str, places: Mapping[str, int], *, tls: ssl.SSLContext | None = None, user: str = ""
) -> AsyncIterator[Proxy]:
    """A proxy that listens. *places* gives the port on loopback of each host that it knows."""
    proxy = Proxy(places, user)
    serve = proxy.socks5 if kind == "socks5" else proxy.http

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        job = asyncio.ensure_future(serve(reader, writer))
        proxy.jobs.add(job)
        await asyncio.gather(job, return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for job in proxy.jobs:
            job.cancel()
        await asyncio.gather(*proxy.jobs, return_exceptions=True)
