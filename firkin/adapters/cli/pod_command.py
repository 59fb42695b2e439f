"""`firkin pod run`: all containers of a manifest, until they end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from .detached_start import detach_options, logged, started_and_named
from .interruption import Interrupted, Interruptions
from .machine_options import MachineOptions, chosen_machine, machine_options, tell_build
from .manifest_file import manifest_text
from .pod_end import tell, tell_boot, tell_end, tell_shortage
from .port_option import network_option, port_option, tell_ports
from .services import CliServices, SupervisedStart
from .spawn_timings import tell_timings, told_failure
from .store_choice import StoreChoice, StoreChoiceType

if TYPE_CHECKING:
    from firkin.application.container import Container
    from firkin.application.images import Images
    from firkin.application.pod import Pod
    from firkin.domain.pod_spec import PodSpec
    from firkin.domain.port_forwards import PortForward
    from firkin.domain.process import ExitStatus

_RUN_HELP = """Run all containers of a Kubernetes Pod manifest until they end; `-` reads it from standard input.

\b
  firkin pod run examples/hello-pod.yaml
  firkin pod run -v --store ext4:2GiB pod.yaml
  firkin pod run --vmm qemu --memory 1GiB pod.yaml       in a virtual machine
  firkin pod run --allow-host-path /srv/site pod.yaml      a hostPath volume may show /srv/site and what is below
  firkin pod run -p 8080:80 pod.yaml
  firkin pod run -d pod.yaml                   goes on by itself: firkin ps, firkin logs -f NAME, firkin stop NAME

Each line of output begins with the name of the container that wrote it; what containers write to standard output
and to standard error stays apart. A field of the manifest that firkin does not honour is an error that names it.

Init containers run first, one after the other; what they wrote is shown when the others have started. A container
that ended is started again, with longer and longer pauses, as restartPolicy says: Always where it is absent, as in
Kubernetes. The pod ends when no container will be started again; write restartPolicy: Never for pods that end.
Sidecars (init containers with restartPolicy: Always) run beside the others, keep no pod running, and end last.

Ctrl-C or SIGTERM asks all containers to stop, and kills each after its grace period
(terminationGracePeriodSeconds); a second one kills them at once.

\b
Exit codes: 0 when every container exited with 0; otherwise that of the first container, in the manifest's order,
  that did not (128+N when signal N ended it); 125 when firkin itself failed."""


_allow_host_paths = click.option(
    "--allow-host-path",
    "allow_host_paths",
    type=click.Path(path_type=Path, resolve_path=False),
    callback=lambda context, option, paths: tuple(Path(os.path.abspath(path)) for path in paths),
    multiple=True,
    metavar="PATH",
    help="Let hostPath volumes show PATH of the host, and what is below it (repeatable).",
)


class _RunOptions(NamedTuple):
    """What was asked for on the command line."""

    store: StoreChoice
    machine: MachineOptions
    allow_host_paths: tuple[Path, ...]
    port_forwards: tuple[PortForward, ...]
    network: str
    verbose: bool
    timings: bool


@click.group("pod", help="Run pods from Kubernetes manifests.")
def command() -> None: ...


@machine_options
@command.command("run", help=_RUN_HELP)
@click.option(
    "--store",
    type=StoreChoiceType(),
    default=StoreChoice(),
    help="Kind of store: directory (the default; images stay unpacked for the next pod), or ext4[:SIZE] (its own).",
)
@_allow_host_paths
@port_option
@network_option
@click.option("-v", "--verbose", is_flag=True, help="Tell on standard error what happens and how long it takes.")
@click.option("--timings", is_flag=True, help="Tell on standard error what each stage of the start took.")
@detach_options
@click.argument("manifest", metavar="POD.yaml")
@click.pass_obj
def run(
    services: CliServices,
    store: StoreChoice,
    allow_host_paths: tuple[Path, ...],
    port_forwards: tuple[PortForward, ...],
    network: str,
    verbose: bool,
    timings: bool,
    detach: bool,
    log_max_bytes: int,
    is_removed_at_end: bool,
    manifest: str,
) -> int:
    source = "<stdin>" if manifest == "-" else manifest
    text = manifest_text(manifest, source)
    if timings and detach:
        raise click.UsageError("--timings is for pods that this command waits for: leave -d away.")
    if detach:
        from msgspec.structs import replace

        async def make(images: Images) -> PodSpec:
            vm_config = replace(start.machine.vm_config(), network=network)
            spec = await services.read_pod(text, source, images.resolve, store.spec(), allow_host_paths, vm_config)
            spec = replace(spec, port_forwards=(*spec.port_forwards, *port_forwards))
            return logged(spec, log_max_bytes)

        start = SupervisedStart(
            make, source, is_removed_at_end, store.kind, allow_host_paths=allow_host_paths, machine=chosen_machine()
        )
        return started_and_named(services, start, verbose=True)
    interruptions = Interruptions()
    options = _RunOptions(store, chosen_machine(), allow_host_paths, port_forwards, network, verbose, timings)
    try:
        return asyncio.run(interruptions.run(_run(text, source, options, services, interruptions)))
    except Interrupted as interrupted:
        return interrupted.exit_code


_CHECK_HELP = """Say, field by field, what becomes of a Kubernetes Pod manifest; `-` reads it from standard input.

\b
  firkin pod check pod.yaml
  firkin pod check --json pod.yaml | jq '.[] | select(.verdict == "refused")'

\b
Verdicts: honoured; without effect (accepted, and why it changes nothing); refused (the pod does not run).
Exit codes: 0; 1 when a field is refused; 125 when the file cannot be read. Images are not looked at."""


@command.command("check", help=_CHECK_HELP)
@_allow_host_paths
@click.option("--json", "as_json", is_flag=True, help="Print JSON: [{line, where, verdict, detail}].")
@click.argument("manifest", metavar="POD.yaml")
@click.pass_obj
def check(services: CliServices, allow_host_paths: tuple[Path, ...], as_json: bool, manifest: str) -> int:
    source = "<stdin>" if manifest == "-" else manifest
    text = manifest_text(manifest, source)
    verdicts = services.check_pod(text, source, allow_host_paths)
    if as_json:
        import json

        click.echo(json.dumps([verdict._asdict() for verdict in verdicts], indent=2))
    else:
        width = max((len(verdict.where) for verdict in verdicts), default=0)
        for line, where, verdict, detail in verdicts:
            click.echo(f"{line:>4}  {where:<{width}}  {verdict:<14}  {detail}".rstrip())
    return 1 if any(verdict.verdict == "refused" for verdict in verdicts) else 0


async def _run(
    text: str, source: str, options: _RunOptions, services: CliServices, interruptions: Interruptions
) -> int:
    from msgspec.structs import replace

    from .template_progress import TemplateProgressDisplay

    store, allowed = options.store, options.allow_host_paths
    machine = options.machine
    async with services.open_runtime(
        store=store.kind, allow_host_paths=allowed, machine=machine, progress=tell_build
    ) as runtime:
        vm_config = replace(machine.vm_config(), network=options.network)
        spec = await services.read_pod(text, source, runtime.images.resolve, store.spec(), allowed, vm_config)
        spec = replace(spec, port_forwards=(*spec.port_forwards, *options.port_forwards))
        with TemplateProgressDisplay(plain_lines=True) as display, told_failure(spec.id, options.timings):
            async with runtime.spawn(spec, progress=display) as pod:
                display.close()
                tell_boot(pod, verbose=options.verbose)
                tell_ports(pod, spec.port_forwards, verbose=options.verbose)
                if options.timings:
                    tell_timings(pod)
                if options.verbose:
                    tell(f"pod {pod.id}: {len(pod.containers())} containers run")
                _show_init_outputs(pod)
                statuses = await _ended(pod.containers(), interruptions)
                report = await pod.stop()
                for name, status in statuses.items():
                    tell_shortage(f"container {name}", status)
                outcome = ", ".join(f"{name}: {status}" for name, status in statuses.items())
                tell_end(report, outcome, verbose=options.verbose)
    return next((status.code for status in statuses.values() if not status.success), 0)


def _show_init_outputs(pod: Pod) -> None:
    from .prefixed_output import prefixes

    names = [str(name) for name in pod.init_outputs]
    for number in (1, 2):
        prefix = prefixes(names, number)
        for name, output in pod.init_outputs.items():
            for line in (output.stdout if number == 1 else output.stderr).splitlines(keepends=True):
                click.echo(prefix[name] + line.rstrip(b"\n"), err=number == 2)


async def _ended(containers: tuple[Container, ...], interruptions: Interruptions) -> dict[str, ExitStatus]:
    """Show the output of all containers until each has ended; sidecars are stopped once the others have."""
    main = [container for container in containers if not container.spec.is_sidecar]
    return await interruptions.guarded(
        _shown(containers),
        stop=lambda: asyncio.gather(*(container.stop() for container in main)),
        kill=lambda: asyncio.gather(*(container.kill(signal.SIGKILL) for container in containers)),
    )


async def _shown(containers: tuple[Container, ...]) -> dict[str, ExitStatus]:
    from .prefixed_output import LineWriter, prefixes

    names = [str(container.id) for container in containers]
    writers = LineWriter(1), LineWriter(2)
    prefix = prefixes(names, 1), prefixes(names, 2)
    async with writers[0].writing(), writers[1].writing(), asyncio.TaskGroup() as group:

        async def followed(name: str, container: Container) -> ExitStatus:
            """Show the output of every run of a container; how the last one ended."""
            while True:
                async with asyncio.TaskGroup() as copies:
                    for index, stream in enumerate((container.stdout, container.stderr)):
                        if stream is not None:
                            copies.create_task(writers[index].copy(stream, prefix[index][name]))
                    status = await container.wait()
                if container.killed_because:
                    tell(f"container {name} was stopped: {container.killed_because}")
                if not await container.wait_restarted():
                    return status
                tell(f"container {name} ended ({status}) and was started again, as restartPolicy says")

        followers = {pair: group.create_task(followed(*pair)) for pair in zip(names, containers, strict=True)}
        waits = {name: wait for (name, container), wait in followers.items() if not container.spec.is_sidecar}
        await asyncio.wait(waits.values())
        for container in reversed([one for one in containers if one.spec.is_sidecar]):
            await container.stop()
    return {name: wait.result() for name, wait in waits.items()}
