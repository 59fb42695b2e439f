"""The host's client of the guest agent: gRPC for what is said, unix sockets beside it for the bytes."""

from .connector import GrpcAgentConnector

__all__ = ["GrpcAgentConnector"]
