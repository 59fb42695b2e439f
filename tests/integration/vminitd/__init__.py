"""The guest agent as a process of its own, spoken to by bare stubs."""
