"""Mistakes in a configuration file end in one line that names the file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click import ClickException

from robustify.loader import ReadableConfigLoader
from robustify.settings import CONFIG_LOADER_ARGS


def loader_of(conf: Path, content: bytes) -> ReadableConfigLoader:
    for environment in ("base", "local"):
        (conf / environment).mkdir()
    (conf / "base" / "parameters.yml").write_text("mnist: {seed: 0}\n")
    (conf / "local" / "parameters_own.yml").write_bytes(content)
    return ReadableConfigLoader(str(conf), env="local", **CONFIG_LOADER_ARGS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"mnist:\n  nets:\n    l2: {}\n    l2: {}\n", r"found duplicate key l2 in .*line 4"),
        (b"mnist: [1\n", r"expected ',' or '\]'"),
        (b"mnist: \xff\n", "can't decode byte 0xff"),
    ],
    ids=["twice", "unfinished", "no text"],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ClickException) as caught:
        loader_of(tmp_path, content)["parameters"]
    message = caught.value.message
    assert "\n" not in message
    assert re.search(rf"configuration of 'parameters': .*parameters_own\.yml: .*{words}", message)


@pytest.mark.parametrize("content", [b"mnist: [1, 2]\n", b"mnist: {seeds: {a: 1}}\n"])
def test_a_list_in_a_mappings_place_is_told_by_its_file(tmp_path: Path, content: bytes) -> None:
    loader = loader_of(tmp_path, content)
    (tmp_path / "base" / "parameters.yml").write_text("mnist: {seeds: [0]}\n")
    with pytest.raises(ClickException) as caught:
        loader["parameters"]
    assert "\n" not in caught.value.message
    assert (
        "local/parameters_own.yml: it can't be merged with the files before it"
        in caught.value.message
    )


def test_a_value_that_is_still_to_come_is_asked_for(tmp_path: Path) -> None:
    loader = loader_of(tmp_path, b"mnist: {seed: '???', title: 'who?? what???'}\n")
    with pytest.raises(ClickException) as caught:
        loader["parameters"]
    assert caught.value.message.endswith(
        "local/parameters_own.yml: mnist.seed is ???; give a value, or leave it out"
    )
    (tmp_path / "local" / "parameters_own.yml").write_text("mnist: {title: 'what???'}\n")
    assert loader["parameters"]["mnist"] == {"seed": 0, "title": "what???"}


def test_files_that_replace_others_are_not_blamed(tmp_path: Path) -> None:
    loader = loader_of(tmp_path, b"mnist: {seed: '${nothing}'}\n")
    (tmp_path / "base" / "catalog.yml").write_text("_shared: {a: 1}\n")
    (tmp_path / "local" / "catalog.yml").write_text("_shared: [1]\n")
    with pytest.raises(ClickException, match="Interpolation key 'nothing' not found"):
        loader["parameters"]


def test_255ths_of_what_is_no_number_say_what_they_take(tmp_path: Path) -> None:
    content = b"mnist: {radius: '${of_255:x}'}\n"
    with pytest.raises(ClickException, match="of_255 takes a number of 255ths, not 'x'"):
        loader_of(tmp_path, content)["parameters"]


def test_a_reference_to_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClickException, match="Interpolation key 'nothing' not found"):
        loader_of(tmp_path, b"mnist: ${nothing}\n")["parameters"]


def test_what_is_right_is_read(tmp_path: Path) -> None:
    assert loader_of(tmp_path, b"mnist: {seed: 3}\n")["parameters"] == {"mnist": {"seed": 3}}
