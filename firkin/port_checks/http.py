"""GET requests of HTTP/1.1, as far as a probe needs them."""

from __future__ import annotations

import asyncio
import ssl
from http.client import parse_headers
from io import BytesIO
from urllib.parse import urljoin, urlsplit

from firkin.domain.probes import HttpGetAction

from .dialler import PortDialler

_REDIRECTIONS = (301, 302, 303, 307, 308)
_REDIRECTIONS_LIMIT = 10
_USER_AGENT = "kube-probe/firkin"
"""Begins as that of Kubernetes, by which servers leave probes out of their logs."""

_SCHEME_PORTS = {"http": 80, "https": 443}


async def http_failure(action: HttpGetAction, dialler: PortDialler) -> str | None:
    """How a GET request failed, redirections to the same host included, or None for a success.

    Raises:
        OSError, EOFError, HTTPException, ValueError: no answer came, or none of HTTP.
    """
    url = f"{action.scheme.lower()}://{bracketed(action.host)}:{action.port}{action.path}"
    for _ in range(_REDIRECTIONS_LIMIT):
        status, location = await _answer(url, action.headers, dialler)
        if not 200 <= status < 400:
            return f"was answered with HTTP status {status}"
        following = urljoin(url, location) if status in _REDIRECTIONS and location else ""
        if not following or urlsplit(following).hostname != urlsplit(url).hostname:
            return None
        url = following
    return f"was redirected {_REDIRECTIONS_LIMIT} times"


def bracketed(host: str) -> str:
    """A host as it is written before a port."""
    return f"[{host}]" if ":" in host else host


async def _answer(url: str, headers: tuple[tuple[str, str], ...], dialler: PortDialler) -> tuple[int, str]:
    """The status of the answer, and where it redirects to."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEME_PORTS or parts.hostname is None:
        raise ValueError(f"{url!r} is not a URL of HTTP")
    port = parts.port or _SCHEME_PORTS[parts.scheme]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    tls = _unverified() if parts.scheme == "https" else None
    async with dialler.connected(parts.hostname, port, tls) as (reader, writer):
        writer.write(_request(target, f"{bracketed(parts.hostname)}:{port}", headers))
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
