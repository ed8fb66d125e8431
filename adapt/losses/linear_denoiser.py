"""A linear map from the embedding of a corrupted text to that of the clean one, in closed form.

After the marginalised denoising autoencoder of Chen, Xu, Weinberger & Sha (2012), https://arxiv.org/abs/1206.4683. There the
texts are bags of words, whose corruption has a known mean, and the penalty is on the distance to zero; here corruption is sampled,
and the embeddings are good already, so that the penalty is on the distance to the identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from adapt.inference.encoding import forward
from adapt.job import Job
from adapt.models.bi_encoder import load_encoder

TRUSTED = 10  # texts per dimension; with fewer a map of d · d coefficients is mostly noise
AT_ONCE = 256  # texts between two progress events


def linear_denoiser(corrupted: np.ndarray, clean: np.ndarray, ridge: float) -> np.ndarray:
    """The W, [d, d] in float64, that takes `corrupted` to `clean`, both [n, d]: a ridge regression of what to change.

    Minimised is Σ ‖x W - y‖² + ridge · v · max(n, 10 d) · ‖W - I‖² over the centred rows x and y, v being the mean variance of
    x's d dimensions; `ridge` is above 0. Directions in which corrupted texts hardly differ are left as they are, and few texts
    change little.
    """
    x, y = (rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64) for rows in (corrupted, clean))
    square = x.T @ x / len(x)
    pull = ridge * max(1, TRUSTED * len(square) / len(x)) * np.trace(square) / len(square) * np.eye(len(square))
    return np.linalg.solve(square + pull, x.T @ y / len(x) + pull)


class DenoisedEmbeddings:
    """The model in `folder` with a linear denoiser after it: the target of an encoder for corrupted texts."""

    def __init__(
        self, folder: Path, corrupted: Sequence[list[int]], clean: Sequence[list[int]], ridge: float, precision: str, job: Job
    ):
        """The map is fitted on the token ids of n texts, `corrupted` and `clean`."""
        self.base = load_encoder(folder, precision)
        progress = job.progress("tsdae: linear denoiser", len(corrupted) + len(clean), "texts")

        def vectors(ids: Sequence[list[int]]) -> np.ndarray:
            found = []
            for start in range(0, len(ids), AT_ONCE):
                with torch.inference_mode():
                    found.append(F.normalize(forward(self.base, ids[start : start + AT_ONCE]), dim=1).cpu().numpy())
                progress.advance(len(found[-1]))
            return np.concatenate(found)

        denoiser = linear_denoiser(vectors(corrupted), vectors(clean), ridge)
        self.denoiser = torch.from_numpy(denoiser).float().to(self.base.device)

    @torch.no_grad()
    def __call__(self, ids: Sequence[list[int]]) -> torch.Tensor:
        """Unit vectors [texts, d] without gradients.

        The shift between the means of corrupted and clean vectors is left out: all texts alike would move towards one point.
        """
        return F.normalize(F.normalize(forward(self.base, ids), dim=1) @ self.denoiser, dim=1)
