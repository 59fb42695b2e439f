"""Files and directories to tar archives and back, confined to a directory: what both ends of a copy do.

The agent and the host's adapters each hold one end, so this imports nothing but the domain and its kernels.
"""
