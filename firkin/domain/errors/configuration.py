"""The caller's surroundings do not allow what was asked."""

from __future__ import annotations

from errno import EACCES, EINVAL, ENOENT, EOPNOTSUPP, EPERM

from .base import FirkinError
from .values import SpecProblem


class ConfigurationError(FirkinError):
    """A setting of firkin that cannot be used."""

    code = "configuration"
    errno = EINVAL


class MissingTool(FirkinError):
    """A program that firkin runs is not installed; the message carries the command that mends it."""

    code = "missing-tool"
    errno = ENOENT

    def __init__(self, tool: str, purpose: str, package: str) -> None:
        super().__init__(f"{tool} is not installed, and {purpose} needs it: run `apt-get install {package}`")
        self.tool = tool
        self.purpose = purpose
        self.package = package


class PermissionMissing(FirkinError):
    """The caller may not do this on this machine."""

    code = "permission-missing"
    errno = EPERM

    def __init__(self, action: str, remedy: str) -> None:
        super().__init__(f"no permission to {action}: {remedy}")
        self.action = action
        self.remedy = remedy


class UnsupportedFeature(FirkinError):
    """Something well formed that this adapter cannot honour, and therefore refuses."""

    code = "unsupported-feature"
    errno = EOPNOTSUPP

    def __init__(self, feature: str, reason: str) -> None:
        super().__init__(f"{feature} is not supported here: {reason}")
        self.feature = feature
        self.reason = reason


class HostPathRefused(FirkinError):
    """A path of the host that containers may not be shown, or that is not what the pod says."""

    code = "host-path-refused"
    errno = EACCES

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"host path {path!r} is refused: {reason}")
        self.path = path
        self.reason = reason


class ManifestError(FirkinError):
    """A pod manifest that cannot be honoured in full; every problem carries its field."""

    code = "manifest"
    errno = EINVAL

    def __init__(self, source: str, problems: tuple[SpecProblem, ...]) -> None:
        listed = "; ".join(str(problem) for problem in problems)
        super().__init__(f"manifest {source} cannot be used: {listed}")
        self.source = source
        self.problems = problems
