"""One materialisation per template at a time, outside of any pod."""

from __future__ import annotations

import asyncio

from firkin.domain.digest import Digest
from firkin.domain.image import ImageBundle
from firkin.domain.layout import StoreLayout
from firkin.ports.agent import Agent
from firkin.ports.agent_templates import ProgressCallback, TemplateResult

from .single_flight import SingleFlight
from .task_scope import TaskScope


class Templates:
    """Keeps two pods, or two containers of one pod, from writing the same template of the same store."""

    def __init__(self, scope: TaskScope) -> None:
        self._flights: SingleFlight[tuple[str, Digest], TemplateResult] = SingleFlight(scope)
        self._owners: dict[tuple[str, Digest], tuple[Agent, tuple[str, Digest]]] = {}

    async def ensure(
        self,
        agent: Agent,
        store_identity: str,
        bundle: ImageBundle,
        layout: StoreLayout,
        progress: ProgressCallback | None,
    ) -> TemplateResult:
        """Make the bundle's template of that store, or wait for who makes it.

        Images of the same lowest layer take turns, so that what they share is made once. Another pod's failure is
        not this pod's: whoever waited for it then asks its own agent.
        """
        shared = (store_identity, bundle.layers[0].chain_id if bundle.layers else bundle.chain_id)
        key = (store_identity, bundle.chain_id)
        while self._owners.get(shared, (agent, key)) != (agent, key):
            await self._flights.settled(self._owners[shared][1])
            # One that was called off may still be ending.
            await asyncio.sleep(0)
        self._owners[shared] = (agent, key)
        try:
            return await self._flights.run(key, lambda: agent.ensure_template(bundle, layout, progress))
        finally:
            if not self._flights.is_flying(key) and self._owners.get(shared) == (agent, key):
                del self._owners[shared]
