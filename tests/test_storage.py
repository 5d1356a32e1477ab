from __future__ import annotations

import resource
from pathlib import Path

import pytest
import torch
from kedro.io import DatasetError

from robustify import load_net
from robustify.datasets.atomic import AtomicJSONDataset
from robustify.errors import InputError
from robustify.nets import make_net
from robustify.storage import (
    Tensors,
    TrainedNet,
    load_tensors,
    load_trained_net,
    read_provenance,
    save_net,
    save_tensors,
)

CONTENT = Tensors(
    {"images": torch.arange(24, dtype=torch.uint8).view(2, 3, 4), "labels": torch.tensor([3, 1])},
    {"seed": 4, "sets": {"l2": 0.5}, "weight_decay": 5e-05},
)


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    save_tensors(tmp_path / "deep" / "set.safetensors", CONTENT)
    stored = load_tensors(tmp_path / "deep" / "set.safetensors")
    assert all(torch.equal(stored.tensors[name], value) for name, value in CONTENT.tensors.items())
    assert stored.provenance.items() >= CONTENT.provenance.items()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["set.safetensors"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a", CONTENT)
    turned = Tensors(
        dict(reversed(CONTENT.tensors.items())), dict(reversed(CONTENT.provenance.items()))
    )
    save_tensors(tmp_path / "b", turned)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "set"
    save_tensors(path, CONTENT)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_tensors(path, Tensors(CONTENT.tensors, {"seed": object()}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_every_flipped_bit_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "set"
    save_tensors(path, CONTENT)
    content = path.read_bytes()
    for position in range(len(content)):
        for bit in range(8):
            flipped = bytes([content[position] ^ (1 << bit)])
            path.write_bytes(content[:position] + flipped + content[position + 1 :])
            with pytest.raises(ValueError, match=r"set is damaged|set isn't a readable"):
                load_tensors(path)


def test_a_cut_or_extended_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "set"
    save_tensors(path, CONTENT)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="set isn't a readable Robustify file"):
            load_tensors(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="set isn't a readable Robustify file"):
        load_tensors(path)


def test_a_net_comes_back_with_its_answers(tmp_path: Path) -> None:
    net = make_net("airbench", widths=[4, 6, 8]).eval()
    x = torch.rand(3, 3, 32, 32)
    path = tmp_path / "net.safetensors"
    save_net(path, TrainedNet(net, {"name": "airbench", "widths": [4, 6, 8]}, {"seed": 1}))
    torch.testing.assert_close(load_net(path)(x), net(x))
    assert not load_net(path).training
    assert load_trained_net(path).provenance["seed"] == 1


@pytest.mark.parametrize(
    ("architecture", "complaint"),
    [
        ({}, "holds no net: its architecture is {}"),
        ({"name": ["airbench"]}, "holds no net: its architecture is"),
        ({"name": "resnet"}, "'resnet' is unknown"),
        ({"name": "airbench", "widths": [2**40] * 3}, "'airbench' with options"),
        ({"name": "airbench", "widths": [4, 6, 8]}, "weights don't fit"),
    ],
)
def test_a_forged_architecture_is_refused(
    tmp_path: Path, architecture: dict[str, object], complaint: str
) -> None:
    path = tmp_path / "net.safetensors"
    save_tensors(path, Tensors(CONTENT.tensors, {"architecture": architecture}))
    with pytest.raises(InputError, match=complaint):
        load_net(path)


def test_a_forged_size_takes_no_memory(tmp_path: Path) -> None:
    """Three widths of 20,000 are 30 GiB of weights; a file of a few bytes must not have them allocated."""
    path = tmp_path / "net.safetensors"
    architecture = {"name": "airbench", "widths": [20_000] * 3}
    save_tensors(path, Tensors(CONTENT.tensors, {"architecture": architecture}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"net\.safetensors: weights don't fit .* must be"):
        load_net(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**18


def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path) -> None:
    net = make_net("mnist_convnet")
    net[1].bias.data[3] = torch.nan
    save_net(tmp_path / "net", TrainedNet(net, {"name": "mnist_convnet"}, {}))
    with pytest.raises(InputError, match=r"net: weights that aren't finite: 1\.bias"):
        load_net(tmp_path / "net")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float64, torch.int64, torch.bool])
def test_weights_of_another_type_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "net.safetensors"
    net = make_net("fully_connected", widths=[2])
    weights = {name: tensor.to(dtype) for name, tensor in net.state_dict().items()}
    header = {"architecture": {"name": "fully_connected", "widths": [2]}}
    save_tensors(path, Tensors(weights, header))
    with pytest.raises(InputError, match=f"is {dtype} .*it must be torch.float32"):
        load_net(path)


def test_a_file_that_cannot_be_read_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"")

    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"net\.safetensors can't be read: Permission denied"):
        load_tensors(path)


def test_what_is_no_net_is_refused_by_name(tmp_path: Path) -> None:
    save_tensors(tmp_path / "set", CONTENT)
    with pytest.raises(ValueError, match="set holds no net"):
        load_net(tmp_path / "set")
    with pytest.raises(FileNotFoundError, match="missing"):
        load_net(tmp_path / "missing")
    (tmp_path / "junk").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ValueError, match="junk"):
        load_net(tmp_path / "junk")


def test_names_that_are_numbers_come_back_as_text(tmp_path: Path) -> None:
    path = tmp_path / "a"
    save_tensors(
        path, Tensors(CONTENT.tensors, {"shares": {10: 1, 2: 0.5}, "epsilons": {1e-5: 0, 0.1: 1}})
    )
    stored = load_tensors(path).provenance
    assert stored["shares"] == {"10": 1, "2": 0.5}
    assert stored["epsilons"] == {"1e-05": 0, "0.1": 1}


def test_what_a_file_does_not_say_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_tensors(path, Tensors({"x": torch.zeros(1)}, {"seed": 3}))
    table = AtomicJSONDataset(filepath=str(tmp_path / "some.json"))
    table.save({"seed": 3})
    for content in (load_tensors(path).provenance, read_provenance(path), table.load()):
        assert content["seed"] == 3
        assert content.get("norms") is None
        with pytest.raises(InputError, match=r"some\.\w+ doesn't say 'norms': .*make it again"):
            content["norms"]


def test_what_is_no_file_or_no_object_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        load_tensors(tmp_path)
    path = tmp_path / "evaluation.json"
    path.write_text("[]")
    with pytest.raises(DatasetError) as caught:
        AtomicJSONDataset(filepath=str(path)).load()
    assert isinstance(caught.value.__cause__, InputError)
    assert str(caught.value.__cause__).startswith(f"{path} holds no JSON object")
