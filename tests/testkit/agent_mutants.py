"""Deliberate bugs in the agent in memory, and in its streams."""

from __future__ import annotations

from .mutant import Mutant

AGENT_MUTANTS = (
    Mutant(
        "an exit code is lost",
        "firkin_agent",
        "an_exit_code_is_told",
        "programs",
        "ExitStatus(await program(self))",
        "ExitStatus(0)",
    ),
    Mutant(
        "a removed container keeps its place",
        "firkin_agent",
        "removing_kills_what_runs",
        "agent",
        "self._overlays.discard(container_id)",
        "pass",
    ),
    Mutant(
        "a volume has no limit", "firkin_agent", "holds_that_much_and_no_more", "agent", "raise StoreFull(path)", "pass"
    ),
    Mutant(
        "a template is made again",
        "firkin_agent",
        "a_template_is_made_once",
        "agent",
        "TemplateResult(created=False)",
        "TemplateResult(created=True)",
    ),
    Mutant(
        "progress stands still", "firkin_agent", "a_template_is_made_once", "agent", "done += layer.size_bytes", "pass"
    ),
    Mutant(
        "a cancelled wait ends the process for all",
        "firkin_agent",
        "a_cancelled_waiter_leaves_the_process",
        "agent",
        "await asyncio.shield(process.exit)",
        "await process.exit",
    ),
    Mutant(
        "a signal is lost",
        "firkin_agent",
        "many_wait_for_one_process",
        "programs",
        "self._signal = signal\n        self._task.cancel()",
        "self._signal = signals.SIGTERM\n        self._task.cancel()",
    ),
    Mutant(
        "bytes are lost when somebody reads",
        "firkin_streams",
        "every_byte_arrives",
        "pipes",
        "del self._bytes[:max_bytes]",
        "self._bytes.clear()",
    ),
    Mutant(
        "an agent claims what it refuses",
        "firkin_agent",
        "processes_are_listed",
        "agent_statistics",
        "if container_id not in {",
        "if (self._call, _refuse())[1] and container_id not in {",
    ),
    Mutant(
        "a plain process has a terminal",
        "firkin_agent",
        "without_a_terminal",
        "agent",
        "raise NoTerminal(ref.process_id)",
        "pass",
    ),
    Mutant(
        "an ended sandbox is connected to",
        "firkin_agent",
        "nobody_connects_to",
        "connector",
        "if sandbox.ended is not None:",
        "if False:",
    ),
    Mutant(
        "calls after the end of the sandbox succeed",
        "firkin_agent",
        "the_end_of_the_sandbox_ends_a_pending_wait",
        "agent",
        "raise SandboxDied(",
        "SandboxDied(",
    ),
    Mutant(
        "events never end",
        "firkin_agent",
        "the_end_of_the_sandbox_ends_the_stream",
        "agent_events",
        "raise SandboxDied(",
        "SandboxDied(",
    ),
    Mutant(
        "a copy belongs to the wrong one",
        "firkin_agent",
        "whose_the_copy_is",
        "files",
        "owned(entry, owner)",
        "owned(entry, None)",
    ),
    Mutant(
        "a writer is not told that the reader left",
        "firkin_streams",
        "a_reader_that_has_left",
        "pipes",
        "raise BrokenPipeError",
        "return",
    ),
    Mutant(
        "a pipe has no bounds",
        "firkin_streams",
        "a_writer_waits",
        "pipes",
        "capacity_bytes: int = 65536",
        "capacity_bytes: int = 2**40",
    ),
    Mutant(
        "a port answers after its program has ended",
        "firkin_agent",
        "a_port_is_asked",
        "agent_network",
        "running = (process for process in self._processes.values() if not process.exit.done())\n            answer",
        "running = self.__dict__.setdefault('ever', [])\n"
        "            running += self._processes.values()\n            answer",
    ),
    Mutant(
        "a forwarded port listens on",
        "firkin_agent",
        "a_port_of_the_host_leads_into_the_pod",
        "agent_network",
        "stack.callback(server.close)",
        "pass",
    ),
    Mutant(
        "a connection that nobody takes is answered",
        "firkin_agent",
        "a_connection_that_nobody_in_the_pod_takes",
        "agent_network",
        "writer.close()\n            else:",
        "writer.write(b'?'), writer.close()\n            else:",
    ),
    Mutant(
        "a stage is not told",
        "firkin_agent",
        "what_its_stages_took",
        "agent",
        "stages.total_seconds, stages.seconds",
        "stages.total_seconds, {}",
    ),
)
