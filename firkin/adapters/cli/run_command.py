"""`firkin run`: one container in a pod of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import click

from .detach_keys import DEFAULT_DETACH_KEYS, DetachKeys, DetachKeysType
from .detached_start import detach_options, started_and_named
from .interruption import Interrupted, Interruptions
from .local_terminal import NoLocalTerminal
from .lost_output import LostOutput
from .machine_options import chosen_machine, machine_options, tell_build
from .options_around_image import OptionsAroundImage
from .pod_end import tell, tell_boot, tell_end, tell_shortage
from .port_option import network_option, port_option, tell_ports
from .run_spec import Detached, RunOptions, run_pod_spec
from .services import CliServices, SupervisedStart
from .size_type import SizeType
from .store_choice import StoreChoice, StoreChoiceType
from .variable_type import VariableType

if TYPE_CHECKING:
    from firkin.application.container import Container
    from firkin.application.images import Images
    from firkin.application.pod import Pod
    from firkin.domain.container_spec import PodContainerSpec
    from firkin.domain.pod_spec import PodSpec
    from firkin.domain.port_forwards import PortForward
    from firkin.domain.process import ExitStatus

    from .template_progress import TemplateProgressDisplay


_HELP = """Run CMD in a new container of IMAGE; without CMD, run what the image says.

Standard input, standard output, standard error and the exit code are those of the command. Options stand before
IMAGE or right after it; everything from the first word of CMD on is the command's.

\b
  firkin run oci:images:busybox -- echo hello
  echo hello | firkin run oci:images:busybox cat
  firkin run -e GREETING=hello -w /tmp -u nobody oci:images:debian -- sh -c 'echo $GREETING; id; pwd'
  firkin run -it oci:images:debian bash                    a shell on this terminal
  firkin run -p 8080:80 oci:images:nginx                   127.0.0.1:8080 leads to the container's port 80
  firkin run -d --name web oci:images:nginx                goes on by itself: firkin logs -f web, firkin stop web
  firkin run --store ext4:2GiB oci:images:debian -- sh     a root filesystem with a hard limit
  firkin run --vmm qemu oci:images:debian -- uname -a      in a virtual machine, on a kernel of its own

The store keeps what the image unpacks to. `directory`, the default here, is the machine's shared store: an image is
unpacked once and every later run starts from that template, within milliseconds. `ext4[:SIZE]` is a filesystem of
the pod's own, 8 GiB unless SIZE says otherwise: its size is a hard limit, and it goes away with the pod. A virtual
machine has an ext4 store always. What it boots from is built at its first run, or by `firkin guest build`.

With -t the command has a terminal of its own, as large as this one: every key, Ctrl-C too, is the command's, and its
standard error is in its output. The detach keys (ctrl-p,ctrl-q) end the attachment: as a pod of `run` does not outlive
it, the command is then stopped as by SIGTERM.

With -d the pod gets a supervisor of its own and goes on when this command and its terminal have ended; its name is
printed once it runs. `firkin ps`, `logs`, `exec`, `attach`, `cp`, `stats`, `stop` and `rm` take that name.

Without -t, Ctrl-C asks the command to stop (with the image's stop signal), and kills it after the grace period; a
second one kills it at once. SIGTERM, SIGHUP and SIGQUIT do the same, with -t too.

\b
Exit codes: those of the command; 128+N when signal N ended it;
  125  firkin itself failed, or output of a command that succeeded was lost, as on a full disk
  126  CMD cannot be executed        127  CMD was not found"""


@machine_options
@click.command("run", cls=OptionsAroundImage, help=_HELP)
@click.option("-e", "--env", "environment", type=VariableType(), multiple=True, help="Set a variable (repeatable).")
@click.option("-w", "--workdir", "working_dir", metavar="DIR", help="Start in DIR instead of the image's.")
@click.option("-u", "--user", metavar="USER", help="Run as name, uid, name:group or uid:gid.")
@click.option("--name", metavar="ID", help="Id of the pod; made up when not given.")
@click.option("--hostname", metavar="NAME", help="Host name that the command sees; the pod's id when not given.")
@click.option(
    "--store",
    type=StoreChoiceType(),
    default=StoreChoice(),
    help="Kind of store: directory (unless configured otherwise), or ext4[:SIZE].",
)
@click.option(
    "--storage-limit",
    "writable_layer_bytes",
    type=SizeType(),
    metavar="SIZE",
    help="What the command may write outside of volumes, for example 100MiB.",
)
@click.option("--platform", metavar="OS/ARCH", help="Take the image for this platform instead of the machine's.")
@click.option(
    "--grace",
    "grace_seconds",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a stop waits before it kills.",
)
@click.option("--init", "has_init", is_flag=True, help="Run the command below an init, which reaps its orphans.")
@click.option(
    "-i", "--interactive", is_flag=True, help="With -d, keep standard input open; else it is always passed on."
)
@click.option("-t", "--tty", is_flag=True, help="Give the command a terminal, joined to this one.")
@click.option(
    "--detach-keys",
    type=DetachKeysType(),
    default=DEFAULT_DETACH_KEYS,
    show_default=True,
    help='With -t, the keys that end the attachment and stop the command; "" for none.',
)
@port_option
@network_option
@click.option("-v", "--verbose", is_flag=True, help="Tell on standard error what happens and how long it takes.")
@detach_options
@click.option(
    "--restart",
    type=click.Choice(("never", "on-failure", "always")),
    default="never",
    show_default=True,
    help="With -d, whether a command that ended is started again.",
)
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(
    services: CliServices,
    image: str,
    command: tuple[str, ...],
    environment: tuple[tuple[str, str], ...],
    working_dir: str | None,
    user: str | None,
    name: str | None,
    hostname: str | None,
    store: StoreChoice,
    writable_layer_bytes: int | None,
    platform: str | None,
    grace_seconds: float,
    verbose: bool,
    has_init: bool,
    interactive: bool,
    tty: bool,
    detach_keys: bytes,
    port_forwards: tuple[PortForward, ...],
    network: str,
    detach: bool,
    log_max_bytes: int,
    is_removed_at_end: bool,
    restart: str,
) -> int:
    detached = Detached(log_max_bytes, is_removed_at_end, restart, interactive) if detach else None
    if not detach and restart != "never":
        raise click.UsageError("--restart is for pods that run by themselves: give -d, too.")
    if tty and not detach and not os.isatty(0):
        raise NoLocalTerminal
    options = RunOptions(
        image,
        command,
        environment,
        working_dir,
        user,
        name,
        hostname,
        store,
        writable_layer_bytes,
        chosen_machine(),
        platform,
        grace_seconds,
        verbose,
        tty,
        detach_keys,
        port_forwards,
        network,
        has_init,
        detached,
    )
    if detached is not None:
        return _start_detached(options, services)
    interruptions = Interruptions()
    try:
        with LostOutput() as lost:
            return lost.exit_code(asyncio.run(interruptions.run(_run(options, services, interruptions))))
    except Interrupted as interrupted:
        return interrupted.exit_code


def _start_detached(options: RunOptions, services: CliServices) -> int:
    from firkin.domain.image import Platform

    async def make(images: Images) -> PodSpec:
        return run_pod_spec(options, await images.resolve(options.image))

    platform = Platform.parse(options.platform) if options.platform else None
    is_removed_at_end = options.detached is not None and options.detached.is_removed_at_end
    start = SupervisedStart(
        make, options.image, is_removed_at_end, options.store.kind, platform, machine=options.machine
    )
    return started_and_named(services, start, verbose=options.verbose)


async def _run(options: RunOptions, services: CliServices, interruptions: Interruptions) -> int:
    from msgspec.structs import replace

    from firkin.domain.image import Platform

    from .template_progress import TemplateProgressDisplay

    platform = Platform.parse(options.platform) if options.platform else None
    async with services.open_runtime(
        store=options.store.kind, platform=platform, machine=options.machine, progress=tell_build
    ) as runtime:
        bundle = await runtime.images.resolve(options.image)
        spec = run_pod_spec(options, bundle)
        with TemplateProgressDisplay(plain_lines=options.verbose) as display:
            # Output of a container on a terminal must not come before that is raw, which follows the progress.
            async with runtime.spawn(replace(spec, containers=()) if options.tty else spec, progress=display) as pod:
                tell_boot(pod, verbose=options.verbose)
                tell_ports(pod, options.port_forwards, verbose=options.verbose)
                run = _run_on_terminal if options.tty else _run_on_streams
                status = await run(pod, spec.containers[0], options, interruptions, display)
                report = await pod.stop()
                tell_shortage("the container", status)
                tell_end(report, str(status), verbose=options.verbose)
    return status.code


async def _run_on_streams(
    pod: Pod,
    spec: PodContainerSpec,
    options: RunOptions,
    interruptions: Interruptions,
    display: TemplateProgressDisplay,
) -> ExitStatus:
    display.close()
    container = pod.container(spec.id)
    if options.verbose:
        tell(f"pod {pod.id}: container runs as process {container.pid} of its sandbox")
    return await _waited(container, options, interruptions)


async def _run_on_terminal(
    pod: Pod,
    spec: PodContainerSpec,
    options: RunOptions,
    interruptions: Interruptions,
    display: TemplateProgressDisplay,
) -> ExitStatus:
    from .local_terminal import LocalTerminal

    is_detached = False

    def detach() -> None:
        nonlocal is_detached
        is_detached = True
        interruptions.request_stop()

    terminal, keys = LocalTerminal(), DetachKeys(options.detach_keys)
    async with pod.begin_container_add(spec) as pending:
        display.close()
        with terminal.raw():
            container = await pod.commit_container_add(await pending.start())
            assert container.stdin is not None
            async with terminal.attached(container.stdin, container.resize, keys, detach):
                status = await _waited(container, options, interruptions)
    if is_detached:
        tell("detached, and the command was stopped")
    return status


async def _waited(container: Container, options: RunOptions, interruptions: Interruptions) -> ExitStatus:
    return await interruptions.guarded(
        container.wait(),
        stop=lambda: container.stop(options.grace_seconds),
        kill=lambda: container.kill(signal.SIGKILL),
    )
