"""Spans of OpenTelemetry for what a runtime does, where that package is installed."""

from .observer import OpenTelemetryObserver

__all__ = ["OpenTelemetryObserver"]
