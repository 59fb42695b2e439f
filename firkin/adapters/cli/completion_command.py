"""`firkin completion`: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_HELP = """Print what SHELL needs to complete firkin's commands, options, and names of pods and containers.

\b
  firkin completion bash > /etc/bash_completion.d/firkin
  eval "$(firkin completion zsh)"                                in ~/.zshrc
  firkin completion fish > ~/.config/fish/completions/firkin.fish"""

_VARIABLE = "_FIRKIN_COMPLETE"
"""What click looks for in the environment of the command `firkin`."""


@click.command("completion", help=_HELP)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells that can be chosen"
    click.echo(kind(ctx.find_root().command, {}, "firkin", _VARIABLE).source())
