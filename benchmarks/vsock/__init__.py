"""The vsock device in a real machine, beside one written in Python and beside QEMU's own network."""
