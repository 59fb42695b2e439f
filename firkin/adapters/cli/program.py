"""The `firkin` program: its commands, and what becomes of errors."""

from __future__ import annotations

import difflib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from .services import CliServices

OWN_FAILURE = 125
BROKEN_PIPE = 128 + 13

# Where each command is, and what the list of commands says of it without loading it.
_COMMANDS = {
    "run": ("run_command", "Run one container in a pod of its own."),
    "pod": ("pod_command", "Run pods from Kubernetes manifests."),
    "ps": ("ps_command", "List the pods that run by themselves."),
    "logs": ("logs_command", "Print what the containers of a pod wrote."),
    "exec": ("exec_command", "Run a further process in a container."),
    "attach": ("attach_command", "Join a container to this terminal."),
    "cp": ("cp_command", "Copy files into and out of a container."),
    "stats": ("stats_command", "Show what containers use."),
    "inspect": ("inspect_command", "Print all that is known of pods."),
    "stop": ("stop_command", "Stop pods."),
    "kill": ("kill_command", "Send a signal to the containers of pods."),
    "wait": ("wait_command", "Wait for the end of pods."),
    "rm": ("rm_command", "Forget pods that have ended."),
    "gc": ("gc_command", "Remove what killed processes of firkin left."),
    "images": ("images_command", "List the images and templates that are kept."),
    "image": ("image_command", "Keep images, and give their space back."),
    "doctor": ("doctor_command", "Say what this machine can do, and mend what is missing."),
    "layer": ("layer_command", "Apply image layers to a directory."),
    "guest": ("guest_command", "Build what virtual machines boot from."),
    "completion": ("completion_command", "Print what a shell needs to complete names."),
    "vminitd": ("vminitd_command", "Run the guest agent by itself."),
}

_HELP = """Run pods: several containers of OCI images in one sandbox, sharing network and volumes.

\b
  firkin doctor                                what this machine can do
  firkin run oci:IMAGES:busybox -- id          one command in a container
  firkin pod run examples/hello-pod.yaml       a pod from its manifest
  firkin run -d --name web oci:IMAGES:nginx    a pod that goes on; firkin logs -f web, firkin stop web

Images are referenced as oci:DIRECTORY[:TAG], an OCI image layout as skopeo, umoci and buildah write it; as
docker-archive:FILE[:NAME], an archive of `docker save`; or as image:NAME, one that `firkin image import` kept.
`firkin COMMAND --help` explains a command, with examples.

\b
Environment: FIRKIN_CONFIG names a TOML file of settings; FIRKIN_STATE_DIR, FIRKIN_RUNTIME_DIR, FIRKIN_STORE,
FIRKIN_VMM, FIRKIN_ACCELERATION, FIRKIN_VSOCK and FIRKIN_KERNEL override it; FIRKIN_DEBUG=1 shows tracebacks of
errors."""


class _LazyCommands(click.Group):
    """Loads a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"{__package__}.{_COMMANDS[cmd_name][0]}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, _COMMANDS)
            guess = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are: {', '.join(_COMMANDS)}."
            ctx.fail(f"No such command {name!r}. {guess}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        services = ctx.find_object(CliServices)
        click.echo(f"firkin {services.version() if services else ''}")
        ctx.exit()


_program = _LazyCommands(
    "firkin",
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_print_version,
            help="Show the version and exit.",
        )
    ],
)


def run_program(arguments: Sequence[str], services: CliServices) -> int:
    """Run a command line and return what the process is to exit with; never lets an error through."""
    try:
        result = _program.main(list(arguments), prog_name="firkin", standalone_mode=False, obj=services)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        error.show()
        return _usage_exit_code(error)
    except click.ClickException as error:
        _print_error(error.format_message())
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 128 + 2
    except Exception as error:
        return _report(error, services)


def _usage_exit_code(error: click.UsageError) -> int:
    # An exit code of `run`, `pod run` and `exec` below 125 is the container's.
    runs_a_pod = error.ctx is not None and error.ctx.command.name in ("run", "exec")
    return OWN_FAILURE if runs_a_pod else error.exit_code


def _report(error: Exception, services: CliServices) -> int:
    from firkin.domain.errors import FirkinError

    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError):
        _drop_what_cannot_be_written()
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE  # whoever read the output went away
    if services.traceback_wanted():
        traceback.print_exception(error)
    if isinstance(error, FirkinError):
        _print_error(str(error))
        return error.exit_code
    if isinstance(error, OSError):
        _print_error(os_error_sentence(error))
        return OWN_FAILURE
    if isinstance(error, UnicodeEncodeError):
        # What goes to a sandbox or a supervisor is UTF-8, which words of a command line need not be.
        _print_error(f"{error.object!r} cannot be written as UTF-8")
        return OWN_FAILURE
    told = f"{type(error).__name__}: {error}".rstrip(": ")
    _print_error(f"unexpected {told}; this is a defect of firkin, FIRKIN_DEBUG=1 shows where it happened")
    return OWN_FAILURE


def _drop_what_cannot_be_written() -> None:
    """Or the interpreter tried to write it once more while it exits, and complained with an exit code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def os_error_sentence(error: OSError) -> str:
    """What the operating system refused, without errno and class name."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _print_error(sentence: str) -> None:
    try:
        click.echo(f"firkin: error: {sentence}", err=True)
    except OSError:
        # Nobody reads standard error any more; the exit code still tells.
        return
