"""What every kind of sandbox has on the host: a directory of sockets, and a console."""
