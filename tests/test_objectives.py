from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from robustify.errors import InputError
from robustify.maximisers import make_maximiser
from robustify.nets import make_net
from robustify.objectives import OBJECTIVES, Objective, make_objective
from robustify.objectives.operator_norm import operator_norms
from robustify.objectives.penalised import Penalised
from robustify.objectives.virtual_adversarial import _curvature_product
from robustify.training import train
from robustify.training.recipe import Recipe
from robustify.uncertainty import make_uncertainty_set

from .conftest import LinearNet

LINF = {"name": "linf", "radius": 0.1}
POINT = {"name": "point"}


def make(name: str, uncertainty_set: dict[str, Any] = POINT, **options: Any) -> Objective:
    return make_objective(
        name,
        uncertainty_set=make_uncertainty_set(**uncertainty_set),
        maximiser=make_maximiser(),
        **options,
    )


def value(objective: Objective, net: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    generator = torch.Generator().manual_seed(0)
    return float(objective(net, x, labels, generator=generator).detach())


def penalty(objective: Objective, net: nn.Module, x: torch.Tensor) -> float:
    """The penalty alone, in double precision: losses are float32."""
    assert isinstance(objective, Penalised)
    return float(objective.penalty(net, x, torch.Generator().manual_seed(0)).detach())


def smooth_net() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Tanh(), nn.Linear(7, 4)).double()


def bases_of(count: int, planes: int = 3, dimensions: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    drawn = torch.randn(count, dimensions, planes, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(drawn).Q.transpose(1, 2)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = 0.3 + 0.4 * torch.rand(8, 3, 2, 2, generator=generator, dtype=torch.float64)
    return x, torch.tensor([0, 1, 2, 3] * 2)


def test_the_worst_case_of_a_linear_net_on_linf_is_its_margin_less_epsilon_times_the_l1_norm() -> (
    None
):
    torch.manual_seed(0)
    net = LinearNet(12, 2).double()
    x = 0.3 + 0.4 * torch.rand(6, 12, dtype=torch.float64)
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    slope = (net.linear.weight[1] - net.linear.weight[0]).detach()
    offset = (net.linear.bias[1] - net.linear.bias[0]).detach()
    margin = (2 * labels - 1) * (x @ slope + offset)
    expected = functional.softplus(-(margin - 0.1 * slope.abs().sum())).mean()
    assert value(make("worst_case", LINF), net, x, labels) == pytest.approx(
        float(expected), rel=1e-6
    )


def test_the_mixed_loss_lies_between_the_clean_and_the_worst_one(
    linear_net: LinearNet,
) -> None:
    x, labels = torch.rand(8, 12), torch.tensor([0, 1, 2, 3] * 2)
    clean = float(functional.cross_entropy(linear_net(x), labels).detach())
    worst = value(make("worst_case", LINF), linear_net, x, labels)
    assert worst > clean
    for alpha in (0.0, 0.3, 1.0):
        mixed = value(make("mixed", LINF, alpha=alpha), linear_net, x, labels)
        assert mixed == pytest.approx(alpha * clean + (1 - alpha) * worst, rel=1e-6)
    assert value(make("mixed", LINF, alpha=0.0), linear_net, x, labels) == worst
    assert value(make("mixed", POINT, alpha=0.5), linear_net, x, labels) == clean


def test_vats_product_is_the_divergences_hessian(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    net, (x, _) = smooth_net(), batch
    direction = torch.randn_like(x)
    for row in range(3):
        at = x[row : row + 1]
        fixed = net(at).log_softmax(1).detach()

        def divergence(
            moved: torch.Tensor, at: torch.Tensor = at, fixed: torch.Tensor = fixed
        ) -> torch.Tensor:
            shifted = net(at + moved.view_as(at)).log_softmax(1)
            return functional.kl_div(shifted, fixed, log_target=True, reduction="sum")

        hessian = torch.autograd.functional.hessian(divergence, torch.zeros(12).double())
        expected = hessian @ direction[row].flatten()
        got = _curvature_product(net, x, direction)[row].flatten()
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-9)


def test_vat_finds_the_curvatures_leading_direction_and_its_divergence(
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    torch.manual_seed(0)
    net, (x, labels) = LinearNet(12, 4).double(), batch
    weight = net.linear.weight.detach()
    radius = 0.02
    vat = make("vat", {"name": "l2", "radius": radius}, beta=2.0, power_iterations=200)
    direction = vat.direction(net, x, torch.Generator().manual_seed(0)).flatten(1)  # type: ignore[attr-defined]
    leading = []
    for row, p in enumerate(net(x).softmax(1).detach()):
        values, vectors = torch.linalg.eigh(weight.T @ (p.diag() - p.outer(p)) @ weight)
        cosine = vectors[:, -1] @ direction[row] / direction[row].norm()
        assert abs(float(cosine)) == pytest.approx(1, abs=1e-4)
        leading.append(float(values[-1]))
    clean = float(functional.cross_entropy(net(x), labels).detach())
    expected = clean + 2.0 * 0.5 * radius**2 * sum(leading) / len(leading)
    found = value(vat, net, x, labels)
    assert (found - clean) / (expected - clean) == pytest.approx(1, rel=3e-2)


def test_vats_divergence_does_not_look_at_labels(linear_net: LinearNet) -> None:
    x = torch.rand(6, 12)
    vat = make("vat", {"name": "l2", "radius": 0.5}, beta=3.0)
    parts = []
    for labels in (torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([3, 3, 1, 0, 2, 2])):
        clean = float(functional.cross_entropy(linear_net(x), labels).detach())
        parts.append(value(vat, linear_net, x, labels) - clean)
    assert parts[0] > 1e-3
    assert parts[0] == pytest.approx(parts[1], rel=1e-4)


def softmax_jacobians(net: LinearNet, x: torch.Tensor) -> torch.Tensor:
    """(diag p − p pᵀ) W of each example."""
    p = net(x).softmax(dim=1).detach()
    return (torch.diag_embed(p) - p[:, :, None] * p[:, None]) @ net.linear.weight.detach()


def test_the_jacobian_penalty_of_a_linear_net(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    torch.manual_seed(0)
    net, (x, _) = LinearNet(12, 4).double(), batch
    probabilities = float(softmax_jacobians(net, x).square().sum((1, 2)).mean())
    logits = float(net.linear.weight.detach().square().sum())
    for output, expected in (("probabilities", probabilities), ("logits", logits)):
        for projections, tolerance in ((None, 1e-9), (2000, 0.05)):
            objective = make("jacobian", output=output, projections=projections)
            assert penalty(objective, net, x) == pytest.approx(expected, rel=tolerance)


class Prior(nn.Module):
    """Answers every image alike."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([1.0, 0.0, -1.0, 2.0], dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(x), -1)


@pytest.mark.parametrize(
    ("name", "uncertainty_set", "options"),
    [
        ("jacobian", POINT, {"projections": None}),
        ("jacobian", POINT, {"projections": 2, "output": "logits"}),
        ("manifold_tangent", POINT, {"projections": None}),
        ("manifold_tangent", POINT, {"projections": 2}),
        ("vat", {"name": "l2", "radius": 0.5}, {}),
    ],
)
def test_a_net_that_looks_at_nothing_has_no_slopes(
    batch: tuple[torch.Tensor, torch.Tensor],
    name: str,
    uncertainty_set: dict[str, Any],
    options: dict[str, Any],
) -> None:
    x, labels = batch
    if name == "manifold_tangent":
        options = {**options, "bases": lambda rows: bases_of(20)[rows]}
    objective = make(name, uncertainty_set, beta=5.0, **options).for_examples(torch.arange(8))
    net = Prior()
    loss = objective(net, x, labels, generator=torch.Generator().manual_seed(0))
    assert float(loss.detach()) == pytest.approx(
        float(functional.cross_entropy(net(x), labels).detach()), rel=1e-6
    )
    loss.backward()
    assert bool((net.logits.grad != 0).all())


def test_equation_4_of_a_linear_net(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    torch.manual_seed(0)
    net, (x, _) = LinearNet(12, 4).double(), batch
    planes = bases_of(20)
    indices = torch.tensor([3, 1, 19, 0, 7, 11, 5, 2])
    slopes = softmax_jacobians(net, x) @ planes[indices].transpose(1, 2)
    expected = float(slopes.square().sum((1, 2)).mean())
    for projections, tolerance in ((None, 1e-9), (2000, 0.05)):
        objective = make(
            "manifold_tangent", projections=projections, bases=lambda rows: planes[rows]
        ).for_examples(indices)
        assert penalty(objective, net, x) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("name", ["jacobian", "manifold_tangent", "operator_norm"])
def test_beta_times_the_penalty_is_added(
    batch: tuple[torch.Tensor, torch.Tensor], name: str
) -> None:
    torch.manual_seed(0)
    net, (x, labels) = LinearNet(12, 4).double(), batch
    clean = float(functional.cross_entropy(net(x), labels).detach())
    options = {"bases": lambda rows: bases_of(8)[rows]} if name == "manifold_tangent" else {}
    objective = make(name, beta=0.3, **options).for_examples(torch.arange(8))
    added = value(objective, net, x, labels) - clean
    assert added == pytest.approx(0.3 * penalty(objective, net, x), rel=1e-4)
    assert added > 1e-3


def test_the_worst_input_is_that_of_the_plain_loss_where_labels_are_smoothed(generator) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2)).double()
    x, labels = torch.full((4, 1, 2, 3), 0.5).double(), torch.tensor([0, 1, 0, 1])
    net[1].bias.data = torch.tensor([2.0, -2.0]).double()
    smoothed = make("worst_case", {"name": "linf", "radius": 0.1}, label_smoothing=0.5)
    worst = smoothed.worst_input(net, x, labels, generator)
    # surer than smoothed labels ask for, of the first class: the smoothed loss would rise on the way to still surer answers
    away = (net[1].weight[1] - net[1].weight[0]).sign().detach().view(1, 1, 2, 3)
    expected = x + 0.1 * torch.where(labels == 0, 1, -1).view(4, 1, 1, 1) * away
    torch.testing.assert_close(worst, expected)


def normalised_net(kind: str) -> nn.Sequential:
    """A smooth net that normalises by the statistics of its batch, layer or image."""
    torch.manual_seed(5)
    layer = {
        "batch": nn.BatchNorm2d(4),
        "layer": nn.LayerNorm([4, 2, 2]),
        "instance": nn.InstanceNorm2d(4, affine=True),
    }[kind]
    return (
        nn.Sequential(
            *(nn.Conv2d(3, 4, 3, padding=1), layer, nn.Softplus()),
            *(nn.Flatten(), nn.Linear(16, 4)),
        )
        .double()
        .train()
    )


@pytest.mark.parametrize("kind", ["none", "batch", "layer", "instance"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("manifold_tangent", {"projections": None}),
        ("manifold_tangent", {"projections": 2}),
        ("jacobian", {"projections": None}),
        ("jacobian", {"projections": 2, "output": "logits"}),
    ],
)
def test_penalties_gradients_reach_the_weights(
    batch: tuple[torch.Tensor, torch.Tensor], name: str, options: dict[str, Any], kind: str
) -> None:
    net, (x, _) = smooth_net() if kind == "none" else normalised_net(kind), batch
    if name == "manifold_tangent":
        options = {**options, "bases": lambda rows: bases_of(8)[rows]}
    objective = make(name, beta=1.0, **options).for_examples(torch.arange(8))
    assert isinstance(objective, Penalised)
    objective.penalty(net, x, torch.Generator().manual_seed(0)).backward()
    for weight in net.parameters():
        for entry in (0, weight.numel() // 2):
            numbers, step = [], 1e-5
            with torch.no_grad():
                kept = float(weight.view(-1)[entry])
            for sign in (1, -1):
                weight.data.view(-1)[entry] = kept + sign * step
                numbers.append(penalty(objective, net, x))
            weight.data.view(-1)[entry] = kept
            slope = (numbers[0] - numbers[1]) / (2 * step)
            # the last bias shifts logits by a constant, which has no slope
            found = 0.0 if weight.grad is None else float(weight.grad.view(-1)[entry])
            assert found == pytest.approx(slope, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("name", ["manifold_tangent", "jacobian"])
def test_examples_of_a_normalised_batch_do_not_cancel(
    batch: tuple[torch.Tensor, torch.Tensor], name: str
) -> None:
    """In train mode every output depends on every image: on average all their slopes count, drawn or in full."""
    net, (x, _) = normalised_net("batch"), batch
    planes = bases_of(8)
    with torch.no_grad():
        whole = torch.autograd.functional.jacobian(lambda inputs: net(inputs).softmax(1), x)
    by_image = whole.flatten(3).permute(2, 0, 1, 3).flatten(1, 2)
    if name == "manifold_tangent":
        by_image = by_image @ planes.transpose(1, 2)
    expected = float(by_image.square().sum((1, 2)).mean())
    bases = {"bases": lambda rows: planes[rows]} if name == "manifold_tangent" else {}
    for projections in (None, 4):
        objective = make(name, projections=projections, **bases).for_examples(torch.arange(8))
        assert isinstance(objective, Penalised)
        generator = torch.Generator().manual_seed(0)
        drawn = [float(objective.penalty(net, x, generator).detach()) for _ in range(300)]
        assert sum(drawn) / len(drawn) == pytest.approx(expected, rel=0.06)


def dense(layer: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    """The layer's matrix, column by column, from its action on unit vectors."""
    count = math.prod(shape)
    unit = torch.eye(count, dtype=torch.float64).view(count, *shape)
    with torch.no_grad():
        origin = layer(torch.zeros(1, *shape, dtype=torch.float64))
        return (layer(unit) - origin).flatten(1).T


def test_operator_norms_are_the_largest_singular_values(generator: torch.Generator) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, stride=2),
        nn.Flatten(),
        nn.Linear(36, 5),
    ).double()
    shapes = {"0": (2, 7, 7), "2": (3, 7, 7), "4": (36,)}
    image = torch.rand(1, 2, 7, 7, dtype=torch.float64)
    norms = operator_norms(net, image, power_iterations=300, generator=generator)
    assert list(norms) == list(shapes)
    for name, shape in shapes.items():
        layer = net[int(name)]
        u, s, v = torch.linalg.svd(dense(layer, shape))
        assert float(norms[name].detach()) == pytest.approx(float(s[0]), rel=1e-4)
        (slope,) = torch.autograd.grad(norms[name], [layer.weight], retain_graph=True)
        # dσ/dW along W is σ itself, the norm being homogeneous
        assert float((slope * layer.weight.detach()).sum()) == pytest.approx(float(s[0]), rel=1e-4)
        if name == "4":
            torch.testing.assert_close(slope, u[:, :1] @ v[:1], rtol=0, atol=1e-2)
    assert all(weight.grad is None for weight in net.parameters())


def test_the_operator_norm_penalty_is_their_sum_whatever_the_images() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 4)).double()
    labels = torch.tensor([0, 1, 2, 3])
    expected = sum(float(torch.linalg.svdvals(net[i].weight.detach())[0]) for i in (1, 3))
    for seed in (0, 1):
        x = torch.rand(
            4, 3, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        clean = float(functional.cross_entropy(net(x), labels).detach())
        penalised = make("operator_norm", beta=0.5, power_iterations=300)
        assert value(penalised, net, x, labels) - clean == pytest.approx(0.5 * expected, rel=1e-3)


def test_the_operator_norm_refuses_batch_normalisation() -> None:
    penalised = make("operator_norm")
    penalised.check(make_net("mnist_convnet"))
    for net in (make_net("airbench"), make_net("mnist_convnet", input_batch_norm=True)):
        with pytest.raises(InputError, match="batch normalisation"):
            penalised.check(net)


def test_the_operator_norm_refuses_padding_that_it_has_no_norm_of() -> None:
    for options in ({"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}):
        net = nn.Sequential(nn.Conv2d(1, 2, 3, **options), nn.Flatten(), nn.Linear(32, 4))
        with pytest.raises(InputError, match="zero padding by numbers"):
            make("operator_norm").check(net)


PASSES = {
    "worst_case": 1, "mixed": 2, "vat": 2, "manifold_tangent": 1, "jacobian": 1, "operator_norm": 1,
}  # fmt: skip


# the interval bound has no inner pass, and refuses this net
@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "interval_bound"])
@pytest.mark.parametrize("inner_mode", ["train", "eval"])
def test_inner_passes_leave_no_trace(name: str, inner_mode: str) -> None:
    torch.manual_seed(0)
    net = LinearNet(12, 4, batch_norm=name != "operator_norm").train()
    x, labels = torch.rand(8, 12), torch.tensor([0, 1, 2, 3] * 2)
    options: dict[str, Any] = {"inner_mode": inner_mode}
    if name == "manifold_tangent":
        options["bases"] = lambda rows: bases_of(8).float()[rows]
    if name in ("mixed", "vat"):
        objective = make(name, LINF, **options)
    else:
        objective = make(name, LINF if name == "worst_case" else POINT, **options)
    loss = objective.for_examples(torch.arange(8))(
        net, x, labels, generator=torch.Generator().manual_seed(0)
    )
    assert all(weight.grad is None for weight in net.parameters())
    assert x.grad is None
    assert all(module.training for module in net.modules())
    if name != "operator_norm":
        assert int(net.normalise.num_batches_tracked) == PASSES[name]
    loss.backward()
    assert all(weight.grad.abs().max() > 0 for weight in net.linear.parameters())


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_objective_trains_the_convnet_in_either_precision(
    name: str, precision: torch.dtype
) -> None:
    torch.manual_seed(0)
    net = make_net("mnist_convnet").train()
    x, labels = torch.rand(4, 1, 28, 28), torch.tensor([0, 1, 2, 3])
    options: dict[str, Any] = {}
    if name == "manifold_tangent":
        options["bases"] = lambda rows: bases_of(4, dimensions=784).float()[rows]
    on_ball = name in ("worst_case", "mixed", "vat", "interval_bound")
    objective = make(name, LINF if on_ball else POINT, **options)
    with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
        loss = objective.for_examples(torch.arange(4))(
            net, x, labels, generator=torch.Generator().manual_seed(0)
        )
    loss.backward()
    assert loss.isfinite()
    assert all(bool(weight.grad.isfinite().all()) for weight in net.parameters())


def test_the_interval_bound_lies_above_whatever_is_found_in_the_ball() -> None:
    torch.manual_seed(0)
    net = make_net("mnist_convnet").double()
    x, labels = torch.rand(6, 1, 28, 28, dtype=torch.float64), torch.arange(6)
    clean = float(functional.cross_entropy(net(x), labels).detach())
    above = []
    for radius in (1e-9, 0.01, 0.1):
        ball = {"name": "linf", "radius": radius}
        bound = value(make("interval_bound", ball, alpha=0.0), net, x, labels)
        assert bound >= value(make("worst_case", ball), net, x, labels) - 1e-6
        mixed = value(make("interval_bound", ball, alpha=0.3), net, x, labels)
        assert mixed == pytest.approx(0.3 * clean + 0.7 * bound, rel=1e-6)
        above.append(bound - clean)
    assert above[0] == pytest.approx(0, abs=1e-5)
    assert above[0] < above[1] < above[2]
    assert value(make("interval_bound", LINF, alpha=1.0), net, x, labels) == pytest.approx(clean)


def test_the_interval_bound_gains_weight_as_the_radius_grows() -> None:
    whole = make("interval_bound", {"name": "linf", "radius": 0.2}, alpha=0.6)
    half = whole.at_radius(0.5)  # type: ignore[attr-defined]
    assert (half.alpha, half.uncertainty_set.radius) == (pytest.approx(0.8), pytest.approx(0.1))
    assert (whole.alpha, whole.uncertainty_set.radius) == (0.6, 0.2)  # type: ignore[attr-defined]


class Watching(Objective):
    """Remembers which examples it was told of and which images it got."""

    def __init__(self) -> None:
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def for_examples(self, indices: torch.Tensor) -> Objective:
        self._indices = indices
        return self

    def __call__(self, net, x, labels, *, generator):
        self.seen.append((self._indices, x))
        return functional.cross_entropy(net(x), labels)


def test_training_tells_an_objective_which_examples_it_gets() -> None:
    images = torch.randint(0, 256, (10, 1, 28, 28), dtype=torch.uint8)
    watching = Watching()
    train(
        make_net("mnist_convnet"),
        images,
        torch.arange(10),
        objective=watching,
        recipe=Recipe(epochs=2, batch_size=4, optimiser={"name": "sgd", "learning_rate": 0.01}),
        seed=0,
        evaluate=lambda net: 0.0,
    )
    assert len(watching.seen) == 6
    for indices, x in watching.seen:
        assert torch.equal(x, images[indices].float() / 255)


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        (
            "tikhonov",
            {},
            "known: worst_case, mixed, vat, manifold_tangent, jacobian, operator_norm, interval_bound",
        ),
        ("mixed", {"alpha": 1.1}, r"alpha is 1\.1; it must be in \[0, 1\]"),
        ("mixed", {"alpha": float("nan")}, "alpha is nan"),
        ("mixed", {"alhpa": 0.5}, "alhpa"),
        ("interval_bound", {"alpha": 0.5}, "an l∞ ball allows, not 'point'"),
        ("interval_bound", {"alpha": -0.1}, "alpha is -0.1"),
        ("vat", {"beta": -1.0}, "beta is -1"),
        ("vat", {"power_iterations": 0}, "power_iterations is 0"),
        ("vat", {"power_iterations": 1.5}, "power_iterations is 1.5; it must be a whole number"),
        ("jacobian", {"output": "features"}, "known: probabilities, logits"),
        ("jacobian", {"projections": 0}, "projections is 0"),
        ("jacobian", {"projections": 1.5}, "projections is 1.5; it must be a whole number"),
        ("jacobian", {"beta": float("inf")}, "beta is inf"),
        ("manifold_tangent", {"projections": -1}, "projections is -1"),
        ("operator_norm", {"power_iterations": 0}, "power_iterations is 0"),
        (
            "operator_norm",
            {"power_iterations": 1.5},
            "power_iterations is 1.5; it must be a whole number",
        ),
        ("worst_case", {"label_smoothing": 1.0}, "label_smoothing"),
        ("mixed", {"inner_mode": "test"}, "known: train, eval"),
    ],
)
def test_wrong_names_and_values_are_refused(
    name: str, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        make(name, **options)


def test_vat_takes_no_maximiser_and_planes_must_be_there(linear_net: LinearNet) -> None:
    with pytest.raises(InputError, match="projected_gradient"):
        make_objective(
            "vat",
            uncertainty_set=make_uncertainty_set("l2", radius=1.0),
            maximiser=make_maximiser("projected_gradient"),
        )
    with pytest.raises(InputError, match="tangent planes"):
        value(make("manifold_tangent"), linear_net, torch.rand(2, 12), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (nn.ConvTranspose2d(1, 1, 1), "ConvTranspose2d"),
        (nn.Conv3d(1, 1, 1), "Conv3d"),
        (nn.Identity(), "none"),
    ],
)
def test_operator_norms_of_layers_it_has_none_of_are_refused(layer: nn.Module, told: str) -> None:
    net = nn.Sequential(layer, nn.Flatten(), *([nn.Linear(4, 2)] if told != "none" else []))
    with pytest.raises(InputError, match=rf"Conv2d and Linear layers only; the net has {told}"):
        make_objective(
            "operator_norm",
            uncertainty_set=make_uncertainty_set("point"),
            maximiser=make_maximiser(),
            beta=0.1,
        ).check(net)
