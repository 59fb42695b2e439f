"""Requests that tests make."""

from __future__ import annotations

from firkin.domain.process import Stdio, StdioOptions

NO_STREAMS = StdioOptions()
ALL_PIPED = StdioOptions(Stdio.PIPED, Stdio.PIPED, Stdio.PIPED)
OUTPUT_PIPED = StdioOptions(stdout=Stdio.PIPED)
TERMINAL_PIPED = StdioOptions(Stdio.PIPED, Stdio.PIPED)
