"""BOIL: only the body adapts; the head is shared by all episodes."""

from __future__ import annotations

import mamlzoo
from mamlzoo import MetaParams, Params, option
from mamlzoo_algorithms.heads import head_of
from mamlzoo_algorithms.part_adapting import PartAdapting


class BOIL(PartAdapting):
    """Body only in the inner loop: the network's body adapts, and its head is shared by all episodes.

    With θ = (body ω, head h),

      ω₀ = ω,   ω_{t+1} = ω_t − α·∂L_S(ω_t, h)/∂ω,   meta-loss(θ) = L_Q(ω_k, h),

    and the meta-gradient is the whole derivative by ω and h. Since the head stands still, an episode can be learned by
    another representation alone: ANIL the other way round. The head is the layer that holds the last parameter, or the
    module that `head` names; the body is all else, and a run says what both are.

    Reference: Oh, Yoo, Kim, Yun, "BOIL: Towards Representation Change for Few-shot Learning", ICLR 2021, section 3.
    """

    name = "boil"
    head: str = option("", "name of the module that stays, as in '4'; empty: the layer of the last parameter")

    def part(self, params: Params) -> Params:
        head = head_of(params, self.head, self.name)
        body = {name: value for name, value in params.items() if name not in head}
        if not body:
            raise mamlzoo.UsageError(
                f"algorithm 'boil' adapts the body, and the head is the whole network: {', '.join(head)}; "
                "choose a network with a layer before it"
            )
        return body

    def remarks(self, meta: MetaParams) -> list[str]:
        body = self.part(meta["network"])
        head = [name for name in meta["network"] if name not in body]
        return [f"the body that adapts: {', '.join(body)}", f"the head that stays: {', '.join(head)}"]
