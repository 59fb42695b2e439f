"""Driving long-lived pods from other processes: gRPC over a unix socket in the pod's private directory."""

from .connector import GrpcControlConnector
from .server import GrpcControlServer

__all__ = ["GrpcControlConnector", "GrpcControlServer"]
