"""What pods of Kubernetes have beyond plain containers: documents beside the Pod, security, probes, restarts."""

from __future__ import annotations

import textwrap

import pytest

from firkin.adapters.pod_manifest import PodManifest, check_manifest, load_manifest, pod_spec
from firkin.domain.host_paths import HostPathKind, HostPathVolume
from firkin.domain.image import ImageBundle, ImageConfig
from firkin.domain.pod_spec import PodSpec
from firkin.domain.port_forwards import PortForward
from firkin.domain.probes import ExecAction, GrpcAction, Hooks, HttpGetAction, Probe, Probes, SleepAction
from firkin.domain.restarting import RestartPolicy
from firkin.domain.volumes import EmptyDirMount, EmptyDirVolume, VolumeFile
from firkin.errors import ManifestError
from tests.unit.domain.values import bundle

DOCUMENTS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {a: b}}
data:
  level: debug
  nginx.conf: |
    daemon off;
---
# only a comment
---
apiVersion: v1
kind: Secret
metadata: {name: login}
type: Opaque
data: {password: aHVudGVyMg==}
stringData: {user: admin}
---
"""
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: pod
  namespace: place
  labels: {app: web}
spec:
"""


def loaded(spec: str, container: str = "", documents: str = DOCUMENTS) -> PodManifest:
    return load_manifest(text_of(spec, container, documents), "pod.yaml")


def text_of(spec: str, container: str = "", documents: str = DOCUMENTS) -> str:
    main = "  containers:\n  - name: main\n    image: oci:/image\n"
    return documents + POD + textwrap.indent(spec, "  ") + main + textwrap.indent(textwrap.dedent(container), "    ")


def problems(spec: str, container: str = "") -> list[tuple[str, str]]:
    with pytest.raises(ManifestError) as caught:
        loaded(spec, container)
    return [(problem.where, problem.code) for problem in caught.value.problems]


async def spec_of(manifest: PodManifest, config: ImageConfig | None = None) -> PodSpec:
    image = bundle(config or ImageConfig(command=("serve",)))

    async def resolve(_: str) -> ImageBundle:
        return image

    return await pod_spec(manifest, resolve)


def test_variables_come_from_the_pod_and_from_documents() -> None:
    manifest = loaded(
        "",
        """
        resources: {limits: {cpu: 1500m, memory: 64Mi}}
        envFrom:
        - configMapRef: {name: settings}
        - secretRef: {name: login}
          prefix: DB_
        - configMapRef: {name: nowhere, optional: true}
        env:
        - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: PLACE, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}}
        - {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
        - {name: NONE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['x']"}}}
        - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: CPUS, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
        - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
        - {name: WORD, valueFrom: {secretKeyRef: {name: login, key: password}}}
        - {name: LEFT_OUT, valueFrom: {configMapKeyRef: {name: settings, key: none, optional: true}}}
        - {name: level, value: "$(NAME)-$(WORD)-$(DB_user)"}
        """,
    )
    environment = dict(manifest.containers[0].environment)
    assert environment == {
        "level": "pod-hunter2-$(DB_user)",
        "nginx.conf": "daemon off;\n",
        "DB_password": "hunter2",
        "DB_user": "admin",
        "NAME": "pod",
        "PLACE": "place",
        "APP": "web",
        "NONE": "",
        "IP": "127.0.0.1",
        "CPUS": "2",
        "MEMORY": "64",
        "WORD": "hunter2",
    }


@pytest.mark.parametrize(
    ("env", "where", "code"),
    [
        ("{name: A, valueFrom: {configMapKeyRef: {name: gone, key: x}}}", ".configMapKeyRef.name", "unknown-document"),
        ("{name: A, valueFrom: {configMapKeyRef: {name: settings, key: x}}}", ".configMapKeyRef.key", "unknown-key"),
        ("{name: A, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}", ".fieldRef.fieldPath", "invalid-value"),
        (
            "{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}",
            ".resourceFieldRef.resource",
            "invalid-value",
        ),
        ("{name: A, valueFrom: {}}", "", "invalid-value"),
    ],
)  # fmt: skip
def test_a_variable_that_leads_nowhere_is_named(env: str, where: str, code: str) -> None:
    place = f"spec.containers[0].env[0].valueFrom{where}"
    assert problems("", f"env:\n- {env}\n") == [(place, code)]


def test_documents_become_volumes_of_files() -> None:
    manifest = loaded(
        textwrap.dedent("""\
            volumes:
            - {name: all, configMap: {name: settings}}
            - name: some
              secret:
                secretName: login
                defaultMode: 0400
                items: [{key: password, path: in/word}, {key: user, path: name, mode: 0o644}]
            - {name: none, configMap: {name: nowhere, optional: true}}
            - {name: work, emptyDir: {sizeLimit: 5Mi}}
            """),
        """
        volumeMounts:
        - {name: all, mountPath: /etc/nginx.conf, subPath: nginx.conf}
        - {name: some, mountPath: /run/in, subPath: in}
        - {name: work, mountPath: /work}
        """,
    )
    assert manifest.volumes == (
        EmptyDirVolume.of_files("all", [VolumeFile("level", b"debug"), VolumeFile("nginx.conf", b"daemon off;\n")]),
        EmptyDirVolume.of_files("some", [VolumeFile("in/word", b"hunter2", 0o400), VolumeFile("name", b"admin")]),
        EmptyDirVolume.of_files("none", []),
        EmptyDirVolume.disk("work", 5 * 2**20),
    )
    assert manifest.containers[0].mounts[:2] == (
        EmptyDirMount("all", "/etc/nginx.conf", sub_path="nginx.conf"),
        EmptyDirMount("some", "/run/in", sub_path="in"),
    )


def test_a_sub_path_stays_in_its_volume_and_names_a_file_that_there_is() -> None:
    volumes = "volumes: [{name: a, emptyDir: {}}, {name: b, configMap: {name: settings}}]\n"
    mounts = """
    - {name: a, mountPath: /a, subPath: x/../../y}
    - {name: b, mountPath: /b, subPath: nothing}
    - {name: a, mountPath: /c, subPathExpr: "$(NOBODY)/x"}
    - {name: a, mountPath: /d, subPathExpr: x, subPath: y}
    - {name: a, mountPath: /e, mountPropagation: Bidirectional}
    - {name: a, mountPath: /f, recursiveReadOnly: Enabled}
    """
    assert problems(volumes, f"volumeMounts:{mounts}") == [
        ("spec.containers[0].volumeMounts[0].subPath", "invalid-value"),
        ("spec.containers[0].volumeMounts[1].subPath", "invalid-value"),
        ("spec.containers[0].volumeMounts[2].subPathExpr", "unknown-variable"),
        ("spec.containers[0].volumeMounts[3].subPath", "invalid-value"),
        ("spec.containers[0].volumeMounts[4].mountPropagation", "unsupported-value"),
        ("spec.containers[0].volumeMounts[5].recursiveReadOnly", "invalid-value"),
    ]


def test_a_sub_path_may_be_made_of_variables() -> None:
    manifest = loaded(
        "volumes: [{name: a, emptyDir: {}}]\n",
        """
        env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        volumeMounts:
        - {name: a, mountPath: /a, subPathExpr: "logs/$(POD)", readOnly: true, recursiveReadOnly: IfPossible}
        - {name: a, mountPath: /b, subPath: plain/, mountPropagation: None}
        """,
    )
    assert manifest.containers[0].mounts == (
        EmptyDirMount("a", "/a", True, "logs/pod"),
        EmptyDirMount("a", "/b", False, "plain"),
    )


def test_a_host_path_is_read_when_it_is_allowed() -> None:
    text = text_of("volumes: [{name: site, hostPath: {path: /srv/site/, type: DirectoryOrCreate}}]\n")
    manifest = load_manifest(text, "pod.yaml", ["/srv"])
    assert manifest.volumes == (HostPathVolume("site", "/srv/site", HostPathKind.DIRECTORY_OR_CREATE),)
    with pytest.raises(ManifestError, match="--allow-host-path /srv/site"):
        load_manifest(text, "pod.yaml", ["/srv/sites", "/srv/site/below"])


def test_files_of_the_pods_fields_and_of_several_sources() -> None:
    manifest = loaded(
        textwrap.dedent("""\
            volumes:
            - name: facts
              downwardAPI:
                defaultMode: 0444
                items:
                - {path: name, fieldRef: {fieldPath: metadata.name}}
                - {path: all/labels, fieldRef: {fieldPath: metadata.labels}, mode: 0400}
            - name: everything
              projected:
                defaultMode: 0640
                sources:
                - configMap: {name: settings, items: [{key: level, path: a/level}]}
                - secret: {name: login}
                - downwardAPI: {items: [{path: user, fieldRef: {fieldPath: metadata.namespace}}]}
                - configMap: {name: nothing, optional: true}
            """)
    )
    facts, everything = manifest.volumes
    assert isinstance(facts, EmptyDirVolume)
    assert isinstance(everything, EmptyDirVolume)
    assert facts.files == (VolumeFile("name", b"pod", 0o444), VolumeFile("all/labels", b'app="web"', 0o400))
    assert set(everything.files) == {
        VolumeFile("a/level", b"debug", 0o640),
        VolumeFile("password", b"hunter2", 0o640),
        VolumeFile("user", b"place", 0o640),
    }


@pytest.mark.parametrize(
    ("document", "where", "code"),
    [
        ("kind: Secret\nmetadata: {name: a}\ndata: {x: '!'}", "data.x", "invalid-value"),
        ("kind: ConfigMap\nmetadata: {name: a}\ndata: {a/b: x}", 'data["a/b"]', "invalid-value"),
        ("kind: ConfigMap\nmetadata: {name: a}\ndata: {x: 1}", "data.x", "wrong-type"),
        ("kind: ConfigMap\nmetadata: {}\n", "metadata", "missing-field"),
        ("kind: ConfigMap\nmetadata: {name: settings}\n", "manifest", "duplicate-document"),
        ("kind: ConfigMap\nmetadata: {name: a}\nspec: {}", "spec", "unknown-field"),
    ],
)
def test_what_is_wrong_with_a_document_is_told(document: str, where: str, code: str) -> None:
    with pytest.raises(ManifestError) as caught:
        loaded("", documents=f"{DOCUMENTS}apiVersion: v1\n{document}\n---\n")
    assert [(problem.where, problem.code) for problem in caught.value.problems] == [(where, code)]


async def test_the_security_of_the_pod_is_that_of_containers_that_say_nothing_else() -> None:
    manifest = loaded(
        textwrap.dedent("""\
            securityContext:
              runAsUser: 1000
              runAsNonRoot: true
              fsGroup: 3000
              supplementalGroups: [4000, 3000]
              fsGroupChangePolicy: Always
              seccompProfile: {type: RuntimeDefault}
            volumes: [{name: work, emptyDir: {}}]
            initContainers:
            - {name: first, image: "oci:/image", securityContext: {runAsUser: 7}}
            """),
        "securityContext: {runAsGroup: 5, privileged: false, procMount: Default}\n",
    )
    spec = await spec_of(manifest)
    assert [one.process.user for one in (*spec.init_containers, *spec.containers)] == ["7", "1000:5"]
    assert {one.process.additional_gids for one in (*spec.init_containers, *spec.containers)} == {(4000, 3000)}
    assert [volume.group_id for volume in spec.empty_dirs] == [3000]


@pytest.mark.parametrize("user", ["", "0", "root", "app", "0:5"])
async def test_a_container_that_must_not_be_root_has_to_name_its_user_by_number(user: str) -> None:
    manifest = loaded("", "securityContext: {runAsNonRoot: true}\n")
    with pytest.raises(ManifestError) as caught:
        await spec_of(manifest, ImageConfig(command=("x",), user=user))
    assert [(problem.where, problem.code) for problem in caught.value.problems] == [
        ("spec.containers[0].securityContext.runAsNonRoot", "runs-as-root")
    ]
    assert await spec_of(manifest, ImageConfig(command=("x",), user="1000")) is not None


@pytest.mark.parametrize(
    ("context", "name"),
    [
        ("{privileged: true}", "privileged"),
        ("{procMount: Unmasked}", "procMount"),
        ("{seccompProfile: {type: Unconfined}}", "seccompProfile.type"),
    ],
)
def test_what_would_open_a_container_is_refused(context: str, name: str) -> None:
    place = f"spec.containers[0].securityContext.{name}"
    assert problems("", f"securityContext: {context}\n") == [(place, "unsupported-value")]


async def test_init_containers_probes_hooks_and_the_restart_policy_reach_the_spec() -> None:
    manifest = loaded(
        textwrap.dedent("""\
            restartPolicy: OnFailure
            initContainers:
            - {name: one, image: "oci:/image"}
            - {name: two, image: "oci:/image"}
            """),
        """
        startupProbe: {exec: {command: [up]}, failureThreshold: 30}
        livenessProbe: {exec: {command: [live, "1"]}, initialDelaySeconds: 2, periodSeconds: 3, timeoutSeconds: 4}
        readinessProbe: {exec: {command: [ready]}, successThreshold: 2}
        lifecycle:
          postStart: {exec: {command: [began]}}
          preStop: {exec: {command: [sleep, "1"]}}
        """,
    )
    spec = await spec_of(manifest)
    assert [one.id for one in spec.init_containers] == ["one", "two"]
    assert spec.restart_policy is RestartPolicy.ON_FAILURE
    assert spec.containers[0].hooks == Hooks(ExecAction(("began",)), ExecAction(("sleep", "1")))
    assert spec.containers[0].probes == Probes(
        startup=Probe(ExecAction(("up",)), failure_threshold=30),
        liveness=Probe(ExecAction(("live", "1")), initial_delay_seconds=2, period_seconds=3, timeout_seconds=4),
        readiness=Probe(ExecAction(("ready",)), success_threshold=2),
    )


async def test_host_ports_become_forwards_to_the_host_alone_unless_an_address_is_given() -> None:
    spec = await spec_of(
        loaded(
            "",
            """
            ports:
            - {containerPort: 80, hostPort: 8080, name: http, protocol: TCP}
            - {containerPort: 443, hostPort: 8443, hostIP: 0.0.0.0}
            - {containerPort: 9090}
            """,
        )
    )
    assert spec.port_forwards == (PortForward(80, 8080), PortForward(443, 8443, "0.0.0.0"))


async def test_probes_of_ports_by_number_or_by_name_reach_the_spec() -> None:
    manifest = loaded(
        "",
        """
        ports: [{containerPort: 8080, name: http}, {containerPort: 9090}]
        startupProbe: {tcpSocket: {port: http}}
        livenessProbe: {grpc: {port: 9090, service: things}}
        readinessProbe:
          httpGet:
            port: http
            path: ready?deep=1
            scheme: HTTPS
            host: localhost
            httpHeaders: [{name: X-Probe, value: "yes"}, {name: Accept}]
        lifecycle:
          postStart: {httpGet: {port: "8080", path: /began}}
          preStop: {sleep: {seconds: 3}}
        """,
    )
    (spec,) = (await spec_of(manifest)).containers
    headers = (("X-Probe", "yes"), ("Accept", ""))
    assert spec.probes == Probes(
        startup=Probe.tcp_socket(8080),
        liveness=Probe(GrpcAction(9090, "things")),
        readiness=Probe(HttpGetAction(8080, "/ready?deep=1", "HTTPS", "localhost", headers)),
    )
    assert spec.hooks == Hooks(HttpGetAction(8080, "/began"), SleepAction(3))


@pytest.mark.parametrize(
    ("field", "where", "code"),
    [
        ("livenessProbe: {httpGet: {port: web}}", "livenessProbe.httpGet.port", "unknown-port"),
        ("livenessProbe: {httpGet: {port: 65536}}", "livenessProbe.httpGet.port", "invalid-value"),
        ("livenessProbe: {httpGet: {path: /}}", "livenessProbe.httpGet", "missing-field"),
        ("livenessProbe: {httpGet: {port: 80, scheme: http}}", "livenessProbe.httpGet.scheme", "invalid-value"),
        ("livenessProbe: {httpGet: {port: 80, host: a b}}", "livenessProbe.httpGet", "invalid-value"),
        ("livenessProbe: {tcpSocket: {port: x}}", "livenessProbe.tcpSocket.port", "unknown-port"),
        ("livenessProbe: {grpc: {port: 0}}", "livenessProbe.grpc.port", "invalid-value"),
        ("livenessProbe: {tcpSocket: {port: 1}, exec: {command: [x]}}", "livenessProbe", "invalid-value"),
        (
            "livenessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 1}",
            "livenessProbe.terminationGracePeriodSeconds",
            "unsupported-value",
        ),
        (
            "ports: [{containerPort: 1, name: a}, {containerPort: 2, name: a}]",
            "ports[1].name",
            "duplicate-port",
        ),
        ("livenessProbe: {periodSeconds: 1}", "livenessProbe", "missing-field"),
        ("livenessProbe: {exec: {command: []}}", "livenessProbe.exec.command", "invalid-value"),
        ("startupProbe: {exec: {command: [x]}, successThreshold: 2}", "startupProbe.successThreshold", "invalid-value"),
        ("livenessProbe: {exec: {command: [x]}, periodSeconds: 0}", "livenessProbe.periodSeconds", "invalid-value"),
        ("lifecycle: {preStop: {tcpSocket: {port: 1}}}", "lifecycle.preStop.tcpSocket", "unsupported-value"),
        ("lifecycle: {preStop: {sleep: {seconds: -1}}}", "lifecycle.preStop.sleep.seconds", "invalid-value"),
        ("ports: [{containerPort: 80, hostPort: 0}]", "ports[0].hostPort", "invalid-value"),
        ("ports: [{containerPort: 80, hostPort: 80, hostIP: here}]", "ports[0].hostIP", "invalid-value"),
        ("ports: [{containerPort: 80, hostIP: 0.0.0.0}]", "ports[0].hostIP", "invalid-value"),
        ("ports: [{containerPort: 53, hostPort: 53, protocol: UDP}]", "ports[0].protocol", "unsupported-value"),
        ("ports: [{hostPort: 80}]", "ports[0]", "missing-field"),
        ("resources: {requests: {memory: lots}}", "resources.requests.memory", "invalid-value"),
    ],
)
def test_what_is_not_honoured_of_a_field_that_is_known_is_told(field: str, where: str, code: str) -> None:
    assert problems("", f"{field}\n") == [(f"spec.containers[0].{where}", code)]


def test_an_init_container_has_no_probes_unless_it_is_a_sidecar() -> None:
    spec = (
        'initContainers: [{name: a, image: "oci:/x", restartPolicy: OnFailure, livenessProbe: {}},'
        ' {name: main, image: "oci:/x"}]\n'
    )
    assert problems(spec) == [
        ("spec", "duplicate-container"),
        ("spec.initContainers[0].restartPolicy", "invalid-value"),
        ("spec.initContainers[0].livenessProbe", "unknown-field"),
    ]


async def test_a_restartable_init_container_is_a_sidecar_with_probes_and_hooks() -> None:
    manifest = loaded(
        textwrap.dedent("""\
            initContainers:
            - name: proxy
              image: oci:/image
              restartPolicy: Always
              ports: [{containerPort: 15000, name: admin}]
              startupProbe: {tcpSocket: {port: admin}}
              lifecycle: {preStop: {sleep: {seconds: 1}}}
            - {name: one, image: "oci:/image"}
            """)
    )
    sidecar, one = (await spec_of(manifest)).init_containers
    assert (sidecar.is_sidecar, one.is_sidecar) == (True, False)
    assert sidecar.probes.startup == Probe.tcp_socket(15000)
    assert sidecar.hooks == Hooks(None, SleepAction(1))


def test_a_check_tells_what_becomes_of_every_field() -> None:
    reports = check_manifest(
        text_of(
            "restartPolicy: Always\nhostNetwork: true\n",
            "imagePullPolicy: Always\nresources: {requests: {cpu: 1}, limits: {cpu: 1}}\n",
            documents="",
        ),
        "pod.yaml",
    )
    told = {report.where: report.verdict for report in reports}
    assert told["spec.restartPolicy"] == told["spec.containers[0].resources.limits.cpu"] == "honoured"
    assert told["spec.hostNetwork"] == "refused"
    assert told["spec.containers[0].imagePullPolicy"] == "without effect"
    assert told["spec.containers[0].resources.requests.cpu"] == "without effect"
    assert [report.line for report in reports] == sorted(report.line for report in reports)
    assert next(report for report in reports if report.where == "spec.hostNetwork").line == 9
