"""What the network of a sandbox reaches beside its own loopback."""

from __future__ import annotations

import enum

from .name_resolution import DnsConfig


class Network(enum.StrEnum):
    """A kind of network."""

    NONE = "none"
    """Nothing: containers reach each other, and what is forwarded reaches them."""
    USER = "user"
    """Whatever the host reaches, through a program of the host without privileges; nothing reaches the sandbox."""


USER_NETWORK_ADDRESS, USER_NETWORK_GATEWAY = "10.0.2.15/24", "10.0.2.2"
"""What a sandbox on a user network is, and what it sends everything to; by that address the host's loopback answers."""

USER_NETWORK_DNS = DnsConfig(nameservers=("10.0.2.3",))
"""Where QEMU's user network and slirp4netns, whose default it is too, answer as the host's own resolver would."""
