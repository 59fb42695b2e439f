"""What the application needs from the world: one Protocol per file, no code."""
