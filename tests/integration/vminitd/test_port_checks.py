"""How the agent asks a port: redirections, headers, TLS, and servers that answer badly, late, or never."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest

from firkin.domain.probes import GrpcAction, HttpGetAction, TcpSocketAction
from firkin.vminitd.port_checks import port_failure
from firkin.wire import health_pb2

pytestmark = pytest.mark.real_time

_PATIENCE_SECONDS = 30.0
_HTTP = "HTTP/1.1 "
_CERTIFICATE = Path(__file__).parent / "self_signed.pem"
Answer = Callable[[str], str | bytes]


class Server:
    """Answers each request as it is told to; keeps the requests. An empty answer keeps the connection open."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            answer = self._answer(request.split(" ")[1])
            writer.write(answer.encode() if isinstance(answer, str) else answer)
            await writer.drain()
            if not answer:
                await reader.read()
        writer.close()


@contextlib.asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    async with listener:
        server.port = listener.sockets[0].getsockname()[1]
        yield server


async def asked(
    server: Server, path: str = "/", scheme: str = "HTTP", headers: tuple[tuple[str, str], ...] = ()
) -> str | None:
    return await port_failure(HttpGetAction(server.port, path, scheme, headers=headers), _PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("head", "failure"),
    [
        ("200 OK", None),
        ("204", None),
        ("304 Not Modified", None),
        ("399 Odd", None),
        ("400 Bad Request", "was answered with HTTP status 400"),
        ("503 Busy", "was answered with HTTP status 503"),
        ("103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK", None),
    ],
)
async def test_answers_of_200_to_399_are_a_success(head: str, failure: str | None) -> None:
    async with serving(lambda _: f"{_HTTP}{head}\r\n\r\n") as server:
        assert await asked(server) == failure


async def test_a_request_looks_like_a_probe_unless_its_headers_say_otherwise() -> None:
    async with serving(lambda _: f"{_HTTP}200 OK\r\n\r\n") as server:
        assert await asked(server, "/ready?deep=1") is None
        assert await asked(server, "/", headers=(("host", "example"), ("X-A", "1"), ("X-A", "2"))) is None
        first, second = server.requests
        standard = "User-Agent: kube-probe/firkin\r\nAccept: */*\r\nConnection: close\r\n"
        assert first == f"GET /ready?deep=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{standard}\r\n"
        assert second == f"GET / HTTP/1.1\r\n{standard}host: example\r\nX-A: 1\r\nX-A: 2\r\n\r\n"


async def test_a_redirection_to_the_same_host_is_followed() -> None:
    answers = {"/a": "302 Found\r\nLocation: /b?c=d", "/b?c=d": "500 Broken", "/loop": "307 Again\r\nLocation: loop"}
    async with serving(lambda path: f"{_HTTP}{answers[path]}\r\n\r\n") as server:
        assert await asked(server, "/a") == "was answered with HTTP status 500"
        assert await asked(server, "/loop") == "was redirected 10 times"
        assert len(server.requests) == 2 + 10


async def test_a_redirection_to_another_host_is_a_success_and_nobody_is_asked_there() -> None:
    async with serving(lambda _: f"{_HTTP}301 Moved\r\nLocation: http://localhost:1/\r\n\r\n") as server:
        assert await asked(server) is None
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 70_000, b"HTTP/1.1 302 x\r\n" + b"A: b\r\n" * 20_000],
    ids=["another protocol", "no status", "a long line", "long headers"],
)
async def test_what_is_no_answer_of_http_is_a_failure(answer: bytes) -> None:
    async with serving(lambda _: answer) as server:
        assert f"got no answer from 127.0.0.1 port {server.port}" in str(await asked(server))


async def test_a_server_that_closes_at_once_has_not_answered() -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        assert await port_failure(TcpSocketAction(port), _PATIENCE_SECONDS) is None
        failure = str(await port_failure(HttpGetAction(port), _PATIENCE_SECONDS))
        assert "the connection was closed" in failure or "reset" in failure


async def test_who_does_not_answer_in_time_has_failed() -> None:
    async with serving(lambda _: "") as server:
        assert await port_failure(HttpGetAction(server.port), 0.05) == "took longer than 0.05 s"


async def test_a_certificate_is_not_verified() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(_CERTIFICATE)
    async with serving(lambda _: f"{_HTTP}200 OK\r\n\r\n", tls) as server:
        assert await asked(server, scheme="HTTPS") is None


async def test_https_to_a_server_of_http_is_a_failure() -> None:
    async with serving(lambda _: f"{_HTTP}200 OK\r\n\r\n") as server:
        failure = await port_failure(HttpGetAction(server.port, scheme="HTTPS"), 2)
        assert failure is not None


async def test_a_name_that_nobody_has_is_a_failure() -> None:
    failure = await port_failure(TcpSocketAction(80, "nobody.invalid"), _PATIENCE_SECONDS)
    assert failure is not None
    assert "nobody.invalid port 80" in failure


async def test_the_health_service_of_grpc_is_asked() -> None:
    status = health_pb2.HealthCheckResponse.ServingStatus
    known = {"": status.SERVING, "resting": status.NOT_SERVING}

    async def check(
        request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> health_pb2.HealthCheckResponse:
        if request.service not in known:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return health_pb2.HealthCheckResponse(status=known[request.service])

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=health_pb2.HealthCheckRequest.FromString,
        response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        assert await port_failure(GrpcAction(port), _PATIENCE_SECONDS) is None
        assert await port_failure(GrpcAction(port, "resting"), _PATIENCE_SECONDS) == "was answered with NOT_SERVING"
        failure = await port_failure(GrpcAction(port, "other"), _PATIENCE_SECONDS)
        assert failure == "was answered with NOT_FOUND: unknown service"
    finally:
        await server.stop(None)
    assert str(await port_failure(GrpcAction(port), _PATIENCE_SECONDS)).startswith("was answered with UNAVAILABLE")
