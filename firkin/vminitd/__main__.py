"""`python -m firkin.vminitd`: the guest agent."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .options import parsed_options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent until it is told to end; returns its exit code."""
    options = parsed_options(sys.argv[1:] if arguments is None else arguments)
    # After the options, so that a mistake in them is told at once.
    from .server import run_agent

    return run_agent(options)


if __name__ == "__main__":
    sys.exit(main())
