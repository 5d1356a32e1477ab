from __future__ import annotations

import torch

from robustify.measurement.transfer import transfer_matrix
from robustify.significance import mcnemar
from robustify.uncertainty import L2Ball

from ..conftest import LinearNet


def nets_and_images() -> tuple[dict[str, LinearNet], torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    nets = {name: LinearNet(12, 4).eval() for name in ("one", "two")}
    nets["twin"] = LinearNet(12, 4).eval()
    nets["twin"].load_state_dict(nets["one"].state_dict())
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (80, 3, 2, 2), generator=generator).to(torch.uint8)
    return nets, images, nets["one"](images.float() / 255).argmax(dim=1)


def test_rows_are_sources_and_columns_are_tried() -> None:
    nets, images, labels = nets_and_images()
    ball = L2Ball(radius=0.3)
    found = transfer_matrix(nets, images, labels, "l2", ball)
    assert {row: set(columns) for row, columns in found.items()} == {
        name: set(nets) - {name} for name in nets
    }
    # by hand: the step on "one", where it succeeds
    x = (images.float() / 255).requires_grad_()
    torch.nn.functional.cross_entropy(nets["one"](x), labels, reduction="sum").backward()
    worst = x.detach() + ball.steepest_ascent(x.grad, x.detach())
    fooled = nets["one"](worst).argmax(dim=1) != labels
    assert 0 < int(fooled.sum()) < 80
    cell = found["one"]["two"]
    before = nets["two"](x.detach()[fooled]).argmax(dim=1) == labels[fooled]
    after = nets["two"](worst[fooled]).argmax(dim=1) == labels[fooled]
    assert cell["examples"] == int(fooled.sum())
    assert cell["accuracy"] == float(after.double().mean())
    assert cell["original_accuracy"] == float(before.double().mean())
    counts = int((before & ~after).sum()), int((after & ~before).sum())
    assert (cell["fooled"], cell["mended"]) == counts
    assert cell["p_value"] == mcnemar(*counts)
    # the same weights fall for the same examples
    assert found["one"]["twin"]["accuracy"] == 0
    assert found["one"]["twin"]["original_accuracy"] == 1


def test_a_net_that_never_falls_has_no_examples() -> None:
    nets, images, labels = nets_and_images()
    found = transfer_matrix(nets, images, labels, "l2", L2Ball(radius=1e-9))
    assert found["one"]["two"]["examples"] == 0
    assert found["one"]["two"]["accuracy"] is None
