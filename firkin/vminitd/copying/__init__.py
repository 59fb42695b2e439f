"""The guest's end of copies: finding things in a container, and writing or reading them there."""
