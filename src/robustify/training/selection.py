"""Which epoch's weights count and when a training ends, chosen on held-out images alone."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from robustify.training.watch import Seen, Watch, look
from robustify.uncertainty import UncertaintySet

Ending = Literal["catastrophic_overfitting", "patience"]


class Selection:
    """What the held-out images have chosen so far.

    Args:
        watch: how they are looked at, and what follows.
        images: held-out images, uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        uncertainty_set: that the net is trained on.

    Attributes:
        best: the epoch, from 1, of highest accuracy under several steps; the first of several, 0 before any.
        ending: why the training ends before its last epoch; None if it doesn't.

    Raises:
        InputError: if the set is no norm ball and no point.
    """

    def __init__(
        self, watch: Watch, images: Tensor, labels: Tensor, uncertainty_set: UncertaintySet
    ) -> None:
        self.best = 0
        self.ending: Ending | None = None
        self._before_full_radius = 0
        self._watch, self._images, self._labels = watch, images, labels
        self._ball = watch.ball_of(uncertainty_set)
        self._highest = -1.0
        self._weights: dict[str, Tensor] = {}
        self._may_restore = watch.keep == "best" or watch.action == "restore"

    def judge(self, net: nn.Module, epoch: int, *, at_full_radius: bool) -> tuple[Seen, bool]:
        """Look at the net after an epoch; return what was seen and whether it is catastrophic overfitting.

        Args:
            net: the net as it would be stored now.
            epoch: number of the epoch, from 1.
            at_full_radius: whether the whole epoch was trained at the set's full radius. Before that, many
                steps at the full radius leave little, which says nothing; such an epoch ends no training.
        """
        seen = look(net, self._images, self._labels, self._ball, self._watch)
        if seen.pgd_accuracy > self._highest:
            self.best, self._highest = epoch, seen.pgd_accuracy
            if self._may_restore:
                state = net.state_dict()
                self._weights = {name: value.detach().clone() for name, value in state.items()}
        if not at_full_radius:
            self._before_full_radius = epoch
        waited = epoch - max(self.best, self._before_full_radius)
        gap = seen.fgsm_accuracy - seen.pgd_accuracy
        overfits = at_full_radius and gap > self._watch.threshold
        patience = self._watch.patience
        if overfits and self._watch.action != "warn":
            self.ending = "catastrophic_overfitting"
        elif at_full_radius and patience is not None and waited >= patience:
            self.ending = "patience"
        return seen, overfits

    @property
    def restores(self) -> bool:
        """Whether the weights of the best epoch count, rather than the last ones."""
        overfitted = self.ending == "catastrophic_overfitting"
        return self._watch.keep == "best" or (overfitted and self._watch.action == "restore")

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights of the best epoch, by name; none if they can't come to count."""
        return self._weights

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what :meth:`restore` needs: tensors, and the rest as JSON can say it."""
        about = {
            "best": self.best,
            "highest": self._highest,
            "before_full_radius": self._before_full_radius,
            "ending": self.ending,
        }
        return {f"best.{name}": value for name, value in self._weights.items()}, about

    def restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned; ``tensors`` may hold others, too."""
        self.best, self._highest, self.ending = about["best"], about["highest"], about["ending"]
        self._before_full_radius = about["before_full_radius"]
        self._weights = {
            name.removeprefix("best."): tensor.clone()
            for name, tensor in tensors.items()
            if name.startswith("best.")
        }
