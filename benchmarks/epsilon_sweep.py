"""FGSM accuracy at 20 values of ε: our sweep's time against foolbox's and torchattacks'.

Real CIFAR-10 test images, the default net, eval mode, float32 for everyone, batches of 500. A one-step direction
doesn't depend on ε, so Robustify takes one gradient a batch. foolbox (LinfFastGradientAttack with all 20 values in one
call) and torchattacks (FGSM, one attack a value) take one for each ε. The contenders take turns batch by
batch, and everyone profits from what `machine.allocator.keep_freed_memory` sets for the process.

The answers must be equal image by image and ε by ε, or the script ends with an error.

    .venv-peers/bin/python benchmarks/epsilon_sweep.py [--net net.safetensors] [--quick]

"ratio" is the fastest peer's time over ours. --quick takes 500 images.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

import peers
import robustify
from measuring import parser, positive, print_json, print_table, run, seconds_of
from robustify.gradients import input_gradient
from robustify.machine.allocator import keep_freed_memory
from robustify.machine.devices import choose_device, full_precision
from robustify.measurement import epsilon_sweep
from workload import PEERS_MISSING, fresh_net, load_images

EPSILONS = tuple(step * 0.5 / 255 for step in range(1, 21))
BATCH = 500
OURS = "Robustify"

# images, labels -> whether the net is right, bool, shape (ε values, N)
Sweep = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    """Measure, compare the answers, and print the table and the line of JSON."""
    options = _parser().parse_args()
    count = options.images or (500 if options.quick else 10_000)
    keep_freed_memory()
    device = choose_device()
    data = load_images("cifar", train=5000, test=count)
    net = robustify.load_net(options.net) if options.net else fresh_net("cifar", data.train, device)
    net.to(device)
    contenders: dict[str, Sweep] = {OURS: partial(_ours, net), **_peers(net)}
    _warm_up(contenders, net, data.test[:BATCH].to(device), data.test_labels[:BATCH].to(device))
    seconds, right = _take_turns(contenders, data.test, data.test_labels, device)
    differences = {
        name: int((masks != right[OURS]).sum()) for name, masks in right.items() if name != OURS
    }
    _print(seconds, right, differences, count)
    peers_seconds = [seconds[name] for name in differences]
    print_json(
        min(peers_seconds) / seconds[OURS] if peers_seconds else None,
        device,
        images=count,
        epsilons=len(EPSILONS),
        seconds=seconds,
        counts=right[OURS].sum(dim=1).tolist(),
        equal_image_by_image=not any(differences.values()) if differences else None,
    )
    if any(differences.values()):
        raise SystemExit(f"answers that differ from ours: {differences}")


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--net", help="a stored net; the default net's first weights if left out")
    made.add_argument("--images", type=positive, help="test images")
    return made


def _peers(net: nn.Module) -> dict[str, Sweep]:
    made = {"foolbox": _foolbox, "torchattacks": _torchattacks}
    return {name: partial(made[name], net) for name in peers.available() if name in made}


def _ours(net: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    with _recorded(net) as classes:
        shares = epsilon_sweep(net, x, labels, EPSILONS, batch_size=BATCH)
    # before them come passes that only ask what the net gives
    right = torch.stack(classes[-len(EPSILONS) :]) == labels
    if right.sum(dim=1).tolist() != [round(shares[value] * len(labels)) for value in EPSILONS]:
        raise SystemExit("the classes recorded don't add up to the accuracies returned")
    return right


@contextmanager
def _recorded(net: nn.Module) -> Iterator[list[Tensor]]:
    # the sweep returns accuracies only; its forward passes without a graph are those of the attacked images, ε by ε
    classes: list[Tensor] = []

    def note(_: nn.Module, __: tuple[Tensor, ...], logits: Tensor) -> None:
        if not torch.is_grad_enabled():
            classes.append(logits.argmax(dim=1))

    handle = net.register_forward_hook(note)
    try:
        yield classes
    finally:
        handle.remove()


def _foolbox(net: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    import foolbox

    model = foolbox.PyTorchModel(net, bounds=(0, 1))
    attack = foolbox.attacks.LinfFastGradientAttack()
    _, _, success = attack(model, x, labels, epsilons=list(EPSILONS))
    return ~torch.as_tensor(success)


def _torchattacks(net: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    import torchattacks

    right = []
    for epsilon in EPSILONS:
        attacked = torchattacks.FGSM(net, eps=epsilon)(x, labels)
        with torch.no_grad():
            right.append(net(attacked).argmax(dim=1) == labels)
    return torch.stack(right)


def _warm_up(
    contenders: Mapping[str, Sweep], net: nn.Module, images: Tensor, labels: Tensor
) -> None:
    # imports, first calls and the memory of a whole batch belong to nobody's time
    x = _pixels(images)
    input_gradient(net, x, labels)
    for sweep in contenders.values():
        sweep(x[:8], labels[:8])


def _take_turns(
    contenders: Mapping[str, Sweep], images: Tensor, labels: Tensor, device: torch.device
) -> tuple[dict[str, float], dict[str, Tensor]]:
    seconds = dict.fromkeys(contenders, 0.0)
    found: dict[str, list[Tensor]] = {name: [] for name in contenders}
    names = list(contenders)
    for number, (batch, y) in enumerate(zip(images.split(BATCH), labels.split(BATCH), strict=True)):
        x, y = _pixels(batch.to(device)), y.to(device)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            call = _Call(contenders[name], x, y)
            with full_precision():
                seconds[name] += seconds_of(call)
            found[name].append(call.answer)
    return seconds, {name: torch.cat(parts, dim=1) for name, parts in found.items()}


class _Call:
    """A sweep of one batch that keeps its answer."""

    def __init__(self, sweep: Sweep, x: Tensor, labels: Tensor) -> None:
        self._sweep, self._x, self._labels = sweep, x, labels
        self.answer = torch.empty(0)

    def __call__(self) -> None:
        self.answer = self._sweep(self._x, self._labels)


def _pixels(images: Tensor) -> Tensor:
    return images.float().div_(255).contiguous(memory_format=torch.channels_last)


def _print(
    seconds: Mapping[str, float],
    right: Mapping[str, Tensor],
    differences: Mapping[str, int],
    count: int,
) -> None:
    print(f"{count} test images, {len(EPSILONS)} values of ε up to {EPSILONS[-1]:.4f}")
    rows = [
        [
            name,
            taken,
            taken / seconds[OURS],
            int(right[name][0].sum()),
            int(right[name][-1].sum()),
            differences.get(name, "–"),
        ]
        for name, taken in seconds.items()
    ]
    header = [
        "library",
        "seconds",
        "over ours",
        "right, least ε",
        "right, largest ε",
        "differences",
    ]
    print_table(header, rows)
    gone = [name for name in peers.missing() if name != "ART"]
    if gone:
        print(PEERS_MISSING.format(names=", ".join(gone)))


if __name__ == "__main__":
    run(main)
