"""The guest agent: the init of a sandbox, which runs containers and keeps the pod store."""

VERSION = "0.1.0"
"""Of the package, as the agent tells it: asking the installation for it would cost every boot milliseconds."""
