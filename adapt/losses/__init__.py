"""Training losses on embeddings: as functions of tensors, one file a loss, and as modules for sentence-transformers' trainer.

The modules have the names that they have in sentence-transformers, and are imported when they are used: see `adapt.losses.modules`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapt.losses.modules import (
        DenoisingAutoEncoderLoss,
        MarginMSELoss,
        MatryoshkaLoss,
        MultipleNegativesRankingLoss,
        TripletLoss,
    )
    from adapt.losses.pair_modules import (
        AnglELoss,
        ContrastiveLoss,
        CoSENTLoss,
        CosineSimilarityLoss,
        OnlineContrastiveLoss,
        SoftmaxLoss,
    )

__all__ = [
    "AnglELoss", "CoSENTLoss", "ContrastiveLoss", "CosineSimilarityLoss", "DenoisingAutoEncoderLoss", "MarginMSELoss",
    "MatryoshkaLoss", "MultipleNegativesRankingLoss", "OnlineContrastiveLoss", "SoftmaxLoss", "TripletLoss",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'adapt.losses' has no attribute '{name}'")
    from adapt.losses import modules, pair_modules

    found: object = getattr(modules, name, None) or getattr(pair_modules, name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
