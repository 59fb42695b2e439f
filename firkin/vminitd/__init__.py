"""The guest agent: the init of a sandbox, which runs containers and keeps the pod store."""
