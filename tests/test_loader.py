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


def test_a_list_in_a_mappings_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClickException) as caught:
        loader_of(tmp_path, b"mnist: [1, 2]\n")["parameters"]
    assert caught.value.message.endswith(
        "local/parameters_own.yml: mnist must be a mapping, 'name: value', as in the files before it; it is a list"
    )


def test_255ths_of_what_is_no_number_say_what_they_take(tmp_path: Path) -> None:
    content = b"mnist: {radius: '${of_255:x}'}\n"
    with pytest.raises(ClickException, match="of_255 takes a number of 255ths, not 'x'"):
        loader_of(tmp_path, content)["parameters"]


def test_a_reference_to_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClickException, match="Interpolation key 'nothing' not found"):
        loader_of(tmp_path, b"mnist: ${nothing}\n")["parameters"]


def test_what_is_right_is_read(tmp_path: Path) -> None:
    assert loader_of(tmp_path, b"mnist: {seed: 3}\n")["parameters"] == {"mnist": {"seed": 3}}
