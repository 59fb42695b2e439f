"""Writes `firkin.sync` from the signatures and docstrings of the asynchronous interface."""
