"""Deliberate bugs in a copy of the adapters in memory, each with the port whose contract has to notice it."""

from __future__ import annotations

import msgspec


class Mutant(msgspec.Struct, frozen=True):
    """One bug: in `module`, `right` is replaced by `wrong`; a contract test with `promise` in its name notices."""

    name: str
    fixture: str
    promise: str
    module: str
    right: str
    wrong: str


MUTANTS = (
    Mutant(
        "leaving a VMM lets the sandbox run",
        "firkin_vmm",
        "a_sandbox_runs_until_it_is_left",
        "vmm",
        'await sandbox.die("left")',
        "pass",
    ),
    Mutant("sandboxes of one pod share their id", "firkin_vmm", "ids_of_their_own", "sandbox", "-{next(_NUMBERS)}", ""),
    Mutant(
        "a cancelled waiter takes the others with it",
        "firkin_vmm",
        "a_cancelled_waiter_leaves_the_sandbox",
        "sandbox",
        "await asyncio.shield(self._ended)",
        "await self._ended",
    ),
    Mutant("stopping twice fails", "firkin_vmm", "twice_is_fine", "sandbox", "if not self._ended.done():", "if True:"),
    Mutant(
        "a promise is broken without a reason",
        "firkin_vmm",
        "every_promise_has_a_name",
        "vmm",
        'reason = "containers',
        'reason = "" and "',
    ),
    Mutant(
        "a store is held for ever",
        "firkin_pod_store",
        "it_opens_again",
        "store",
        "store.holders.discard(pod_id)",
        "pass",
    ),
    Mutant(
        "two pods of one id hold a store",
        "firkin_pod_store",
        "held_once",
        "store",
        "if pod_id in store.holders:",
        "if False:",
    ),
    Mutant(
        "all stores are the same one", "firkin_pod_store", "two_identities", "store", 'f"memory:{path}"', '"memory:"'
    ),
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
        "a platform is not looked at",
        "firkin_image_source",
        "another_platform",
        "images",
        "if not platform.accepts(bundle.platform):",
        "if False:",
    ),
    Mutant(
        "layers come highest first",
        "firkin_image_source",
        "lowest_first",
        "images",
        "chained_layers(blobs, diff_ids)",
        "chained_layers(blobs, diff_ids)[::-1]",
    ),
    Mutant(
        "a digest is not compared",
        "firkin_image_library",
        "another_digest_is_not_removed",
        "image_library",
        "if digest not in (None, self._bundles[found].digest):",
        "if False:",
    ),
    Mutant("any name will do", "firkin_image_library", "what_is_no_name", "image_library", "image_name(name)", "name"),
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
    Mutant(
        "a log begins again when it is opened again",
        "firkin_log_keeper",
        "a_log_goes_on",
        "pod_registry",
        "self._logs.setdefault((pod_id, container_id), _MemoryLog(max_bytes))",
        "self._logs.update({(pod_id, container_id): _MemoryLog(max_bytes)}) or self._logs[pod_id, container_id]",
    ),
    Mutant(
        "a name can be taken twice",
        "firkin_pod_registry",
        "a_name_is_taken",
        "pod_registry",
        "if record.id in self._records:",
        "if False:",
    ),
    Mutant(
        "a pod that runs can be removed",
        "firkin_pod_registry",
        "only_a_pod_that_nobody_runs",
        "pod_registry",
        "if pod_id in self._held:\n            raise",
        "if False:\n            raise",
    ),
)
