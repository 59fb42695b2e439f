"""Reading manifests: what is honoured, and how everything else is told."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firkin.adapters.pod_manifest import MANIFEST_MAX_BYTES, PodManifest, check_manifest, load_manifest
from firkin.domain.container_spec import ResourceLimits
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import VolumeName
from firkin.domain.restarting import RestartPolicy
from firkin.domain.volumes import EmptyDirMount, EmptyDirVolume
from firkin.errors import ManifestError

HEAD = """\
apiVersion: v1
kind: Pod
metadata:
  name: pod
spec:
"""
CONTAINER = """\
  containers:
  - name: main
    image: oci:/image
"""


def loaded(spec: str, source: str = "pod.yaml") -> PodManifest:
    return load_manifest(HEAD + spec, source)


def container_fields(text: str) -> str:
    return CONTAINER + textwrap.indent(textwrap.dedent(text), "    ")


def problems(text: str) -> list[tuple[str, str]]:
    """The places and codes of all problems; each tells its line."""
    with pytest.raises(ManifestError) as caught:
        load_manifest(text, "pod.yaml")
    assert caught.value.source == "pod.yaml"
    for problem in caught.value.problems:
        assert problem.where in str(caught.value)
        assert problem.message.startswith("line ")
    return [(problem.where, problem.code) for problem in caught.value.problems]


def line_of(text: str) -> list[int]:
    with pytest.raises(ManifestError) as caught:
        load_manifest(text, "pod.yaml")
    return [int(problem.message.split()[1].rstrip(":")) for problem in caught.value.problems]


def test_the_smallest_pod() -> None:
    manifest = loaded(CONTAINER)

    assert (manifest.name, manifest.source) == ("pod", "pod.yaml")
    assert [(one.name, one.image) for one in manifest.containers] == [("main", "oci:/image")]
    assert manifest.grace_seconds == 30
    assert manifest.host_name is None


def test_every_honoured_field() -> None:
    manifest = load_manifest(
        """
        apiVersion: v1
        kind: Pod
        metadata:
          name: whole
          labels: {app.kubernetes.io/name: whole, tier: "1"}
          annotations: {note: yes please}
        spec:
          restartPolicy: Never
          hostname: box
          terminationGracePeriodSeconds: 3
          volumes:
          - name: disk
            emptyDir: {}
          - name: bare
            emptyDir:
          - name: memory
            emptyDir: {medium: Memory, sizeLimit: 16Mi}
          containers:
          - name: main
            image: oci:/image:tag
            command: [sh, -c]
            args: ["echo $(NAME)"]
            env:
            - name: NAME
              value: "1"
            - {name: COPY, value: $(NAME)2}
            - name: EMPTY
            workingDir: /srv
            volumeMounts:
            - {name: disk, mountPath: /data/}
            - {name: memory, mountPath: /dev/shm, readOnly: true}
            resources: {limits: {cpu: 500m, memory: 64Mi, ephemeral-storage: 1Gi}}
            securityContext:
              runAsUser: 1000
              runAsGroup: 2000
              readOnlyRootFilesystem: true
              allowPrivilegeEscalation: true
              capabilities: {add: [NET_RAW], drop: [all]}
            tty: true
            stdin: true
        """,
        "pod.yaml",
    )

    assert manifest.labels == {"app.kubernetes.io/name": "whole", "tier": "1"}
    assert manifest.annotations == {"note": "yes please"}
    assert (manifest.host_name, manifest.grace_seconds) == ("box", 3)
    assert manifest.volumes == (
        EmptyDirVolume.disk("disk"),
        EmptyDirVolume.disk("bare"),
        EmptyDirVolume.memory("memory", 16 * 2**20),
    )
    (main,) = manifest.containers
    assert (main.command, main.args) == (("sh", "-c"), ("echo $(NAME)",))
    assert main.environment == (("NAME", "1"), ("COPY", "12"), ("EMPTY", ""))
    assert main.working_dir == "/srv"
    assert main.mounts == (
        EmptyDirMount(VolumeName("disk"), GuestPath("/data")),
        EmptyDirMount(VolumeName("memory"), GuestPath("/dev/shm"), read_only=True),
    )
    assert main.resources == ResourceLimits(64 * 2**20, 0.5)
    assert main.writable_layer_bytes == 2**30
    security = main.security
    assert (security.run_as_user, security.run_as_group) == (1000, 2000)
    assert (security.read_only_root, security.allow_privilege_escalation) == (True, True)
    assert (security.capabilities_add, security.capabilities_drop) == (("CAP_NET_RAW",), ("ALL",))
    assert (main.terminal, main.stdin) == (True, True)


@pytest.mark.parametrize(
    ("image", "source", "reference"),
    [
        ("oci:image:tag", "pods/pod.yaml", "oci:pods/image:tag"),
        ("oci:../image", "/srv/pods/pod.yaml", "oci:/srv/pods/../image"),
        ("oci:image", "pod.yaml", "oci:image"),
        ("oci:image", "-", "oci:image"),
        ("oci:/image", "pods/pod.yaml", "oci:/image"),
        ("docker-archive:saved.tar", "pods/pod.yaml", "docker-archive:pods/saved.tar"),
        ("mine:name", "pods/pod.yaml", "mine:name"),
    ],
)
def test_a_relative_image_lies_beside_the_manifest(image: str, source: str, reference: str) -> None:
    manifest = loaded(CONTAINER.replace("oci:/image", image), source)

    assert manifest.containers[0].image == reference


@pytest.mark.parametrize("absent", ["command:", "args: null", "env: ~", "resources:", "securityContext: null", "tty:"])
def test_null_is_absent(absent: str) -> None:
    assert loaded(container_fields(absent)) == loaded(CONTAINER)


@pytest.mark.parametrize(
    "field",
    [
        "volumeDevices: []", "resizePolicy: []", "livenesProbe: {}", "stdinOnce: true",
        "restartPolicy: Always", "unheardOf: 1", "<<: {name: x}",
    ],
)  # fmt: skip
def test_a_container_field_that_is_not_honoured_is_named(field: str) -> None:
    name = field.partition(":")[0]
    where = f"spec.containers[0].{name}" if name.isalpha() else f'spec.containers[0]["{name}"]'
    assert problems(HEAD + container_fields(field)) == [(where, "unknown-field")]


@pytest.mark.parametrize(
    "field",
    ["ephemeralContainers: []", "activeDeadlineSeconds: 5", "subdomain: x", "runtimeClassName: x", "hostMounts: []",
     "resources: {}"],
)  # fmt: skip
def test_a_pod_field_that_is_not_honoured_is_named(field: str) -> None:
    where = f"spec.{field.partition(':')[0]}"
    assert problems(f"{HEAD}  {field}\n{CONTAINER}") == [(where, "unknown-field")]


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [
        ("hostNetwork: false", "hostNetwork: true"),
        ("hostPID: false", "hostPID: true"),
        ("hostIPC: false", "hostIPC: true"),
        ("hostUsers: true", "hostUsers: false"),
        ("setHostnameAsFQDN: false", "setHostnameAsFQDN: true"),
    ],
)
def test_what_would_open_a_pod_is_refused_and_its_default_may_be_said(allowed: str, refused: str) -> None:
    assert loaded(f"  {allowed}\n{CONTAINER}") == loaded(CONTAINER)
    where = f"spec.{refused.partition(':')[0]}"
    assert problems(f"{HEAD}  {refused}\n{CONTAINER}") == [(where, "unsupported-value")]


@pytest.mark.parametrize(
    "field",
    [
        *("nodeName: x", "nodeSelector: {disk: ssd}", "affinity: {nodeAffinity: {}}", "tolerations: [{key: a}]"),
        *("serviceAccountName: x", "imagePullSecrets: [{name: x}]", "priorityClassName: x", "schedulerName: x"),
        *("enableServiceLinks: false", "automountServiceAccountToken: false", "topologySpreadConstraints: []"),
        *("dnsPolicy: ClusterFirst", "dnsPolicy: Default"),
    ],
)
def test_what_a_single_machine_has_no_use_for_is_said_to_be_without_effect(field: str) -> None:
    assert loaded(f"  {field}\n{CONTAINER}") == loaded(CONTAINER)
    told = {report.where: report for report in check_manifest(f"{HEAD}  {field}\n{CONTAINER}", "pod.yaml")}
    report = told[f"spec.{field.partition(':')[0]}"]
    assert (report.verdict, bool(report.detail)) == ("without effect", True)


@pytest.mark.parametrize("image", ["nginx", "nginx:1.25", "docker.io/library/nginx:latest", "oci:", "image"])
def test_an_image_that_no_source_has_is_told_at_its_line_with_what_references_begin_with(image: str) -> None:
    text = HEAD + CONTAINER.replace("oci:/image", f"'{image}'")
    (report,) = [
        each for each in check_manifest(text, "pod.yaml", (), ("oci", "image")) if each.where.endswith("image")
    ]
    assert report.verdict == "refused"
    assert "there are: oci:, image: (`firkin image import`" in report.detail
    with pytest.raises(ManifestError, match="scheme of an image source"):
        load_manifest(text, "pod.yaml", (), ("oci", "image"))
    assert load_manifest(text, "pod.yaml").containers[0].image == image


def test_what_a_server_wrote_into_a_manifest_is_without_effect() -> None:
    text = HEAD.replace("name: pod", "name: pod\n  uid: x\n  resourceVersion: '1'\n  creationTimestamp: null")
    assert load_manifest(f"{text}{CONTAINER}status: {{phase: Running}}\n", "pod.yaml") == loaded(CONTAINER)


@pytest.mark.parametrize(
    ("field", "where"),
    [
        (
            "env: [{name: A, valueFrom: {fileKeyRef: {}, fieldRef: {fieldPath: metadata.name}}}]",
            "env[0].valueFrom.fileKeyRef",
        ),
        ("resources: {claims: []}", "resources.claims"),
        ("resources: {limits: {nvidia.com/gpu: 1}}", 'resources.limits["nvidia.com/gpu"]'),
        ("securityContext: {seLinuxOptions: {}}", "securityContext.seLinuxOptions"),
        ("securityContext: {capabilities: {keep: []}}", "securityContext.capabilities.keep"),
        ("volumeMounts: [{name: v, mountPath: /v, propagation: x}]", "volumeMounts[0].propagation"),
    ],
)
def test_an_inner_field_that_is_not_honoured_is_named(field: str, where: str) -> None:
    found = problems(f"{HEAD}  volumes: [{{name: v, emptyDir: {{}}}}]\n{container_fields(field)}")

    assert found == [(f"spec.containers[0].{where}", "unknown-field")]


def test_a_misspelt_field_gets_a_hint() -> None:
    with pytest.raises(ManifestError, match="did you mean image\\?"):
        loaded(container_fields("imagee: x"))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("Always", RestartPolicy.ALWAYS), ("OnFailure", RestartPolicy.ON_FAILURE), ("Never", RestartPolicy.NEVER)],
)
def test_a_restart_policy_is_one_of_three(policy: str, expected: RestartPolicy) -> None:
    assert loaded(f"  restartPolicy: {policy}\n{CONTAINER}").restart_policy is expected
    text = f"{HEAD}  restartPolicy: {policy.lower()}\n{CONTAINER}"
    assert problems(text) == [("spec.restartPolicy", "invalid-value")]
    assert loaded(CONTAINER).restart_policy is RestartPolicy.ALWAYS


@pytest.mark.parametrize(
    ("volume", "where", "code"),
    [
        ("{name: v, hostPath: {path: /}}", ".hostPath.path", "unsupported-value"),
        ("{name: v, hostPath: {path: srv}}", ".hostPath.path", "invalid-value"),
        ("{name: v, hostPath: {path: /srv/../etc}}", ".hostPath.path", "invalid-value"),
        ("{name: v, hostPath: {path: /srv, type: CharDevice}}", ".hostPath.type", "invalid-value"),
        ("{name: v, hostPath: {type: File}}", ".hostPath", "missing-field"),
        ("{name: v, projected: {sources: [{}]}}", ".projected.sources[0]", "invalid-value"),
        (
            "{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}",
            ".projected.sources[0].serviceAccountToken",
            "unknown-field",
        ),
        (
            "{name: v, downwardAPI: {items: [{path: p, fieldRef: {fieldPath: status.hostIP}}]}}",
            ".downwardAPI.items[0].fieldRef.fieldPath",
            "invalid-value",
        ),
        ("{name: v, downwardAPI: {items: [{path: p}]}}", ".downwardAPI.items[0]", "missing-field"),
        ("{name: v}", "", "missing-field"),
        ("{name: v, emptyDir: {sizeLimit: 1023Ki}}", ".emptyDir.sizeLimit", "invalid-value"),
        ("{name: v, emptyDir: {}, configMap: {name: x}}", "", "invalid-value"),
        ("{name: v, configMap: {name: x}}", ".configMap.name", "unknown-document"),
        ("{name: v, secret: {}}", ".secret", "missing-field"),
        (
            "{name: v, secret: {secretName: x, defaultMode: 01777, optional: true}}",
            ".secret.defaultMode",
            "invalid-value",
        ),
        ("{name: v, emptyDir: {medium: HugePages}}", ".emptyDir.medium", "unsupported-value"),
        ("{name: v, emptyDir: {medium: Memory, sizeLimit: 0}}", ".emptyDir.sizeLimit", "invalid-value"),
        ("{name: v, emptyDir: {medium: Memory, sizeLimit: much}}", ".emptyDir.sizeLimit", "invalid-value"),
        ("{name: .., emptyDir: {}}", ".name", "invalid-value"),
        ("{emptyDir: {}}", "", "missing-field"),
        ("[v]", "", "wrong-type"),
    ],
)
def test_a_volume_that_is_not_honoured_is_named(volume: str, where: str, code: str) -> None:
    assert (f"spec.volumes[0]{where}", code) in problems(f"{HEAD}  volumes:\n  - {volume}\n{CONTAINER}")


@pytest.mark.parametrize(
    ("field", "where", "code"),
    [
        ("command: sh", "command", "wrong-type"),
        ("command: [sleep, 1]", "command[1]", "wrong-type"),
        ("args: [yes]", "args[0]", "wrong-type"),
        ("args: [null]", "args[0]", "wrong-type"),
        ('args: ["a\\0b"]', "args[0]", "invalid-value"),
        ('args: ["\\ud800"]', "args[0]", "invalid-value"),
        ("env: {A: 1}", "env", "wrong-type"),
        ("env: [{name: A, value: 1}]", "env[0].value", "wrong-type"),
        ("env: [{name: A, value: {}}]", "env[0].value", "wrong-type"),
        ("env: [{name: A=B}]", "env[0].name", "invalid-value"),
        ("env: [{value: x}]", "env[0]", "missing-field"),
        ("env: [A]", "env[0]", "wrong-type"),
        ("workingDir: srv", "workingDir", "invalid-value"),
        ("tty: 'true'", "tty", "wrong-type"),
        ("tty: on", "tty", "wrong-type"),
        ("stdin: 1", "stdin", "wrong-type"),
        ("resources: {limits: {cpu: many}}", "resources.limits.cpu", "invalid-value"),
        ("resources: {limits: {cpu: [1]}}", "resources.limits.cpu", "wrong-type"),
        ("resources: {limits: {memory: 400m}}", "resources.limits.memory", "invalid-value"),
        ("resources: {limits: {memory: true}}", "resources.limits.memory", "wrong-type"),
        ("securityContext: {runAsUser: '0'}", "securityContext.runAsUser", "wrong-type"),
        ("securityContext: {runAsUser: 1.5}", "securityContext.runAsUser", "wrong-type"),
        ("securityContext: {runAsUser: 0x10}", "securityContext.runAsUser", "wrong-type"),
        ("securityContext: {runAsUser: -1}", "securityContext.runAsUser", "invalid-value"),
        ("securityContext: {runAsGroup: 4294967295}", "securityContext.runAsGroup", "invalid-value"),
        ("securityContext: {runAsUser: " + "9" * 5000 + "}", "securityContext.runAsUser", "wrong-type"),
        ("securityContext: {capabilities: {add: [FLY]}}", "securityContext.capabilities.add[0]", "invalid-value"),
        ("volumeMounts: [{name: absent, mountPath: /v}]", "volumeMounts[0].name", "unknown-volume"),
        ("volumeMounts: [{name: v, mountPath: v}]", "volumeMounts[0].mountPath", "invalid-value"),
        ("volumeMounts: [{name: v, mountPath: /}]", "volumeMounts[0].mountPath", "invalid-value"),
        ("volumeMounts: [{name: v, mountPath: /a/../b}]", "volumeMounts[0].mountPath", "invalid-value"),
        ("volumeMounts: [{name: v, mountPath: /proc/sys}]", "volumeMounts[0].mountPath", "invalid-value"),
        ("volumeMounts: [{name: v}]", "volumeMounts[0]", "missing-field"),
        ("image: !local x", "image", "wrong-type"),
        ("args: !!python/tuple [x]", "args", "wrong-type"),
        ("args: [!!binary aGk=]", "args[0]", "wrong-type"),
    ],
)
def test_a_wrong_value_is_named(field: str, where: str, code: str) -> None:
    text = f"{HEAD}  volumes: [{{name: v, emptyDir: {{}}}}]\n{container_fields(field)}"
    if field.startswith("image"):
        text = text.replace("    image: oci:/image\n", "")

    assert problems(text) == [(f"spec.containers[0].{where}", code)]


def test_two_mounts_at_one_place_are_told() -> None:
    mounts = "volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /v/}]"
    text = f"{HEAD}  volumes: [{{name: v, emptyDir: {{}}}}]\n{container_fields(mounts)}"

    assert problems(text) == [("spec.containers[0].volumeMounts[1]", "duplicate-mount")]


def test_duplicate_names_are_told() -> None:
    text = f"""{HEAD}  volumes: [{{name: v, emptyDir: {{}}}}, {{name: v, emptyDir: {{}}}}]
  containers: [{{name: a, image: i}}, {{name: a, image: i}}]
"""
    assert problems(text) == [
        ("spec.volumes[1]", "duplicate-volume"),
        ("spec.containers[1]", "duplicate-container"),
    ]


def test_a_duplicate_key_is_told_where_it_comes_again() -> None:
    text = HEAD + container_fields("tty: true\nimage: oci:/other")

    assert problems(text) == [("spec.containers[0].image", "duplicate-key")]
    assert line_of(text) == [10]


def test_keys_of_a_second_pod_that_no_line_sets_apart_are_told_once_each() -> None:
    pod = HEAD + CONTAINER
    assert problems(pod + pod) == [(key, "duplicate-key") for key in ("apiVersion", "kind", "metadata", "spec")]


@pytest.mark.parametrize("name", ["..", "a/b", "-x", "x" * 65])
def test_a_name_that_is_no_id_is_told(name: str) -> None:
    assert problems((HEAD + CONTAINER).replace("name: pod", f"name: {name}")) == [("metadata.name", "invalid-value")]
    assert problems((HEAD + CONTAINER).replace("name: main", f"name: {name}")) == [
        ("spec.containers[0].name", "invalid-value")
    ]


@pytest.mark.parametrize(
    ("text", "where", "code"),
    [
        ("", "manifest", "yaml"),
        ("# nothing", "manifest", "yaml"),
        ("a: [", "manifest", "yaml"),
        ("\tx: 1", "manifest", "yaml"),
        ("a: \x01", "manifest", "yaml"),
        ("a: 1\n---\nb: 2\n", "manifest", "missing-field"),
        (f"{HEAD}{CONTAINER}---\n{HEAD}{CONTAINER}", "manifest", "several-pods"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", "manifest", "missing-field"),
        (f"{HEAD}{CONTAINER}---\napiVersion: apps/v1\nkind: Deployment\n", "kind", "unsupported-value"),
        ("- 1", "manifest", "wrong-type"),
        ("text", "manifest", "wrong-type"),
        ("? [a]\n: b", "manifest", "missing-field"),
        ("x: &a [1]\ny: *a", "manifest", "too-long"),
        ("[" * 1000, "manifest", "too-long"),
        ("{a: " * 1000, "manifest", "too-long"),
        ("[" + "1," * 30_000 + "]", "manifest", "too-long"),
        ("apiVersion: apps/v1\nkind: Deployment\nspec: {}", "kind", "unsupported-value"),
        ("apiVersion: v2\nkind: Pod", "apiVersion", "unsupported-value"),
        ("apiVersion: v1\nkind: List\nitems: []", "manifest", "missing-field"),
        ("apiVersion: v1\nkind: List\n", "manifest", "missing-field"),
        ("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Service}]", "items[0].kind", "unsupported-value"),
        ("apiVersion: v1\nkind: List\nitems: []\nmore: 1", "more", "unknown-field"),
        ("kind: Pod", "manifest", "missing-field"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {}", "manifest", "missing-field"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {}\nspec: {}", "metadata", "missing-field"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {}\nspec: {}", "spec", "missing-field"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: 1}\nspec: {containers: []}", "metadata.name", "wrong-type"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: []}", "spec.containers", "invalid-value"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a}\nspec: {}", "metadata.generateName", "unknown-field"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {labels: {a: 1}}\nspec: {}", "metadata.labels.a", "wrong-type"),
        ("apiVersion: v1\nkind: Pod\nmetadata: x\nspec: y", "metadata", "wrong-type"),
        (f"{HEAD}  hostname: UPPER\n{CONTAINER}", "spec.hostname", "invalid-value"),
        (
            f"{HEAD}  terminationGracePeriodSeconds: -1\n{CONTAINER}",
            "spec.terminationGracePeriodSeconds",
            "invalid-value",
        ),
        (f"{HEAD}{CONTAINER}state: {{}}\n", "state", "unknown-field"),
    ],
)  # fmt: skip
def test_what_is_no_pod_of_this_kind_is_told(text: str, where: str, code: str) -> None:
    assert (where, code) in problems(text)


def test_a_manifest_of_more_than_a_mebibyte_is_refused() -> None:
    with pytest.raises(ManifestError, match="longer than"):
        load_manifest("#" * (MANIFEST_MAX_BYTES + 1), "pod.yaml")


def test_all_problems_are_told_from_top_to_end_with_their_lines() -> None:
    text = f"""{HEAD}  restartPolicy: Sometimes
  hostNetwork: true
  containers:
  - name: main
    image: oci:/image
    env:
    - name: A
      value: 1
    - name: B
      valueFrom:
        fieldRef: {{fieldPath: status.hostIP}}
    devices: []
"""
    assert problems(text) == [
        ("spec.restartPolicy", "invalid-value"),
        ("spec.hostNetwork", "unsupported-value"),
        ("spec.containers[0].env[0].value", "wrong-type"),
        ("spec.containers[0].env[1].valueFrom.fieldRef.fieldPath", "invalid-value"),
        ("spec.containers[0].devices", "unknown-field"),
    ]
    assert line_of(text) == [6, 7, 13, 16, 17]


_LEAVES = st.sampled_from(
    ["x", "1", "1.5", "null", "true", "~", "'q'", '"\\0"', "[]", "{}", "[1, x]", "{name: a}", "[{name: a}]", "*a",
     "&a x", "!t x", "!!int x", "? x", "- x", ": ", "|\n", "%"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_manifest_is_read_or_refused_by_a_manifest_error(data: st.DataObject) -> None:
    lines = (HEAD + container_fields("env: [{name: A, value: b}]\nargs: [a]\ntty: true")).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        key, colon, _ = lines[index].partition(":")
        lines[index] = f"{key}{colon} {data.draw(_LEAVES | st.text(max_size=5))}"

    try:
        manifest = load_manifest("\n".join(lines), "pod.yaml")
    except ManifestError as error:
        refused = error.problems
        assert refused
    else:
        assert manifest.containers


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_by_a_manifest_error(text: str) -> None:
    with pytest.raises(ManifestError):
        load_manifest(text, "pod.yaml")
