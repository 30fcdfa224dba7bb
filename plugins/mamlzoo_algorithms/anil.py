"""ANIL: almost no inner loop; only the head adapts."""

from __future__ import annotations

from mamlzoo import MetaParams, Params, option
from mamlzoo_algorithms.heads import head_of
from mamlzoo_algorithms.part_adapting import PartAdapting


class ANIL(PartAdapting):
    """Almost no inner loop: only the network's head adapts, the body is shared by all episodes.

    With θ = (body ω, head h),

      h₀ = h,   h_{t+1} = h_t − α·∂L_S(ω, h_t)/∂h,   meta-loss(θ) = L_Q(ω, h_k),

    and the meta-gradient is the whole derivative by ω and h. The head is the layer that holds the last parameter,
    or the module that `head` names; a run says which parameters these are. (MAML's option `adapts` gives the same, by
    patterns of names and by any inner optimiser.)

    Reference: Raghu, Raghu, Bengio, Vinyals, "Rapid Learning or Feature Reuse? Towards Understanding the
    Effectiveness of MAML", ICLR 2020, section 4.
    """

    name = "anil"
    head: str = option("", "name of the module that adapts, as in '4'; empty: the layer of the last parameter")

    def part(self, params: Params) -> Params:
        return head_of(params, self.head, self.name)

    def remarks(self, meta: MetaParams) -> list[str]:
        return [f"the head that adapts: {', '.join(self.part(meta['network']))}"]
