from __future__ import annotations

import pytest

from firkin import PodBuilder, PortForward
from firkin.errors import InvalidPodSpec, InvalidPortForward


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("80", PortForward(80)),
        ("8080:80", PortForward(80, 8080)),
        ("0:80/tcp", PortForward(80, 0)),
        (":80", PortForward(80, 0)),
        ("0.0.0.0:8080:80/TCP", PortForward(80, 8080, "0.0.0.0")),
        ("127.0.0.1::80", PortForward(80, 0, "127.0.0.1")),
        ("[::1]:8080:80", PortForward(80, 8080, "::1")),
        ("::1:8080:80", PortForward(80, 8080, "::1")),
    ],
)
def test_a_forward_is_read_as_docker_writes_it(text: str, forward: PortForward) -> None:
    assert PortForward.parse(text) == forward


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *(
            (text, "not of the form")
            for text in ("", "a:80", "80:", "8000-8010:80", "80:b", "٣:80", "-1:80", "8 0", "9" * 5000)
        ),
        ("53:53/udp", "only TCP"),
        ("0", "0 is not a port"),
        ("70000:80", "70000 is not a port"),
        ("80:65536", "65536 is not a port"),
        ("localhost:80:80", "'localhost' is not an IP address"),
    ],
)
def test_what_is_no_forward_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidPortForward) as caught:
        PortForward.parse(text)
    assert reason in caught.value.reason


def test_a_pods_forwards_are_checked_with_everything_else() -> None:
    builder = PodBuilder("pod-1").forward_port(80, 8080).forward_port(81, 8080).forward_port(82).forward_port(83)
    with pytest.raises(InvalidPodSpec) as caught:
        builder.forward_port(0, -1, "nowhere").build()
    assert [(problem.where, problem.code) for problem in caught.value.problems] == [
        ("portForwards[1]", "duplicate-host-port"),
        ("portForwards[4]", "container-port"),
        ("portForwards[4]", "host-port"),
        ("portForwards[4]", "host-address"),
    ]
    assert PodBuilder("pod-1").forward_port(80, 8080).forward_port(81, 8080, "::1").build().port_forwards == (
        PortForward(80, 8080),
        PortForward(81, 8080, "::1"),
    )
