"""Pod manifests of Kubernetes (`apiVersion: v1`, `kind: Pod`) as pod specs; what is not honoured is refused."""

from .manifest import ManifestContainer, PodManifest
from .reading import MANIFEST_MAX_BYTES, load_manifest
from .spec import pod_spec

__all__ = ["MANIFEST_MAX_BYTES", "ManifestContainer", "PodManifest", "load_manifest", "pod_spec"]
