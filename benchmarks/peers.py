"""One-step l∞ attacks of foolbox, torchattacks and the Adversarial Robustness Toolbox (ART), as maximisers.

A training loop around a peer is Algorithm 1 with the peer's attack as its ascent step. What surrounds the
attack is Robustify's own loop for all of them, so that only the ascent step differs; a loop
written by hand would be slower still. Each attack is called as its documentation shows, net in eval mode.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustify.maximisers import Maximiser
from robustify.uncertainty import UncertaintySet

MODULES = {"foolbox": "foolbox", "torchattacks": "torchattacks", "ART": "art"}

Attack = Callable[[Tensor, Tensor], Tensor]


def available() -> list[str]:
    """Return the peers that this environment has."""
    return [name for name, module in MODULES.items() if find_spec(module)]


def missing() -> list[str]:
    """Return the peers that this environment doesn't have."""
    return [name for name in MODULES if name not in available()]


class PeerAscent(Maximiser):
    """A peer's FGSM in the place of our ascent step.

    Args:
        peer: ``foolbox``, ``torchattacks`` or ``ART``.
    """

    name = "peer"

    def __init__(self, peer: str) -> None:
        self._make = ATTACKS[peer]
        self._attack: Attack | None = None

    def maximise(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        if self._attack is None:
            self._attack = self._make(net, uncertainty_set.radius, tuple(x.shape[1:]))
        worst = self._attack(x, labels)
        # some of them leave gradients on the weights
        net.zero_grad(set_to_none=True)
        return worst.detach()


def _foolbox(net: nn.Module, epsilon: float, shape: tuple[int, ...]) -> Attack:
    import foolbox

    model = foolbox.PyTorchModel(net.eval(), bounds=(0, 1))
    attack = foolbox.attacks.LinfFastGradientAttack()

    def run(x: Tensor, labels: Tensor) -> Tensor:
        adversarial: Tensor = attack.run(model, x, labels, epsilon=epsilon)
        return adversarial

    return run


def _torchattacks(net: nn.Module, epsilon: float, shape: tuple[int, ...]) -> Attack:
    import torchattacks

    attack: Attack = torchattacks.FGSM(net, eps=epsilon)
    return attack


def _art(net: nn.Module, epsilon: float, shape: tuple[int, ...]) -> Attack:
    from art.attacks.evasion import FastGradientMethod
    from art.estimators.classification import PyTorchClassifier

    device = next(net.parameters()).device
    classifier = PyTorchClassifier(
        net,
        loss=nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="gpu" if device.type == "cuda" else "cpu",
    )
    attack: Any = FastGradientMethod(classifier, eps=epsilon, batch_size=ART_BATCH)

    def run(x: Tensor, labels: Tensor) -> Tensor:
        made = attack.generate(x.cpu().numpy(), labels.cpu().numpy())
        return torch.from_numpy(np.ascontiguousarray(made)).to(device)

    return run


# larger than any batch here: ART's own default of 32 images a pass would be slower
ART_BATCH = 4096
ATTACKS: dict[str, Callable[[nn.Module, float, tuple[int, ...]], Attack]] = {
    "foolbox": _foolbox,
    "torchattacks": _torchattacks,
    "ART": _art,
}
