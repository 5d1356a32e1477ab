from __future__ import annotations

import math
import shutil
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from robustify.errors import InputError
from robustify.maximisers import make_maximiser
from robustify.measurement import accuracy
from robustify.nets import make_net
from robustify.objectives import WorstCase, make_objective
from robustify.storage import tensors_sha256
from robustify.training import DivergenceError, Epoch, Recipe, train
from robustify.training.augmentation import translate
from robustify.training.course import Course
from robustify.training.optimisers import Muon, make_descent, orthogonalise
from robustify.training.schedules import make_schedule
from robustify.uncertainty import Point, make_uncertainty_set

from ..conftest import LinearNet

SGD = {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.0}


MUON = {
    "name": "muon", "filter_learning_rate": 0.1, "filter_momentum": 0.6, "learning_rate": 0.1, "momentum": 0.85,
    "weight_decay": 0.0,
}  # fmt: skip


def objective(norm: str = "point", **options: float) -> WorstCase:
    return WorstCase(
        uncertainty_set=make_uncertainty_set(norm, **options), maximiser=make_maximiser()
    )


def images(count: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Blobs whose place tells their class."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 4
    pictures = torch.randint(0, 60, (count, 1, 28, 28), generator=generator)
    for i, label in enumerate(labels.tolist()):
        row, column = divmod(label, 2)
        pictures[i, 0, 14 * row : 14 * row + 14, 14 * column : 14 * column + 14] += 150
    return pictures.to(torch.uint8), labels


def test_algorithm_1_step_equals_the_one_written_out_by_hand(linear_net: LinearNet) -> None:
    x, labels = torch.rand(8, 12), torch.tensor([0, 1, 2, 3] * 2)
    weight, bias = (
        linear_net.linear.weight.detach().clone(),
        linear_net.linear.bias.detach().clone(),
    )
    radius, rate = 0.2, 0.5

    one_hot = functional.one_hot(labels, 4)
    gradient = (functional.softmax(x @ weight.T + bias, dim=1) - one_hot) @ weight
    worst = (x + radius * gradient.sign()).clamp(0, 1)
    residual = (functional.softmax(worst @ weight.T + bias, dim=1) - one_hot) / len(x)
    expected_weight = weight - rate * residual.T @ worst
    expected_bias = bias - rate * residual.sum(0)

    descent = make_descent(
        linear_net, name="sgd", steps=1, steps_per_epoch=1, schedule={"name": "constant"},
        learning_rate=rate, momentum=0.0,
    )  # fmt: skip
    loss = objective("linf", radius=radius)(linear_net, x, labels, generator=torch.Generator())
    loss.backward()
    descent.step()
    torch.testing.assert_close(linear_net.linear.weight.detach(), expected_weight)
    torch.testing.assert_close(linear_net.linear.bias.detach(), expected_bias)
    assert linear_net.linear.weight.grad is None


def test_the_radius_grows_linearly_to_its_full_size() -> None:
    radii = []

    class Recording(WorstCase):
        def __call__(self, net, x, labels, *, generator):
            radii.append(self.uncertainty_set.radius)
            return super().__call__(net, x, labels, generator=generator)

    whole = Recording(
        uncertainty_set=make_uncertainty_set("linf", radius=0.2), maximiser=make_maximiser()
    )
    pictures, labels = images(32)
    # 2 steps in each of 5 epochs; the radius is full from the fifth step on
    train(
        LinearNet(28 * 28, 4),
        pictures,
        labels,
        objective=whole,
        recipe=Recipe(epochs=5, batch_size=16, optimiser=SGD, radius_warmup=0.5),
        seed=0,
        evaluate=lambda net: 0.0,
    )
    expected = [0.2 * share for share in (0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1, 1)]
    assert radii == pytest.approx(expected, rel=1e-12)
    assert whole.uncertainty_set.radius == 0.2
    on_points = objective()
    assert on_points.at_radius(0.5) is on_points


def test_the_averaged_net_is_the_one_measured_and_returned() -> None:
    pictures, labels = images(32)
    steps, measured = [], []

    class Recording(WorstCase):
        def __call__(self, net, x, labels, *, generator):
            steps.append(net.linear.weight.detach().double().clone())
            return super().__call__(net, x, labels, generator=generator)

    net = LinearNet(28 * 28, 4)

    def evaluate(presented: torch.nn.Module) -> float:
        measured.append(presented.linear.weight.detach().clone())
        return 0.0

    def once_more(presented: torch.nn.Module) -> None:
        steps.append(presented.linear.weight.detach().double().clone())

    course = Course(
        net,
        pictures,
        labels,
        objective=Recording(
            uncertainty_set=make_uncertainty_set("point"), maximiser=make_maximiser()
        ),
        recipe=Recipe(epochs=1, batch_size=8, optimiser=SGD, averaging=0.25),
        seed=0,
        device=torch.device("cpu"),
    )
    for _ in course.descend():
        pass
    once_more(net)
    course.close_epoch(evaluate)
    # weights after each of 4 steps; the average keeps 2/11 of the first, then 1/4 twice
    first, second, third, fourth = steps[1:]
    expected = 2 / 11 * first + 9 / 11 * second
    for current in (third, fourth):
        expected = 0.25 * expected + 0.75 * current
    torch.testing.assert_close(measured[0].double(), expected, atol=1e-6, rtol=1e-5)
    assert torch.equal(net.linear.weight, measured[0])
    assert not torch.equal(net.linear.weight.double(), fourth)


def test_tangent_planes_are_those_of_all_training_images() -> None:
    pictures, labels = images(32)
    planes = make_uncertainty_set(
        "tangent",
        radius=0.1,
        bases=lambda indices: torch.eye(28 * 28)[None, :2].expand(len(indices), -1, -1),
    )
    with pytest.raises(InputError, match=r"held_out: .*tangent planes .*held_out to 0"):
        train(
            LinearNet(28 * 28, 4),
            pictures,
            labels,
            objective=WorstCase(uncertainty_set=planes, maximiser=make_maximiser()),
            recipe=Recipe(epochs=1, batch_size=16, optimiser=SGD, held_out=4),
            seed=0,
            evaluate=lambda net: 0.0,
        )


def test_on_a_point_the_objective_is_the_ordinary_loss(linear_net: LinearNet) -> None:
    x, labels = torch.rand(8, 12), torch.tensor([0, 1, 2, 3] * 2)
    plain = functional.cross_entropy(linear_net(x), labels)
    torch.testing.assert_close(
        objective()(linear_net, x, labels, generator=torch.Generator()), plain
    )


def test_inner_step_in_eval_mode_uses_running_statistics_and_returns_to_train_mode() -> None:
    net = LinearNet(12, 4, batch_norm=True).train()
    x, labels = torch.rand(8, 12), torch.tensor([0, 1, 2, 3] * 2)
    losses = {}
    for mode in ("train", "eval"):
        worst_case = WorstCase(
            uncertainty_set=make_uncertainty_set("linf", radius=0.2),
            maximiser=make_maximiser(),
            inner_mode=mode,
        )
        losses[mode] = float(worst_case(net, x, labels, generator=torch.Generator()).detach())
        assert net.training
        assert net.normalise.training
    assert losses["train"] != losses["eval"]
    assert net.normalise.num_batches_tracked == 2


@pytest.mark.parametrize("norm", ["point", "l2"])
def test_training_learns_and_the_same_seed_gives_the_same_bytes(norm: str) -> None:
    pictures, labels = images()
    recipe = Recipe(epochs=6, batch_size=16, optimiser=SGD, translation=1, flips=False)
    options = {} if norm == "point" else {"radius": 0.5}
    hashes, curves, told = [], [], []
    for seed in (0, 0, 1):
        net = make_net("mnist_convnet")
        curve = train(
            net,
            pictures,
            labels,
            objective=objective(norm, **options),
            recipe=recipe,
            seed=seed,
            evaluate=lambda net: accuracy(net, pictures, labels),
            on_epoch=told.append,
        )
        hashes.append(tensors_sha256(dict(net.state_dict())))
        curves.append([(epoch.loss, epoch.test_accuracy) for epoch in curve])
        assert not net.training
    assert hashes[0] == hashes[1] != hashes[2]
    assert curves[0] == curves[1]
    assert curves[0][-1][1] == 1.0
    assert [epoch.epoch for epoch in told] == [1, 2, 3, 4, 5, 6] * 3
    assert isinstance(told[0], Epoch)


def test_training_seeds_nothing_globally(monkeypatch: pytest.MonkeyPatch) -> None:
    def seed_all(seed: int) -> None:
        pytest.fail("a training on one device seeds every GPU, and can't give their states back")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", seed_all)
    pictures, labels = images(16)
    net = make_net("mnist_convnet")
    state = torch.get_rng_state()
    train(
        net,
        pictures,
        labels,
        objective=objective(),
        recipe=Recipe(epochs=1, batch_size=16, optimiser=SGD),
        seed=3,
        evaluate=lambda net: 0.0,
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_a_diverging_loss_stops_with_the_epoch_named() -> None:
    pictures, labels = images(32)
    with pytest.raises(DivergenceError, match=r"epoch 1 .*learning_rate"):
        train(
            make_net("mnist_convnet"),
            pictures,
            labels,
            objective=objective(),
            recipe=Recipe(
                epochs=2, batch_size=4, optimiser={**SGD, "learning_rate": 1e18},
                schedule={"name": "constant"},
            ),
            seed=0,
            evaluate=lambda net: 0.0,
        )  # fmt: skip


def test_triangle_schedule_peaks_after_the_warmup_and_falls_to_zero() -> None:
    factor = make_schedule(name="triangle", steps=100, steps_per_epoch=10, warmup=0.2)
    values = [factor(step) for step in range(100)]
    assert max(values) == pytest.approx(values[20]) == pytest.approx(1.0)
    assert values[60] == pytest.approx(0.5)
    assert values[99] == pytest.approx(1 / 80)
    assert values[:21] == sorted(values[:21])


def test_schedules_take_no_options_of_each_other() -> None:
    for name, option in (
        ("constant", {"warmup": 0.1}),
        ("halving", {"warmup": 0.1}),
        ("triangle", {"epochs_per_halving": 2}),
    ):
        with pytest.raises(InputError, match=rf"schedule '{name}' .*{next(iter(option))}"):
            make_schedule(name=name, steps=1, steps_per_epoch=1, **option)


def test_halving_schedule_is_the_authors() -> None:
    factor = make_schedule(name="halving", steps=1000, steps_per_epoch=2, epochs_per_halving=25)
    assert [factor(step) for step in (0, 49, 50, 149, 150)] == [1, 1, 0.5, 0.25, 0.125]


def test_dampened_momentum_is_the_one_written_out_by_hand() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(1.0)
    descent = make_descent(
        net, name="sgd", steps=3, steps_per_epoch=1, schedule={"name": "constant"}, learning_rate=0.5,
        momentum=0.9, dampening=0.9, nesterov=False, filter_momentum=None,
    )  # fmt: skip
    weight, velocity = 1.0, None
    for gradient in (1.0, -2.0, 3.0):
        net.weight.grad = torch.full((1, 1), gradient)
        descent.step()
        velocity = gradient if velocity is None else 0.9 * velocity + 0.1 * gradient
        weight -= 0.5 * velocity
        assert float(net.weight.detach()) == pytest.approx(weight, rel=1e-6)


def test_orthogonalise_brings_singular_values_near_one() -> None:
    matrix = torch.randn(20, 90, generator=torch.Generator().manual_seed(0))
    u, s, v = torch.linalg.svd(orthogonalise(matrix, iterations=5), full_matrices=False)
    assert s.min() > 0.6
    assert s.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert float(torch.trace((u @ v) @ (left @ right).T)) == pytest.approx(20, rel=1e-3)
    torch.testing.assert_close(orthogonalise(matrix.T), orthogonalise(matrix).T)


def test_muon_takes_filters_of_zeros_and_no_closure() -> None:
    filters = torch.nn.Parameter(torch.zeros(2, 1, 3, 3))
    filters.grad = torch.ones_like(filters)
    muon = Muon([filters], lr=0.1)
    muon.step()
    assert bool(filters.isfinite().all())
    with pytest.raises(InputError, match="Muon takes no closure"):
        muon.step(lambda: 0.0)


def test_muon_keeps_filters_at_a_fixed_norm_and_descends() -> None:
    filters = torch.nn.Parameter(torch.randn(6, 4, 3, 3))
    target = torch.randn(6, 4, 3, 3)
    muon = Muon([filters], lr=0.05)
    losses = []
    for _ in range(30):
        loss = -(filters * target).sum() / filters.norm()
        filters.grad = torch.autograd.grad(loss, filters)[0]
        muon.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 3
    muon.param_groups[0]["lr"] = 0.0
    muon.step()
    assert float(filters.detach().norm()) == pytest.approx(math.sqrt(6), rel=1e-5)


class Asking(torch.nn.Module):
    """A net that notes what a GPU would convolve float32 in, in training and where it is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.net = LinearNet(28 * 28, 4)
        self.seen: set[tuple[bool, str]] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.add((self.training, torch.backends.cudnn.conv.fp32_precision))
        return self.net(x)


def test_float32_is_no_less_in_training_than_where_it_is_measured() -> None:
    before = torch.backends.cudnn.conv.fp32_precision
    assert before != "ieee", "else this shows nothing"
    net = Asking()
    recipe = Recipe(epochs=1, batch_size=32, optimiser=SGD, precision="float32")
    chosen = images()
    train(
        net,
        *chosen,
        objective=objective("linf", radius=0.1),
        recipe=recipe,
        seed=0,
        evaluate=lambda net: accuracy(net, *chosen),
    )
    assert net.seen == {(True, "ieee"), (False, "ieee")}
    assert torch.backends.cudnn.conv.fp32_precision == before


def test_a_translation_beyond_the_image_is_named() -> None:
    with pytest.raises(
        InputError, match="translation is 28; images are 28 pixels wide, so at most 27"
    ):
        translate(images(4)[0], 28, torch.Generator())


def test_bad_recipes_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="epochs is 0"):
        Recipe(epochs=0, batch_size=1, optimiser=SGD)
    for name in ("averaging", "radius_warmup"):
        with pytest.raises(InputError, match=rf"{name} is 1\.0; it must be in \[0, 1\)"):
            Recipe(epochs=1, batch_size=1, optimiser=SGD, **{name: 1.0})
    with pytest.raises(InputError, match="held_out is -1"):
        Recipe(epochs=1, batch_size=1, optimiser=SGD, held_out=-1)
    with pytest.raises(InputError, match="sgd, muon, adam"):
        make_descent(LinearNet(2, 2), name="rmsprop", steps=1, steps_per_epoch=1)
    with pytest.raises(InputError, match="triangle, constant, halving"):
        make_schedule(name="cosine", steps=1, steps_per_epoch=1)
    with pytest.raises(InputError, match=r"^schedule .*warmpu"):
        schedule = {"name": "triangle", "warmpu": 0.1}
        make_descent(
            LinearNet(2, 2),
            name="sgd",
            steps=1,
            steps_per_epoch=1,
            learning_rate=1.0,
            schedule=schedule,
        )
    with pytest.raises(InputError, match="learning_rat"):
        make_descent(LinearNet(2, 2), name="sgd", steps=1, steps_per_epoch=1, learning_rat=1.0)
    with pytest.raises(InputError, match="compile is 'fast'; known: default"):
        Recipe(epochs=1, batch_size=1, optimiser=SGD, compile="fast")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda x, y: (x.float() / 255, y),
            r"images are torch\.float32; they must be torch\.uint8",
        ),
        (lambda x, y: (x, y[:-1]), "labels are .* they must be the class of each of"),
        (lambda x, y: (x, y.int()), r"labels are torch\.int32"),
        (lambda x, y: (x, y - 1), "they must be the class of each of .* 0 to 9"),
        (lambda x, y: (x, y + 9), "they must be the class of each of .* 0 to 9"),
        (lambda x, y: (x[:0], y[:0]), "there are no images to train on"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(change: Callable, words: str) -> None:
    pictures, labels = change(*images())
    with pytest.raises(InputError, match=words):
        train(
            make_net("mnist_convnet"),
            pictures,
            labels,
            objective=WorstCase(uncertainty_set=Point(), maximiser=make_maximiser()),
            recipe=Recipe(epochs=1, batch_size=10, optimiser=SGD),
            seed=0,
            evaluate=lambda net: 0.0,
        )


@pytest.mark.parametrize(
    ("name", "options"), [("jacobian", {"beta": 0.1}), ("interval_bound", {"alpha": 0.5})]
)
def test_what_a_compiled_net_does_not_allow_is_refused(name: str, options: dict) -> None:
    pictures, labels = images()
    refused = make_objective(
        name,
        uncertainty_set=make_uncertainty_set("linf", radius=0.1),
        maximiser=make_maximiser(),
        **options,
    )
    with pytest.raises(InputError, match=rf"training\.compile: the objective '{name}' looks into"):
        Course(
            make_net("mnist_convnet"),
            pictures,
            labels,
            objective=refused,
            recipe=Recipe(epochs=1, batch_size=16, optimiser=SGD, compile="default"),
            seed=0,
            device=torch.device("cpu"),
        )


class Reads(TorchDispatchMode):
    """Notes what makes the host wait for a device: values read from tensors, and sizes that hang on values."""

    WAITING = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "equal", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        of_a_mask = name == "index" and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if name in self.WAITING or of_a_mask:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimiser", [SGD, MUON])
@pytest.mark.parametrize("norm", ["point", "linf"])
def test_nothing_waits_for_the_device_within_an_epoch(norm: str, optimiser: dict) -> None:
    pictures, labels = images()
    course = Course(
        make_net("mnist_convnet"),
        pictures,
        labels,
        objective=objective(norm, **({} if norm == "point" else {"radius": 0.1})),
        recipe=Recipe(
            epochs=2,
            batch_size=16,
            optimiser=optimiser,
            flips=True,
            translation=1,
            averaging=0.9,
        ),
        seed=0,
        device=torch.device("cpu"),
    )
    for _ in course.descend():
        pass
    course.close_epoch(lambda net: 0.0)
    steps = course.descend()
    next(steps)  # the order and the augmentation of an epoch are drawn on the CPU
    with Reads() as reads:
        assert len(list(steps)) == 3
    assert reads.found == []


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_passes_give_the_weights_of_plain_ones() -> None:
    pictures, labels = images(32)
    # three equal channels couldn't be whitened: the last bits would decide
    coloured = torch.cat([pictures, pictures.flip(0), pictures.roll(5, 0)], dim=1)
    trained = []
    for mode in (None, "default"):
        net = make_net("airbench", widths=[8, 8, 8])
        train(
            net,
            coloured,
            labels,
            # a sign would make a large step of the last bit of a small slope
            objective=objective("l2", radius=0.5),
            recipe=Recipe(
                epochs=1, batch_size=16, optimiser=SGD, precision="float32", compile=mode
            ),
            seed=0,
            evaluate=lambda net: 0.0,
        )
        trained.append(net.state_dict())
    plain, compiled = trained
    assert plain.keys() == compiled.keys()
    for name, weights in plain.items():
        torch.testing.assert_close(compiled[name], weights, rtol=1e-4, atol=1e-5)
