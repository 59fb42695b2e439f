"""Deliberate bugs in sandboxes and stores in memory."""

from __future__ import annotations

from .mutant import Mutant

SANDBOX_MUTANTS = (
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
)
