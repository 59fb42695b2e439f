from __future__ import annotations

import pytest

from firkin.domain.digest import Digest, chain_ids
from firkin.errors import InvalidDigest

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digest_of_nothing_is_the_known_one() -> None:
    assert Digest.of(b"") == EMPTY
    assert Digest(EMPTY).hex == EMPTY[7:]


@pytest.mark.parametrize(
    "text",
    [
        "",
        EMPTY[7:],
        EMPTY.upper(),
        EMPTY[:-1],
        EMPTY + "0",
        EMPTY + "\n",
        "sha512:" + "0" * 128,
        "sha256:" + "g" * 64,
        "sha256:../../" + "0" * 58,
        "sha256:" + "\uff10" * 64,
    ],
)
def test_anything_but_sha256_and_64_digits_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest) as raised:
        Digest(text)
    assert raised.value.value == text


def test_chain_ids_follow_the_image_specification() -> None:
    one, two, three = (Digest.of(data) for data in (b"one", b"two", b"three"))
    first, second, third = chain_ids([one, two, three])
    assert first == one
    assert second == Digest.of(f"{one} {two}".encode())
    assert third == Digest.of(f"{second} {three}".encode())


def test_chain_ids_of_a_known_vector() -> None:
    """Worked out with sha256sum: printf '%s %s' DIFF0 DIFF1 | sha256sum, and so on."""
    diff_ids = [Digest("sha256:" + digit * 64) for digit in "123"]
    assert chain_ids(diff_ids) == (
        "sha256:" + "1" * 64,
        "sha256:9932074217c35353d2e03a3f5a86549f7c67bfeb0ba53e23d69f4d4c8f7958f5",
        "sha256:50127c0d6b338be78246434b4bce23ecf75e505158ea0bbd15effeb162fbf3ec",
    )


def test_no_layers_have_no_chain() -> None:
    assert chain_ids([]) == ()
