"""What a recipe says of the part that support frames have: dataclasses that describe their keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class TemporalRecipe:
    """Temporal RoI Align.

    Attributes:
        top_k: K, the most similar positions of each support frame
        num_heads: N, groups of channels in the attention; 0: average
        embedding: psi; grouped as in the paper, dense as in the published code
        bias: of the embedding
        logit_scale: factor of the attention's logits
        search: exact, or of large maps coarse-to-fine (docs/operator.md)
    """

    top_k: int
    num_heads: int
    embedding: Literal["grouped", "dense"]
    bias: bool
    logit_scale: float
    search: Literal["exact", "coarse-to-fine"] = field(default="exact", metadata={"since": "0.2"})


@dataclass(frozen=True, kw_only=True)
class DeformableRecipe:
    """Modulated deformable RoI Align on each support frame.

    Attributes:
        num_heads: N, groups of channels in the attention; 0: average
        embedding: psi; grouped as in the paper, dense as in the published code
        bias: of the embedding
        logit_scale: factor of the attention's logits
        hidden: width of the layers that predict offsets and mask
        gamma: scale of the offsets
    """

    name: Literal["deformable"] = "deformable"
    num_heads: int
    embedding: Literal["grouped", "dense"]
    bias: bool
    logit_scale: float
    hidden: int
    gamma: float = 0.1


@dataclass(frozen=True, kw_only=True)
class NonLocalRecipe:
    """Non-Local over all positions of all support maps, after RoIAlign.

    Attributes:
        top_k: K, how many weights of a position are kept; null: all
    """

    name: Literal["non-local"] = "non-local"
    top_k: int | None


def _free(default: Any) -> Any:
    return field(default=default, metadata={"since": "0.2"})


@dataclass(frozen=True, kw_only=True)
class TrainingFreeRecipe:
    """Temporal RoI Align without trained weights, for a detector of single frames.

    Attributes:
        top_k: K, the most similar positions of each support frame
        attention: mean; dot, cosine: psi is the identity; projection: dot over own square
        scale: factor of the attention's logits
        num_heads: N, groups of channels in the attention
        own_weight: how often the target's own features count
        similarity_power: a support frame counts its best similarity to this power
        sharpness_power: the target counts its norm over the supports' to this power
        searched: level of the support frames: own, last (the coarsest), or its name
        searching: levels whose proposals search; null: all
    """

    name: Literal["training-free"] = "training-free"
    top_k: int = _free(4)
    attention: Literal["mean", "dot", "cosine", "projection"] = _free("dot")
    scale: float = _free(0.1)
    num_heads: int = _free(1)
    own_weight: float = _free(1.0)
    similarity_power: float = _free(0.0)
    sharpness_power: float = _free(0.0)
    searched: str = _free("own")
    searching: tuple[str, ...] | None = _free(None)


SupportRecipe = TemporalRecipe | DeformableRecipe | NonLocalRecipe | TrainingFreeRecipe
"""What RoI features take from support frames."""
