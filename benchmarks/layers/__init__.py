"""Layers to a rootfs: firkin beside GNU tar, bsdtar, umoci and podman, and beside what cannot be undercut.

    python -m benchmarks.layers             everything, on a large Debian system
    python -m benchmarks.layers --short     a part, on a small one; compared with baseline.json

What is measured is a process from its start to its end, on a warm page cache unless the case says "from disk", into an
empty directory, without the time that the disk needs afterwards. Rounds are interleaved, each in an order of its own,
and only ratios of one run mean anything. It all runs as root, in mounts and processes of its own, which go with it.
"""
