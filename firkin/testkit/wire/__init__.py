"""Watching and judging what guest agents say: `python -m firkin.testkit.wire --help`."""
