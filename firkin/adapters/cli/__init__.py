"""The command line: one file per command, loaded when the command is used."""

from .program import run_program as run_program
from .services import CliServices as CliServices
