"""A pruned classifier's logits shifted and scaled to the dense model's: a correction of its head, without labels.

Pruning moves all logits together: a candidate may call nearly every row the same class, and still order the rows well.
One scale for all classes and a shift for each give the logits, less their mean over the classes, the mean and the
total variance that the dense model's have on the same text. Written into the head's last layer it costs nothing.

A shift alone harms where logits have shrunk, and where the classes come out as often as from the dense model the
correction fits noise; so it is made only where the shares of the classes differ clearly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from aebert.models.encoder import Encoder
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import HostModel
from aebert.models.packed_sequences import PackedStates, first_tokens

# Standard errors of the difference in a class's share, rows paired.
CLEARLY = 4.0


@dataclass(frozen=True)
class HeadCorrection:
    """``scale`` of all logits, then ``shift`` [classes] added."""

    scale: float
    shift: tuple[float, ...]

    def of_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """``logits`` [rows, classes] as the corrected head gives them."""
        return logits * self.scale + torch.tensor(self.shift, dtype=logits.dtype)

    def of_layer(
        self, weight: npt.NDArray[np.generic], bias: npt.NDArray[np.generic]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The head's last layer, ``weight`` [classes, inputs] and ``bias`` [classes], with the correction in it."""
        scaled = np.asarray(bias, np.float64) * self.scale + np.array(self.shift)
        return (np.asarray(weight, np.float64) * self.scale).astype(np.float32), scaled.astype(np.float32)


def head_correction(dense: torch.Tensor, own: torch.Tensor) -> HeadCorrection | None:
    """What brings the logits of a pruned model to those of the ``dense`` one, both [rows, classes] on the same rows.

    None where classes come out about as often as from the dense model, for regression (one output has no classes), and
    where the correction does not lower the divergence from the dense model.
    """
    if dense.shape[1] < 2 or share_difference(dense, own) < CLEARLY:
        return None
    made = match_moments(dense, own)
    if made is None:
        return None
    return made if _divergence(dense, made.of_logits(own.double())) < _divergence(dense, own) else None


def match_moments(dense: torch.Tensor, own: torch.Tensor) -> HeadCorrection | None:
    """The scale and shifts that give ``own`` [rows, classes] the means and the total variance of ``dense``, both less
    their means over the classes; None where ``own`` does not vary."""
    before, after = dense.double(), own.double()
    before, after = before - before.mean(dim=1, keepdim=True), after - after.mean(dim=1, keepdim=True)
    spread = float(after.var(dim=0).sum())
    if not spread > 0:
        return None
    scale = (float(before.var(dim=0).sum()) / spread) ** 0.5
    shift = before.mean(dim=0) - scale * after.mean(dim=0)
    return HeadCorrection(scale, tuple(shift.tolist()))


def share_difference(dense: torch.Tensor, own: torch.Tensor) -> float:
    """How many standard errors the shares of the classes differ by, of the class that differs most: of the rows that
    one model gives a class and the other does not, the surplus over the root of their number (McNemar)."""
    most = 0.0
    for name in range(dense.shape[1]):
        before, after = dense.argmax(dim=1) == name, own.argmax(dim=1) == name
        flipped = int((before != after).sum())
        if flipped:
            most = max(most, abs(int(after.sum()) - int(before.sum())) / flipped**0.5)
    return most


def text_head_correction(
    host: HostModel, dense: Encoder, pruned: Encoder, embeddings: PackedStates
) -> HeadCorrection | None:
    """``head_correction`` for text whose ``embeddings`` are given; None for a model without a head."""
    if not host.has_classifier:
        return None
    before, after = (_logits(host, encoder, embeddings) for encoder in (dense, pruned))
    return head_correction(before, after)


def _logits(host: HostModel, encoder: Encoder, embeddings: PackedStates) -> torch.Tensor:
    states = encoder_forward(encoder, embeddings)
    return host.logits(states.values[first_tokens(states)][:, None])


def _divergence(dense: torch.Tensor, own: torch.Tensor) -> float:
    left, right = dense.double().log_softmax(dim=1), own.double().log_softmax(dim=1)
    return float((left.exp() * (left - right)).sum(dim=1).mean())
