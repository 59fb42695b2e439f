"""Mounts, paths and directories of the sandbox."""
