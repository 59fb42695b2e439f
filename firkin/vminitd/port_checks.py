"""Asking a port of the sandbox's own network once, as Kubernetes' probes do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from http.client import HTTPException, parse_headers
from io import BytesIO
from urllib.parse import urljoin, urlsplit

from grpc.aio import AioRpcError, insecure_channel

from firkin.domain.probes import GrpcAction, HttpGetAction, PortAction, TcpSocketAction
from firkin.wire import health_pb2
from firkin.wire.health_pb2_grpc import HealthStub

_REDIRECTIONS = (301, 302, 303, 307, 308)
_REDIRECTIONS_LIMIT = 10
_USER_AGENT = "kube-probe/firkin"
"""Begins as that of Kubernetes, by which servers leave probes out of their logs."""

_SCHEME_PORTS = {"http": 80, "https": 443}


async def port_failure(action: PortAction, timeout_seconds: float) -> str | None:
    """Ask; returns how it failed, as the second half of a sentence, or None for a success."""
    try:
        async with asyncio.timeout(timeout_seconds):
            match action:
                case HttpGetAction():
                    return await _http_failure(action)
                case GrpcAction():
                    return await _grpc_failure(action)
                case TcpSocketAction(port, host):
                    async with _connected(host, port, None):
                        return None
    except TimeoutError:
        return f"took longer than {timeout_seconds:g} s"
    except (OSError, EOFError, HTTPException, ValueError) as error:
        return f"got no answer from {action.host} port {action.port}: {_reason(error)}"


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the connection was closed"
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@contextlib.asynccontextmanager
async def _connected(
    host: str, port: int, tls: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        yield reader, writer
    finally:
        # A probe waits for no farewell.
        writer.transport.abort()


async def _http_failure(action: HttpGetAction) -> str | None:
    url = f"{action.scheme.lower()}://{_bracketed(action.host)}:{action.port}{action.path}"
    for _ in range(_REDIRECTIONS_LIMIT):
        status, location = await _answer(url, action.headers)
        if not 200 <= status < 400:
            return f"was answered with HTTP status {status}"
        following = urljoin(url, location) if status in _REDIRECTIONS and location else ""
        if not following or urlsplit(following).hostname != urlsplit(url).hostname:
            return None
        url = following
    return f"was redirected {_REDIRECTIONS_LIMIT} times"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _answer(url: str, headers: tuple[tuple[str, str], ...]) -> tuple[int, str]:
    """The status of the answer, and where it redirects to."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEME_PORTS or parts.hostname is None:
        raise ValueError(f"{url!r} is not a URL of HTTP")
    port = parts.port or _SCHEME_PORTS[parts.scheme]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    async with _connected(parts.hostname, port, _unverified() if parts.scheme == "https" else None) as (reader, writer):
        writer.write(_request(target, f"{_bracketed(parts.hostname)}:{port}", headers))
        await writer.drain()
        status = 100
        while status < 200:
            status = _status(await reader.readline())
            location = await _location(reader) if status < 200 or status in _REDIRECTIONS else ""
    return status, location


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _request(target: str, host: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    given = {name.lower() for name, _ in headers}
    standard = (("Host", host), ("User-Agent", _USER_AGENT), ("Accept", "*/*"), ("Connection", "close"))
    lines = [f"{name}: {value}" for name, value in standard if name.lower() not in given]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join((f"GET {target} HTTP/1.1", *lines, "", "")).encode()


def _status(line: bytes) -> int:
    if not line:
        raise EOFError
    version, _, rest = line.partition(b" ")
    if not version.startswith(b"HTTP/") or not rest[:3].isdigit():
        raise ValueError(f"{line[:40]!r} is no answer of HTTP")
    return int(rest[:3])


async def _location(reader: asyncio.StreamReader) -> str:
    """Where the headers say that the answer is; they are read to their end, at most 64 KiB of each."""
    head = bytearray()
    while (line := await reader.readline()) not in (b"\r\n", b"\n", b""):
        head += line
        if len(head) > 2**16:
            raise ValueError("the headers are longer than 64 KiB")
    return str(parse_headers(BytesIO(head + b"\r\n")).get("Location") or "")


async def _grpc_failure(action: GrpcAction) -> str | None:
    request = health_pb2.HealthCheckRequest(service=action.service)
    options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
    async with insecure_channel(f"dns:///{_bracketed(action.host)}:{action.port}", options=options) as channel:
        try:
            answer = await HealthStub(channel).Check(request)
        except AioRpcError as error:
            return f"was answered with {error.code().name}: {error.details()}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return None
    return f"was answered with {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"
