from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from robustify.attacks import ApgdCrossEntropy, Attack, FabTargeted, Pgd, robust_accuracy
from robustify.errors import InputError
from robustify.measurement import accuracy, attack, epsilon_sweep, predict, survives_rounding
from robustify.uncertainty import SETS, LinfBall, make_uncertainty_set, perturbation_norm
from robustify.verification.examination import examine

from ..conftest import LinearNet
from ..fakes import Probabilities


@pytest.fixture
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (50, 3, 2, 2), generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, 4, (50,), generator=generator)


class Noisy(nn.Module):
    """Answers at random in train mode, and remembers the types it was given."""

    def __init__(self, net: LinearNet) -> None:
        super().__init__()
        self.net = net
        self.dropout = nn.Dropout(0.9)
        self.types: set[torch.dtype] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.types.add(x.dtype)
        return self.net(self.dropout(x))


def test_accuracy_counts_what_an_argmax_gets_right(linear_net, pictures) -> None:
    images, labels = pictures
    logits = (images.flatten(1).float() / 255) @ linear_net.linear.weight.T + linear_net.linear.bias
    expected = sum(int(row.argmax()) == int(y) for row, y in zip(logits, labels, strict=True)) / 50
    assert accuracy(linear_net, images, labels) == pytest.approx(expected)
    assert torch.equal(predict(linear_net, images, batch_size=7), predict(linear_net, images))


def test_accuracy_of_nothing_is_refused(linear_net) -> None:
    with pytest.raises(InputError, match="empty"):
        accuracy(linear_net, torch.empty(0, 3, 2, 2), torch.empty(0, dtype=torch.int64))


def test_what_cannot_be_measured_is_refused_by_name(linear_net, pictures) -> None:
    nothing = (torch.empty(0, 3, 2, 2), torch.empty(0, dtype=torch.int64))
    ball = make_uncertainty_set("l2", radius=1.0)
    for measure in (
        lambda: epsilon_sweep(linear_net, *nothing, [0.1]),
        lambda: attack(linear_net, *nothing, {"l2": ball}),
    ):
        with pytest.raises(InputError, match="no images"):
            measure()
    for epsilon in (float("nan"), -0.1, float("inf"), 8):
        with pytest.raises(InputError, match=rf"epsilon is {epsilon}; it must be in \[0, 1\]"):
            epsilon_sweep(linear_net, *pictures, [0.1, epsilon])
    images, labels = pictures
    for wrong, complaint in (
        ((images.float(), labels), r"from 0 to 255; they must be uint8, or floats in \[0, 1\]"),
        ((images.float() / 255 - 0.5, labels), r"from -0\.5 to .*floats in \[0, 1\]"),
        ((images, labels + 1), "50 of the net's classes, 0 to 3"),
        ((images, labels - 1), "50 of the net's classes, 0 to 3"),
        ((images, labels[:7]), r"of shape \(7,\)"),
    ):
        for measure in (
            lambda wrong=wrong: accuracy(linear_net, *wrong),
            lambda wrong=wrong: epsilon_sweep(linear_net, *wrong, [0.1]),
            lambda wrong=wrong: attack(linear_net, *wrong, {"l2": ball}),
        ):
            with pytest.raises(InputError, match=complaint):
                measure()
    far = make_uncertainty_set("l2", radius=1000)
    with pytest.raises(
        InputError, match=r"uncertainty_sets\['l2'\].radius is 1000.*only .* across"
    ):
        attack(linear_net, *pictures, {"l2": far})
    linear_net.linear.bias.data[1] = float("inf")
    for measure in (
        lambda: predict(linear_net, images),
        lambda: epsilon_sweep(linear_net, images, labels, [0.1]),
        lambda: attack(linear_net, images, labels, {"l2": ball}),
    ):
        with pytest.raises(InputError, match=r"outputs? (aren't|isn't) finite"):
            measure()
    with pytest.raises(InputError, match="uncertainty_sets is empty"):
        attack(linear_net, *pictures, {})
    with pytest.raises(InputError, match=r"uncertainty_sets\['foo'\] is a set named 'l2'"):
        attack(linear_net, *pictures, {"foo": ball})
    with pytest.raises(InputError, match=r"uncertainty_sets\['point'\] is no norm ball"):
        attack(linear_net, *pictures, {"point": make_uncertainty_set("point")})


def test_a_net_of_half_precision_is_measured_but_not_attacked(linear_net, pictures) -> None:
    # its grid of pixels is coarser than a step of 1/255
    half = linear_net.bfloat16()
    assert 0 <= accuracy(half, *pictures) <= 1
    ball = make_uncertainty_set("linf", radius=1 / 255)
    for measure in (
        lambda: epsilon_sweep(half, *pictures, [0.1]),
        lambda: attack(half, *pictures, {"linf": ball}),
    ):
        with pytest.raises(InputError, match=r"bfloat16, too coarse for attacks; .*net\.float\(\)"):
            measure()


def test_a_net_that_gives_probabilities_is_attacked_by_nobody(linear_net, pictures) -> None:
    images, labels = pictures
    fake = Probabilities(linear_net)
    assert accuracy(fake, images, labels) == accuracy(linear_net, images, labels)
    with pytest.raises(InputError, match="gives probabilities; it must give logits"):
        attack(fake, images, labels, {"linf": make_uncertainty_set("linf", radius=0.1)})
    with pytest.raises(InputError, match="gives probabilities; it must give logits"):
        epsilon_sweep(fake, images, labels, [0.1])


def test_a_net_that_gives_sigmoids_is_attacked_by_nobody(linear_net, pictures) -> None:
    images, labels = pictures
    net = nn.Sequential(linear_net, nn.Sigmoid())
    assert len(images) == 50, "as many as it takes to tell sigmoids from logits"
    with pytest.raises(InputError, match="last softmax or sigmoid"):
        epsilon_sweep(net, images, labels, [0.1])
    with pytest.raises(InputError, match="last softmax or sigmoid"):
        attack(net, images, labels, {"l2": make_uncertainty_set("l2", radius=0.3)})
    assert accuracy(net, images, labels) == accuracy(linear_net, images, labels)


def test_sweep_equals_one_attack_an_epsilon_image_by_image(linear_net, pictures) -> None:
    images, labels = pictures
    epsilons = [0.0, 0.01, 0.1, 0.7]
    swept = epsilon_sweep(linear_net, images, labels, epsilons, batch_size=16)
    for epsilon in epsilons:
        right = 0
        for image, label in zip(images.float() / 255, labels, strict=True):
            x = image[None].clone().requires_grad_()
            functional.cross_entropy(linear_net(x), label[None]).backward()
            attacked = (x + epsilon * x.grad.sign()).clamp(0, 1)
            right += int(linear_net(attacked).argmax() == label)
        assert swept[epsilon] == right / 50
    assert swept[0.0] == accuracy(linear_net, images, labels)


def test_measurements_run_in_eval_mode_and_leave_no_trace(linear_net, pictures) -> None:
    images, labels = pictures
    net = Noisy(linear_net).train()
    for weight in net.parameters():
        weight.grad = None
    sets = {"linf": make_uncertainty_set("linf", radius=0.1)}
    plain = attack(linear_net, images, labels, sets)
    found = attack(net, images, labels, sets)
    assert torch.equal(found.images, plain.images)
    assert epsilon_sweep(net, images, labels, [0.1]) == epsilon_sweep(
        linear_net, images, labels, [0.1]
    )
    assert net.training
    assert net.dropout.training
    assert all(weight.grad is None for weight in net.parameters())
    assert net.types == {torch.float32}


def test_adversarial_set_holds_exactly_the_flipped_images(linear_net, pictures) -> None:
    images, labels = pictures
    labels = torch.where(torch.arange(50) < 40, predict(linear_net, images), labels)
    radii = {"l1": 0.8, "l2": 0.4, "linf": 0.15}
    sets = {norm: make_uncertainty_set(norm, radius=radius) for norm, radius in radii.items()}
    found = attack(linear_net, images, labels, sets, batch_size=11)
    assert len(found) == sum(found.by_norm().values()) > 10
    assert accuracy(linear_net, found.images, found.labels) == 0
    clean = images[found.source].float() / 255
    assert torch.equal(predict(linear_net, clean), found.labels)
    assert torch.equal(labels[found.source], found.labels)
    assert torch.equal(predict(linear_net, found.images), found.prediction)
    for norm, radius in radii.items():
        mine = found.norm == found.norms.index(norm)
        realised = perturbation_norm(norm, found.images[mine] - clean[mine])
        torch.testing.assert_close(realised, found.realised_norm[mine])
        assert realised.max() <= radius + 1e-5
        expected = []
        for i in range(50):
            x, y = images[i : i + 1].float() / 255, labels[i : i + 1]
            if int(linear_net(x).argmax()) != int(y):
                continue
            x.requires_grad_()
            (g,) = torch.autograd.grad(functional.cross_entropy(linear_net(x), y), [x])
            worst = x.detach() + sets[norm].steepest_ascent(g, x.detach())
            if int(linear_net(worst).argmax()) != int(y):
                expected.append(i)
        assert found.source[mine].tolist() == expected


def test_rounding_is_judged_on_the_nearest_bytes(linear_net, pictures) -> None:
    images, labels = pictures
    labels = predict(linear_net, images)
    found = attack(linear_net, images, labels, {"l2": make_uncertainty_set("l2", radius=0.3)})
    rounded = (found.images * 255).round() / 255
    expected = linear_net(rounded).argmax(1) != found.labels
    assert torch.equal(survives_rounding(linear_net, found), expected)


class Shaped(nn.Module):
    """Answers in another shape than (images, classes)."""

    def __init__(self, net: LinearNet, shape: str) -> None:
        super().__init__()
        self.net, self.shape = net, shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.net(x)
        return logits[:, :, None, None] if self.shape == "pixels" else logits[:1]


@pytest.mark.parametrize("shape", ["pixels", "one row"])
def test_answers_that_would_be_broadcast_are_refused(linear_net, pictures, shape: str) -> None:
    images, labels = pictures
    net = Shaped(linear_net, shape)
    measures = (
        lambda: predict(net, images),
        lambda: accuracy(net, images, labels),
        lambda: epsilon_sweep(net, images, labels, [0.1]),
        lambda: attack(net, images, labels, {"linf": make_uncertainty_set("linf", radius=0.1)}),
    )
    for measure in measures:
        with pytest.raises(
            InputError, match=r"output for \d+ images has shape .*; it must be \(\d+, classes\)"
        ):
            measure()


def test_an_epsilon_named_twice_counts_once(linear_net, pictures) -> None:
    once = epsilon_sweep(linear_net, *pictures, [0.01, 0.0])
    assert epsilon_sweep(linear_net, *pictures, [0.01, 0.01, 0, 0.0]) == once


@pytest.mark.parametrize("epsilon", ["a", None, "0.1", True])
def test_an_epsilon_that_is_no_number_is_refused(linear_net, pictures, epsilon: object) -> None:
    with pytest.raises(InputError, match=rf"epsilon is {epsilon!r}; it must be in \[0, 1\]"):
        epsilon_sweep(linear_net, *pictures, [0.1, epsilon])


class Everywhere(LinfBall):
    """An l∞ ball of another name: all that a new kind of ball has to bring along."""

    name = "everywhere"


def test_a_new_ball_is_a_class_and_a_line(
    linear_net, pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SETS, Everywhere.name, Everywhere)
    images, labels = pictures
    labels = predict(linear_net, images)
    new, known = Everywhere(radius=0.1), LinfBall(radius=0.1)
    of_new, of_known = (attack(linear_net, images, labels, {s.name: s}) for s in (new, known))
    assert len(of_new) > 3
    for name in ("images", "source", "realised_norm"):
        assert torch.equal(getattr(of_new, name), getattr(of_known, name))
    attacks: tuple[Attack, ...] = (
        Pgd(steps=3, restarts=1, relative_step=0.5),
        ApgdCrossEntropy(steps=5),
    )
    for strong in attacks:
        left = [
            robust_accuracy(linear_net, images, labels, strong, s, seed=0).robust_accuracy
            for s in (new, known)
        ]
        assert left[0] == left[1] < 1
    verdicts = [examine(linear_net, images, labels, s, seed=0) for s in (new, known)]
    assert [each.measured for each in verdicts[0]] == [each.measured for each in verdicts[1]]
    with pytest.raises(InputError, match="fab_t attacks l1, l2, linf; the set is 'everywhere'"):
        robust_accuracy(linear_net, images, labels, FabTargeted(), new, seed=0)


def test_no_pass_takes_more_images_than_asked_for(linear_net, pictures) -> None:
    images, labels = pictures
    sizes: list[int] = []
    linear_net.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    epsilon_sweep(linear_net, images, labels, [0.1], batch_size=3)
    assert max(sizes) == 3


@pytest.mark.parametrize("name", ["tangent", "l0"])
def test_what_is_no_norm_measures_nothing(name: str) -> None:
    with pytest.raises(InputError, match=f"norm '{name}' is unknown; known: l1, l2, linf$"):
        perturbation_norm(name, torch.zeros(1, 1, 2, 2))


def test_examples_of_a_net_of_double_precision_are_stored_in_single(linear_net, pictures) -> None:
    images, net = pictures[0], linear_net.double()
    labels = predict(net, images)
    found = attack(net, images, labels, {"l2": make_uncertainty_set("l2", radius=0.4)})
    assert found.images.dtype == found.realised_norm.dtype == torch.float32
    assert len(found) > 3
    assert (net(found.images.double()).argmax(1) != found.labels).all()


def test_truths_are_no_classes(linear_net, pictures) -> None:
    with pytest.raises(InputError, match=r"labels are torch\.bool"):
        accuracy(linear_net, pictures[0], pictures[1] > 1)
