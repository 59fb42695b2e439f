"""Manifests as people write them for Kubernetes, run for real."""

from __future__ import annotations

from pathlib import Path

import pytest

import firkin
from firkin.errors import InitContainerFailed, ManifestError

from .manifests import manifests, manifests_directory, output_of, until_ready
from .service_manifests import SERVICES

pytestmark = pytest.mark.real_time


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests, so that the images are unpacked once."""
    return manifests_directory(tmp_path_factory)


@pytest.mark.needs_ids
async def test_nginx_with_its_configuration_in_a_config_map(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = SERVICES["nginx"].manifest
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        await until_ready(pod.container("nginx"))
        page = await output_of(pod, "client", "wget", "-qO-", "http://127.0.0.1:8080/index.html")
        assert page == "it works\n"
        assert await output_of(pod, "nginx", "id", "-u") == "33\n"
        refused = await (await pod.container("nginx").exec("touch", "/srv/index.html", user=0)).wait_with_output()
        assert b"Read-only file system" in refused.stderr
        report = await pod.stop()
        assert report.containers[0].status == firkin.ExitStatus(0), report


@pytest.mark.needs_ids
async def test_redis_with_its_password_in_a_secret(directory: Path, services_image: str, busybox_image: str) -> None:
    text = SERVICES["redis"].manifest
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        await until_ready(pod.container("redis"))
        assert await output_of(pod, "redis", "redis-cli", "-a", "hunter2", "set", "key", "value") == "OK\n"
        assert await output_of(pod, "redis", "bash", "-c", "redis-cli -a $PASSWORD get key") == "value\n"
        assert "NOAUTH" in await output_of(pod, "redis", "redis-cli", "get", "key")
        assert await output_of(pod, "redis", "stat", "-c", "%g %a", "/data") == "4242 2777\n"
        assert await output_of(pod, "redis", "bash", "-c", "stat -c %g /data/appendonlydir; id -G") == "4242\n0 4242\n"
        assert 16 * 2**20 > (await pod.empty_dir_usage("data")).used_bytes > 0


async def test_an_init_container_prepares_what_a_sidecar_feeds_to_the_main_one(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: sidecar}
    spec:
      restartPolicy: Never
      volumes: [{name: shared, emptyDir: {medium: Memory}}]
      initContainers:
      - {name: make, image: BUSYBOX, command: [mkfifo, /s/queue], volumeMounts: [{name: shared, mountPath: /s}]}
      - name: fill
        image: BUSYBOX
        command: [sh, -c, "test -p /in/queue && echo first > /in/file && echo filled"]
        volumeMounts: [{name: shared, mountPath: /in}]
      containers:
      - name: main
        image: BUSYBOX
        command: [sh, -c, "cat /data/file; exec cat /data/queue"]
        volumeMounts: [{name: shared, mountPath: /data, readOnly: true}]
      - name: sidecar
        image: BUSYBOX
        command: [sh, -c, "echo second > /out/queue"]
        volumeMounts: [{name: shared, mountPath: /out}]
    """
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert (await pod.wait_container("main")).stdout == b"first\nsecond\n"
        assert {name: output.stdout for name, output in pod.init_outputs.items()} == {"make": b"", "fill": b"filled\n"}


async def test_a_pod_whose_init_container_fails_does_not_start(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: failing}
    spec:
      restartPolicy: Never
      initContainers:
      - {name: check, image: BUSYBOX, command: [sh, -c, "echo no database >&2; exit 3"]}
      containers:
      - {name: main, image: BUSYBOX, command: [sleep, "1000"]}
    """
    async with manifests(directory, services_image, busybox_image) as it:
        with pytest.raises(InitContainerFailed, match="no database") as failed:
            async with it.running(text):
                pass
        assert (failed.value.container_id, failed.value.status) == ("check", "exit code 3")


@pytest.mark.needs_root
async def test_variables_of_every_source(directory: Path, services_image: str, busybox_image: str) -> None:
    text = """
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings}
    data: {LEVEL: debug, COLOUR: blue}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: variables, namespace: place, labels: {tier: front}}
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: BUSYBOX
        command: [sh, -c]
        args: ['echo "$LEVEL $COLOUR $POD $NAMESPACE $TIER $IP $MEMORY $(GREETING)"']
        resources: {limits: {memory: 32Mi}}
        envFrom: [{configMapRef: {name: settings}}]
        env:
        - {name: COLOUR, value: red}
        - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        - {name: TIER, valueFrom: {fieldRef: {fieldPath: "metadata.labels['tier']"}}}
        - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
        - {name: GREETING, value: "hello $(POD)"}
    """
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        line = (await pod.wait_container("main")).stdout.decode()
        assert line == "debug red variables place front 127.0.0.1 32 hello variables\n"


@pytest.mark.needs_ids
async def test_secrets_are_files_of_their_modes_and_groups(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = """
    apiVersion: v1
    kind: Secret
    metadata: {name: keys}
    data: {id: c2VjcmV0, other: eA==}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: secrets}
    spec:
      restartPolicy: Never
      securityContext: {fsGroup: 2000, supplementalGroups: [3000]}
      volumes:
      - {name: keys, secret: {secretName: keys, defaultMode: 0440, items: [{key: id, path: ssh/id}]}}
      containers:
      - name: main
        image: BUSYBOX
        command: [sh, -c, "cat /keys/ssh/id; stat -c ' %a %g' /keys/ssh/id; ls /keys; id -G; echo x > /keys/y"]
        securityContext: {runAsUser: 1000, runAsGroup: 1000}
        volumeMounts: [{name: keys, mountPath: /keys}]
    """
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        output = await pod.wait_container("main")
        assert output.stdout.decode().splitlines() == ["secret 440 2000", "ssh", "1000 2000 3000"]
        assert b"Read-only file system" in output.stderr


async def test_a_container_that_fails_is_started_again_and_one_that_succeeds_is_not(
    directory: Path, services_image: str, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firkin.domain.restarting.FIRST_PAUSE_SECONDS", 0.1)
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: restarts}
    spec:
      restartPolicy: OnFailure
      containers:
      - {name: main, image: BUSYBOX, command: [sh, -c, "echo x >> /runs; test $(wc -l < /runs) = 3"]}
    """
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert (await pod.container("main").wait_finished()).success
        assert pod.container("main").restart_count == 2


async def test_a_container_that_hangs_is_found_by_its_liveness_probe(
    directory: Path, services_image: str, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firkin.domain.restarting.FIRST_PAUSE_SECONDS", 0.1)
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: hangs}
    spec:
      restartPolicy: Always
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: BUSYBOX
        command: [sh, -c, "test -e /again || touch /healthy; touch /again; sleep 1000"]
        livenessProbe:
          exec: {command: [test, -e, /healthy]}
          initialDelaySeconds: 1
          periodSeconds: 1
          failureThreshold: 3
    """
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        container = pod.container("main")
        while await (await container.exec("rm", "/healthy")).wait() != firkin.ExitStatus(0):
            assert container.restart_count == 0
        assert await container.wait_restarted()
        assert container.restart_count == 1


async def test_hooks_run_in_their_container(directory: Path, services_image: str, busybox_image: str) -> None:
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: hooks}
    spec:
      restartPolicy: Never
      volumes: [{name: notes, emptyDir: {}}]
      containers:
      - name: main
        image: BUSYBOX
        command: [sh, -c, "trap 'echo term >> /notes/all; exit 0' TERM; while :; do sleep 0.05; done"]
        lifecycle:
          postStart: {exec: {command: [sh, -c, "echo start >> /notes/all"]}}
          preStop: {exec: {command: [sh, -c, "echo stop >> /notes/all"]}}
        volumeMounts: [{name: notes, mountPath: /notes}]
      - {name: reader, image: BUSYBOX, command: [sleep, "1000"], volumeMounts: [{name: notes, mountPath: /n}]}
    """
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert (await pod.container("main").stop()).success
        assert await output_of(pod, "reader", "cat", "/n/all") == "start\nstop\nterm\n"
        await pod.stop(0)


async def test_names_kernel_settings_and_processes_of_a_pod(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: surroundings}
    spec:
      restartPolicy: Never
      hostname: box
      shareProcessNamespace: true
      terminationGracePeriodSeconds: 0
      hostAliases: [{ip: 10.1.2.3, hostnames: [db]}]
      dnsConfig: {nameservers: [10.0.0.53], searches: [example.org]}
      securityContext: {sysctls: [{name: net.core.somaxconn, value: "1234"}]}
      containers:
      - {name: one, image: BUSYBOX, command: [sleep, "4321"]}
      - {name: two, image: BUSYBOX, command: [sleep, "1000"]}
    """
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert await output_of(pod, "two", "hostname") == "box\n"
        hosts = await output_of(pod, "two", "cat", "/etc/hosts")
        assert ["10.1.2.3", "db"] in [line.split() for line in hosts.splitlines()]
        assert "nameserver 10.0.0.53" in await output_of(pod, "two", "cat", "/etc/resolv.conf")
        assert await output_of(pod, "two", "cat", "/proc/sys/net/core/somaxconn") == "1234\n"
        assert "sleep 4321" in await output_of(pod, "two", "ps", "-o", "args")


@pytest.mark.needs_root
async def test_a_limited_volume_of_a_manifest_is_full_at_its_limit(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: full}
    spec:
      restartPolicy: Never
      volumes: [{name: small, emptyDir: {sizeLimit: 2Mi}}]
      containers:
      - name: main
        image: BUSYBOX
        command: [sh, -c, "dd if=/dev/zero of=/small/file bs=64k 2>&1 | grep -o 'No space left'"]
        volumeMounts: [{name: small, mountPath: /small}]
    """
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert (await pod.wait_container("main")).stdout == b"No space left\n"


async def test_a_manifest_that_asks_for_more_than_there_is_is_refused_before_anything_boots(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: greedy}
    spec:
      restartPolicy: Never
      hostNetwork: true
      volumes: [{name: host, hostPath: {path: /etc}}]
      containers:
      - {name: main, image: BUSYBOX, securityContext: {privileged: true}}
    """
    async with manifests(directory, services_image, busybox_image) as it:
        with pytest.raises(ManifestError) as refused:
            async with it.running(text):
                pass
        assert [problem.where for problem in refused.value.problems] == [
            "spec.hostNetwork",
            "spec.volumes[0].hostPath.path",
            "spec.containers[0].securityContext.privileged",
        ]


async def test_a_container_that_must_not_be_root_is_refused_when_its_image_says_root(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: root}
    spec:
      restartPolicy: Never
      securityContext: {runAsNonRoot: true}
      containers: [{name: main, image: BUSYBOX, command: [id]}]
    """
    async with manifests(directory, services_image, busybox_image) as it:
        with pytest.raises(ManifestError, match="give runAsUser a number other than 0"):
            async with it.running(text):
                pass


async def test_a_sidecar_is_up_before_the_others_and_serves_them_to_their_end(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = """
    apiVersion: v1
    kind: Pod
    metadata: {name: with-sidecar}
    spec:
      restartPolicy: Never
      volumes:
      - {name: pages, emptyDir: {medium: Memory}}
      - {name: logs, emptyDir: {}}
      initContainers:
      - name: write
        image: BUSYBOX
        command: [sh, -c, "mkdir -p /pages/html && echo page > /pages/html/index.html"]
        volumeMounts: [{name: pages, mountPath: /pages}]
      - name: server
        image: BUSYBOX
        restartPolicy: Always
        command: [sh, -c, "trap 'echo bye > /logs/end; exit 0' TERM; sleep 1; httpd -f -p 8080 -h /html & wait"]
        ports: [{name: web, containerPort: 8080}]
        startupProbe: {httpGet: {port: web, path: /index.html}, periodSeconds: 1, failureThreshold: 60}
        volumeMounts:
        - {name: pages, mountPath: /html, subPath: html, readOnly: true}
        - {name: logs, mountPath: /logs, subPathExpr: $(WHO)/logs}
        env: [{name: WHO, value: server}]
      - name: fetch
        image: BUSYBOX
        command: [wget, -qO, /pages/fetched, "http://127.0.0.1:8080/index.html"]
        volumeMounts: [{name: pages, mountPath: /pages}]
      containers:
      - name: main
        image: BUSYBOX
        command: [sh, -c, "cat /pages/fetched; wget -qO- http://127.0.0.1:8080/; cd /logs; find . -type d"]
        volumeMounts: [{name: pages, mountPath: /pages}, {name: logs, mountPath: /logs}]
    """
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert (await pod.wait_container("main")).stdout == b"page\npage\n.\n./server\n./server/logs\n"
        assert pod.container("server").ready
        report = await pod.stop()
        assert [(one.container_id, str(one.status)) for one in report.containers] == [
            ("server", "exit code 0"),
            ("main", "exit code 0"),
        ]


async def test_what_kubernetes_tells_a_pod_of_itself_is_in_its_files(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = """
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings}
    data: {level: debug}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: facts, labels: {app: web, tier: front}}
    spec:
      restartPolicy: Never
      volumes:
      - name: facts
        projected:
          sources:
          - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
          - configMap: {name: settings, items: [{key: level, path: settings/level, mode: 0400}]}
      containers:
      - name: main
        image: BUSYBOX
        command: [sh, -c, "cd /facts; cat labels; echo; cat settings/level; stat -c ' %a' settings/level; touch x"]
        volumeMounts: [{name: facts, mountPath: /facts}]
    """
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        output = await pod.wait_container("main")
        assert output.stdout == b'app="web"\ntier="front"\ndebug 400\n'
        assert b"Read-only file system" in output.stderr
