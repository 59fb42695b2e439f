"""One materialisation per template at a time, outside of any pod."""

from __future__ import annotations

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
        self._owners: dict[tuple[str, Digest], Agent] = {}

    async def ensure(
        self,
        agent: Agent,
        store_identity: str,
        bundle: ImageBundle,
        layout: StoreLayout,
        progress: ProgressCallback | None,
    ) -> TemplateResult:
        """Make the bundle's template of that store, or wait for who makes it.

        Another pod's failure is not this pod's: whoever waited for it then asks its own agent.
        """
        key = (store_identity, bundle.chain_id)
        while self._owners.get(key, agent) is not agent:
            await self._flights.settled(key)
        self._owners[key] = agent
        try:
            return await self._flights.run(key, lambda: agent.ensure_template(bundle, layout, progress))
        finally:
            if not self._flights.is_flying(key):
                self._owners.pop(key, None)
