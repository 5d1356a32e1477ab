"""An adversarial set that comes out empty is refused once there is a baseline, before any other net is trained."""

from __future__ import annotations

import pytest
import torch
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from robustify.errors import InputError
from robustify.hooks import AdversarialSets
from robustify.pipelines.adversarial_set.nodes import make_adversarial_set
from robustify.storage import Tensors, TrainedNet

from ..conftest import LinearNet


@pytest.mark.parametrize("nets", [("baseline", "control"), ("attacked", "baseline", "control")])
def test_an_empty_set_stops_the_run_before_robust_training(nets: tuple[str, ...]) -> None:
    # runs in the order of names; what comes before the baseline can't know
    assert trained_with(radius=1e-9, nets=nets) == list(nets[: nets.index("baseline") + 1])


def test_a_set_with_examples_stops_nothing() -> None:
    assert trained_with(radius=1.0, nets=("baseline", "control")) == ["baseline", "control"]


def test_a_pipeline_without_a_set_is_left_alone() -> None:
    nets = ("baseline", "control")
    assert trained_with(radius=1e-9, nets=nets, attacked=False) == ["baseline", "control"]


def made(**sets: dict | None) -> tuple[Tensors, LinearNet, torch.Tensor, torch.Tensor]:
    """Return the set against a net that has all its images right, the net, the images and the labels."""
    torch.manual_seed(0)
    net = LinearNet(12, 4)
    images = torch.randint(0, 256, (700, 3, 2, 2), dtype=torch.uint8)
    labels = net(images.float() / 255).argmax(dim=1)
    data = Tensors({"images": images, "labels": labels}, {"tensors_sha256": "data"})
    baseline = TrainedNet(net, {}, {"tensors_sha256": "net", "seed": 0})
    found, _ = make_adversarial_set(baseline, data, {"sets": sets}, "cpu")
    return found, net, images, labels


def test_a_set_of_unclipped_steps_may_leave_the_pixel_box() -> None:
    found, net, images, labels = made(linf={"radius": 0.2, "step": "unclipped"})
    examples, source = found.tensors["images"], found.tensors["source"]
    assert float(examples.min()) < 0 < 1 < float(examples.max())
    assert torch.allclose(
        (examples - images[source] / 255).abs().amax((1, 2, 3)), torch.tensor(0.2)
    )
    assert not (net(examples).argmax(dim=1) == labels[source]).any()


def test_a_norm_that_fools_nobody_is_said(caplog: pytest.LogCaptureFixture) -> None:
    found, *_ = made(l2={"radius": 1e-9}, linf={"radius": 0.2})
    assert found.provenance["by_norm"]["l2"] == 0 < found.provenance["by_norm"]["linf"]
    (said,) = caplog.messages
    assert said.startswith("no example in l2 fools the baseline")


def test_a_set_that_null_drops_is_not_made() -> None:
    found, *_ = made(l1=None, linf={"radius": 0.2})
    assert found.provenance["sets"] == {"linf": {"radius": 0.2}}
    assert found.provenance["norms"] == ["linf"]


def trained_with(*, radius: float, nets: tuple[str, ...], attacked: bool = True) -> list[str]:
    """Return which nets were trained, in a run that ends in the known refusal or not at all."""
    torch.manual_seed(0)
    net = LinearNet(12, 4)
    images = torch.randint(0, 256, (700, 3, 2, 2), dtype=torch.uint8)
    labels = net(images.float() / 255).argmax(dim=1)
    trained: list[str] = []

    def train(name: str, _: object) -> TrainedNet:
        trained.append(name)
        return TrainedNet(net, {}, {})

    nodes = [
        Node(
            lambda data, name=name: train(name, data),
            "toy.test_data",
            f"toy.{name}.model",
            name="train",
            namespace=f"toy.{name}",
            tags=["training"],
        )
        for name in nets
    ]
    if attacked:
        attack = Node(lambda *_: 0, "toy.baseline.model", "toy.set", name="attack", namespace="toy")
        nodes.append(attack)
    catalog = DataCatalog(
        {
            "toy.test_data": MemoryDataset(Tensors({"images": images, "labels": labels}, {})),
            "params:toy.adversarial_set": MemoryDataset(
                {"sets": {"linf": {"radius": radius}, "l2": None}}
            ),
            "params:toy.device": MemoryDataset("cpu"),
            "toy.baseline.model": MemoryDataset(copy_mode="assign"),
        }
    )
    hooks, pipeline = _create_hook_manager(), Pipeline(nodes)
    hooks.register(AdversarialSets())
    hooks.hook.before_pipeline_run(run_params={}, pipeline=pipeline, catalog=catalog)
    if radius == 1.0 or not attacked:
        SequentialRunner().run(pipeline, catalog, hooks)
    else:
        with pytest.raises(InputError, match=r"adversarial set is empty: .*raise the radii"):
            SequentialRunner().run(pipeline, catalog, hooks)
    return trained
