"""A dozen services of Debian packages, in manifests as people write them, each asked what it is there to answer."""

from __future__ import annotations

import pytest

from .manifests import manifests, manifests_directory, output_of, until_ready
from .service_manifests import SERVICES, Service

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize(
    "service",
    [
        pytest.param(service, id=name, marks=(pytest.mark.needs_ids,) if service.needs_ids else ())
        for name, service in SERVICES.items()
    ],
)
async def test_a_service_answers(
    service: Service, tmp_path_factory: pytest.TempPathFactory, services_image: str, busybox_image: str
) -> None:
    directory = manifests_directory(tmp_path_factory)
    async with (
        manifests(directory, services_image, busybox_image) as it,
        it.running(service.manifest) as pod,
    ):
        for container in pod.containers():
            await until_ready(container)
        assert await output_of(pod, service.container, "bash", "-ec", service.question) == service.answer
