from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from robustify import regenerate as module
from robustify.errors import InputError
from robustify.nets import initialise, make_net
from robustify.pipelines.adversarial_set.nodes import make_adversarial_set
from robustify.regenerate import main, regenerate
from robustify.storage import (
    Tensors,
    TrainedNet,
    load_tensors,
    load_trained_net,
    save_net,
    save_tensors,
)

SETS = {"sets": {"l2": {"radius": 3.0}, "linf": {"radius": 0.2}}}
SET = Path("05_model_input/mnist/adversarial_set.safetensors")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A project's data with an untrained net and images labelled by it."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 1, 28, 28), generator=generator).to(torch.uint8)
    net = make_net("mnist_convnet")
    initialise(net, images, generator)
    labels = net.eval()(images.float() / 255).argmax(1)
    save_net(
        tmp_path / "06_models/mnist/baseline.safetensors",
        TrainedNet(net, {"name": "mnist_convnet"}, {"seed": 7}),
    )
    test_data = Tensors({"images": images, "labels": labels}, {"data": "mnist"})
    save_tensors(tmp_path / "02_intermediate/mnist/test_data.safetensors", test_data)
    made, took = make_adversarial_set(
        load_trained_net(tmp_path / "06_models/mnist/baseline.safetensors"),
        load_tensors(tmp_path / "02_intermediate/mnist/test_data.safetensors"),
        SETS,
        "cpu",
    )
    assert list(took) == ["seconds"], "the time stays apart"
    save_tensors(tmp_path / SET, made)
    return tmp_path


def test_the_same_code_makes_the_same_bytes(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(load_tensors(data / SET).tensors["labels"]) > 0
    assert regenerate("mnist", data) == []
    monkeypatch.setattr(sys, "argv", ["regenerate", "mnist", f"--data={data}"])
    assert main() == 0
    assert "the same bytes (SHA-256 " in capsys.readouterr().out


def test_the_set_of_another_seed_is_found_in_its_folder(data: Path) -> None:
    for layer in ("05_model_input", "06_models"):
        folder = data / layer / "mnist"
        files = list(folder.iterdir())
        (folder / "seed_3").mkdir()
        for file in files:
            file.rename(folder / "seed_3" / file.name)
    assert regenerate("mnist", data, seed=3) == []
    with pytest.raises(FileNotFoundError, match="mnist/adversarial_set"):
        regenerate("mnist", data)


def test_the_manifest_says_by_what_it_was_made(data: Path) -> None:
    about = load_tensors(data / SET).provenance
    net = load_tensors(data / "06_models/mnist/baseline.safetensors").provenance
    assert about["attacked_net_sha256"] == net["tensors_sha256"]
    manifest = about["manifest"]
    assert manifest["configuration"] == {"adversarial_set": SETS, "device": "cpu"}
    assert manifest["libraries"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert manifest["seed"] == 7
    assert all(len(manifest[key]) == 64 for key in ("code_sha256", "configuration_sha256"))


def test_what_differs_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = load_tensors(data / SET)
    images = stored.tensors["images"].clone()
    images[0, 0, 3, 4] += 0.25
    about = {**stored.provenance, "size": 3}
    about["manifest"] = {**about["manifest"], "seed": 8}
    save_tensors(data / SET, Tensors({**stored.tensors, "images": images}, about))
    assert regenerate("mnist", data) == [
        f"tensor images: 1 of {images.numel()} values, by up to 0.25",
        "manifest.seed: stored 8, new 7",
        f"size: stored 3, new {len(images)}",
    ]
    monkeypatch.setattr(sys, "argv", ["regenerate", "mnist", f"--data={data}"])
    assert main() == 1
    assert "manifest.seed" in capsys.readouterr().out


def test_another_net_or_other_code_shows(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "robustify.pipelines.adversarial_set.manifest.code_sha256", lambda code: "another"
    )
    (found,) = regenerate("mnist", data)
    assert found.startswith("manifest.code_sha256: stored ")
    assert found.endswith("new 'another'")


def test_a_set_without_manifest_and_a_missing_one_are_one_line(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = load_tensors(data / SET)
    about = {key: value for key, value in stored.provenance.items() if key != "manifest"}
    save_tensors(data / SET, Tensors(stored.tensors, about))
    with pytest.raises(InputError, match=r"has no manifest; make it anew: kedro run"):
        module.regenerate("mnist", data)
    monkeypatch.setattr(sys, "argv", ["regenerate", "cifar", f"--data={data}"])
    assert main() == 2
    assert "cifar/adversarial_set.safetensors doesn't exist" in capsys.readouterr().err
