"""Writes the files of tests/vectors/ that are long: `python -m generators.test_vectors tests/vectors`.

names.json, tar_members.json and digests.json are written by hand, from docs/rules.md and the OCI specifications.
"""
