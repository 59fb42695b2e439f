"""The inputs of the vectors of runtime specs and manifests."""

from __future__ import annotations

from tests.vectors.formats import ContainerOverrides, Json

_IMAGE: Json = {
    "Entrypoint": ["/entry"],
    "Cmd": ["default"],
    "Env": ["PATH=/opt/bin:/bin", "A=image"],
    "WorkingDir": "/srv",
    "User": "app:extra",
    "StopSignal": "SIGINT",
}

RUNTIME_SPECS: dict[str, tuple[Json, ContainerOverrides]] = {
    "an image alone": (_IMAGE, ContainerOverrides()),
    "a command replaces entrypoint and command": (_IMAGE, ContainerOverrides(command=("sh", "-c", "id"))),
    "an image that says nothing": ({}, ContainerOverrides(command=("true",))),
    "variables are replaced by name": (
        _IMAGE,
        ContainerOverrides(environment=(("A", "given"), ("B", ""), ("PATH", "/bin"))),
    ),
    "user and directory of one's own": (_IMAGE, ContainerOverrides(user="7:8", working_dir="/tmp")),
    "limits": (_IMAGE, ContainerOverrides(memory_bytes=64 * 2**20, cpus=0.5, pids=10)),
    "capabilities": (_IMAGE, ContainerOverrides(add_capabilities=("NET_ADMIN",), drop_capabilities=("CHOWN", "KILL"))),
    "no capabilities at all": (_IMAGE, ContainerOverrides(drop_capabilities=("ALL",))),
    "a terminal": (_IMAGE, ContainerOverrides(terminal=(100, 30))),
    "read only, with a mount": (
        _IMAGE,
        ContainerOverrides(read_only_rootfs=True, bind_mounts=(("/run/source", "/data"),)),
    ),
}

MANIFESTS: dict[str, str] = {
    "the least": """
apiVersion: v1
kind: Pod
metadata: {name: least}
spec: {containers: [{name: c, image: "memory:image"}]}
""",
    "command, args and variables": """
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec:
  restartPolicy: Never
  hostname: host
  containers:
    - name: both
      image: memory:image
      command: [sh, -c]
      args: ["echo $(GREETING) $$(GREETING) $(NOTHING)"]
      env: [{name: GREETING, value: hello}]
      workingDir: /srv
    - name: args-only
      image: memory:image
      args: [one]
""",
    "volumes and limits": """
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec:
  volumes:
    - {name: disk, emptyDir: {}}
    - {name: fast, emptyDir: {medium: Memory, sizeLimit: 16Mi}}
  terminationGracePeriodSeconds: 3
  containers:
    - name: c
      image: memory:image
      resources: {limits: {memory: 64Mi, cpu: 500m}}
      volumeMounts:
        - {name: disk, mountPath: /disk}
        - {name: fast, mountPath: /fast, readOnly: true}
""",
    "init containers and security": """
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec:
  securityContext: {runAsUser: 7, runAsGroup: 8}
  initContainers: [{name: first, image: "memory:image"}]
  containers:
    - name: c
      image: memory:image
      securityContext: {runAsUser: 9, readOnlyRootFilesystem: true}
""",
    "a field that is not honoured": """
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec: {hostNetwork: true, containers: [{name: c, image: "memory:image"}]}
""",
    "two containers of one name": """
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec: {containers: [{name: c, image: "memory:image"}, {name: c, image: "memory:image"}]}
""",
    "no containers": """
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec: {containers: []}
""",
}
