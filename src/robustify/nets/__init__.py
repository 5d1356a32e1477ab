"""Nets, by name. Each maps images in [0, 1], shape (N, C, H, W), to logits, shape (N, 10).

A net is one file here and one line in ``NETS``.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn

from robustify.errors import InputError
from robustify.nets.airbench import AirbenchNet
from robustify.nets.fully_connected import FullyConnected
from robustify.nets.mnist_convnet import MnistConvnet
from robustify.nets.preact_resnet import PreactResNet
from robustify.nets.vgg import VGG

_global_generator = threading.Lock()

NETS: dict[str, type[nn.Module]] = {
    "mnist_convnet": MnistConvnet,
    "airbench": AirbenchNet,
    "vgg": VGG,
    "preact_resnet": PreactResNet,
    "fully_connected": FullyConnected,
}


def make_net(name: str, **options: Any) -> nn.Module:
    """Return the net of that name with its default initialisation.

    An option that is None counts as left out, so that one configuration can drop what it inherits
    from another.

    Raises:
        ValueError: for an unknown name or an option the net doesn't have.
    """
    if not isinstance(name, str) or name not in NETS:
        raise InputError(f"net {name!r} is unknown; known: {', '.join(NETS)}")
    try:
        return NETS[name](**{key: value for key, value in options.items() if value is not None})
    except InputError:
        raise
    except (TypeError, ValueError, RuntimeError, OverflowError, LookupError) as error:
        # PyTorch adds its own stack
        reason = str(error).partition("\n")[0]
        raise InputError(f"net {name!r} with options {f'{options}':.200}: {reason}") from error


def initialise(net: nn.Module, images: Tensor, generator: torch.Generator) -> None:
    """Draw the net's first weights from ``generator``, and from the training images where it asks for them.

    Args:
        net: a net made by :func:`make_net`.
        images: training images, uint8, shape (N, C, H, W).
        generator: a CPU generator; the only source of randomness.
    """
    # the layers' own initialisers draw from the global generator: one net at a time
    with _global_generator, torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed every GPU, too, for good
        torch.default_generator.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        for module in net.modules():
            reset_parameters = getattr(module, "reset_parameters", None)
            if reset_parameters is not None:
                reset_parameters()
        prepare = getattr(net, "prepare", None)
        if prepare is not None:
            prepare(images)
