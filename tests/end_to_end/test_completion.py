"""`firkin completion`, by the shells themselves: their parsers, and words that they complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .command import Command
from .terminal import program_on_terminal

_SECONDS = 60
_CHECKS = {"bash": ("bash", "-n"), "zsh": ("zsh", "-f", "-n"), "fish": ("fish", "--no-config", "--no-execute")}


@pytest.fixture(params=sorted(_CHECKS))
def shell(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    assert shutil.which(name) is not None, f"run `apt-get install {name}`"
    return name


@pytest.fixture
def pod(firkin: Command, busybox_image: str) -> Iterator[str]:
    """The name of a pod that is kept."""
    assert firkin.run("run", "-d", "--name", "completed", busybox_image, "true").code == 0
    yield "completed"
    assert firkin.run("rm", "-f", "completed").code == 0


def _environment(firkin: Command, home: Path) -> dict[str, str]:
    """A user's who has `firkin` in his PATH, and no settings of his own."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return firkin.environment({"HOME": str(home), "PATH": path, "TERM": "dumb"})


def _script(firkin: Command, shell: str, directory: Path) -> Path:
    path = directory / f"completion.{shell}"
    done = firkin.run("completion", shell)
    assert done.code == 0, done.stderr
    path.write_bytes(done.stdout)
    return path


def test_a_shell_reads_what_is_there_for_it(firkin: Command, shell: str, tmp_path: Path) -> None:
    check = (*_CHECKS[shell], str(_script(firkin, shell, tmp_path)))
    done = subprocess.run(
        check, env=_environment(firkin, tmp_path), capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_shell_completes_commands_and_names_of_pods(firkin: Command, shell: str, pod: str, tmp_path: Path) -> None:
    complete = _COMPLETE[shell]
    script, environment = _script(firkin, shell, tmp_path), _environment(firkin, tmp_path)
    assert complete(script, "firkin insp", environment) == "firkin inspect"
    assert complete(script, f"firkin logs {pod[:3]}", environment) == f"firkin logs {pod}"


def _by_bash(script: Path, line: str, environment: dict[str, str]) -> str:
    # What its line editor does: it runs the function that `complete` has named, on the line's words.
    program = """
    source "$1"; read -r -a COMP_WORDS <<< "$2"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    [[ $(complete -p firkin) =~ -F\\ ([^ ]+) ]]
    ${BASH_REMATCH[1]} firkin "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "${COMP_WORDS[@]:0:COMP_CWORD} ${COMPREPLY[@]}"
    """
    return _output(("bash", "--norc", "-c", program, "bash", str(script), line), environment)


def _by_fish(script: Path, line: str, environment: dict[str, str]) -> str:
    program = f"source {script}; complete --do-complete '{line}'"
    word, _, _ = _output(("fish", "--no-config", "-c", program), environment).partition("\t")
    return f"{line.rpartition(' ')[0]} {word}"


def _output(command: tuple[str, ...], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.rstrip("\n")


def _by_zsh(script: Path, line: str, environment: dict[str, str]) -> str:
    # It completes in its line editor alone: ctrl-x shows the line that the tabulator has made.
    prepared = (
        f"autoload -U compinit && compinit -u -D && source {script}",
        "show() { print -r -- \"<$BUFFER>\" }; zle -N show; bindkey '^X' show; bindkey '^I' complete-word",
        "PS1='re''ady '",
    )
    with program_on_terminal(environment, "zsh", "-f", "-i") as terminal:
        for command in prepared:
            terminal.type(command.encode() + b"\r")
        terminal.until(b"ready ")
        terminal.type(line.encode() + b"\t\x18")
        terminal.until(b"<")
        completed = terminal.until(b">").removesuffix(b">").decode()
        terminal.type(b"\x15exit\r")
        assert terminal.ended()[0] == 0
    return completed.rstrip(" ")


_COMPLETE: dict[str, Callable[[Path, str, dict[str, str]], str]] = {
    "bash": _by_bash,
    "fish": _by_fish,
    "zsh": _by_zsh,
}
