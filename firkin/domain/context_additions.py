"""What firkin's agent takes from SandboxContext beyond its contract, in words that every other agent fails at.

The host uses them with an agent that announces them (GetInfo), when it is to speak that service alone.
"""

VOLUME_PART = "firkin-volume-part"
"""Type of Mount: a part of a volume (`subPath`), found without leaving it; the source is the volume, the option
`path=<relative>`."""

EMPTY_DIR = "firkin-empty-dir"
"""Type of Mount: an emptyDir of a pod that is prepared, at its place in the store, which is the source; the options
are `medium=disk` or `medium=memory`, `size=<bytes>` and `group=<gid>`."""

PROCESS_NAMESPACE = "firkin-process-namespace"
"""Type of Mount: the process namespace that the pod's containers share, at its place in the sandbox."""

REPLACED_KEY = "firkin-replaced-bin"
"""Trailing metadata of ApplyOciLayer: what could not be made as it is in the layer, a JSON object of counts by kind."""

LAYER_LIMITS_KEY = "firkin-layer-limits-bin"
"""Metadata of ApplyOciLayer: what the layer may amount to, a JSON object of numbers by name (`LayerLimits`)."""

STAGES_KEY = "firkin-stages-bin"
"""Trailing metadata of ApplyOciLayer: what the stages of the layer took, a JSON object of seconds by name
(`TEMPLATE_STAGES`). A call that failed has them in its details, as those of firkin.agent.v1 have."""

LEFT_OUT_KEY = "firkin-left-out-bin"
"""Trailing metadata of Copy: what was left out, a JSON array of sentences."""

NO_SYMLINKS = "firkin-no-symlinks:"
"""Before the root of a Copy of one file into the sandbox: no symlink below that directory is followed or replaced."""
