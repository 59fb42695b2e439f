"""Programs that tests run inside a machine, whose kernel has devices that the host's need not have."""
