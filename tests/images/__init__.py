"""Makers of the images that tests run: real ones, by umoci, skopeo and mmdebstrap, made once and cached.

    python -m tests.images busybox          makes the image when absent, and prints its reference
    python -m tests.images debian DIR       the same, and copies it to DIR

The cache is `$FIRKIN_TEST_IMAGES`, or `.cache/images` of the checkout.
"""
