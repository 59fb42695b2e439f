"""Pod manifests of Kubernetes (`apiVersion: v1`, `kind: Pod`) as pod specs; what is not honoured is refused."""

from .manifest import ManifestContainer, PodManifest
from .problems import FieldReport
from .reading import MANIFEST_MAX_BYTES, check_manifest, load_manifest
from .spec import pod_spec

__all__ = [
    "MANIFEST_MAX_BYTES",
    "FieldReport",
    "ManifestContainer",
    "PodManifest",
    "check_manifest",
    "load_manifest",
    "pod_spec",
]
