from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
import yaml

from robustify import fingerprint as module
from robustify.fingerprint import (
    ADVERSARIAL_SET_CODE,
    CODE,
    PACKAGE,
    VERIFICATION_CODE,
    fingerprint,
)

from .conftest import PROJECT

# they carry what the training code computes, and decide nothing
CARRIERS = {
    "configuration", "errors", "files", "fingerprint", "limits", "machine.allocator", "machine.interruption",
    "named", "recipes", "storage", "tracking",
}  # fmt: skip


def test_settings_and_every_source_of_the_training_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    shutil.copytree(PACKAGE, tmp_path / "robustify")
    monkeypatch.setattr(module, "PACKAGE", tmp_path / "robustify")
    before = fingerprint({})
    seen = {before}
    for name in CODE:
        path = tmp_path / "robustify" / name
        source = path if path.is_file() else sorted(path.rglob("*.py"))[-1]
        source.write_text(source.read_text() + "\n")
        seen.add(fingerprint({}))
    assert len(seen) == len(CODE) + 1
    (tmp_path / "robustify" / "transfer.py").write_text("")
    assert fingerprint({}) in seen


@pytest.mark.parametrize(
    ("code", "carriers"),
    [
        (CODE, set()),
        (ADVERSARIAL_SET_CODE, {"machine.shortage"}),
        (VERIFICATION_CODE, {"levels", "machine.shortage", "reporting"}),
    ],
    ids=["training", "adversarial_set", "verification"],
)
def test_the_code_imports_nothing_that_does_not_count(
    code: tuple[str, ...], carriers: set[str]
) -> None:
    assert not _uncounted(set(code), carriers)


@pytest.mark.parametrize("stage", ["mnist_seed", "mnist_seeds", "cifar_seed", "cifar_seeds"])
def test_dvc_lists_all_that_the_code_of_the_seeds_imports(stage: str) -> None:
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    assert not _uncounted(_sources(stages[stage]), set())


def _uncounted(code: set[str], carriers: set[str]) -> set[str]:
    """Return what the code imports of the package that is neither in it nor a carrier."""
    counted = {name.removesuffix(".py").replace("/", ".") for name in code} | CARRIERS | carriers
    found = set()
    for name in code:
        path = PACKAGE / name
        for source in [path] if path.is_file() else path.rglob("*.py"):
            found |= {
                imported
                for imported in _imports(source)
                if not any(f"{imported}.".startswith(f"{name}.") for name in counted)
            }
    return found


def _imports(source: Path) -> set[str]:
    """Return the modules of the package that a source imports, without the package's name."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("robustify."):
            module = str(node.module).removeprefix("robustify.")
            inside = [f"{module}.{alias.name}" for alias in node.names]
            files = {name for name in inside if _is_module(name)}
            found |= files or {module}
        if isinstance(node, ast.ImportFrom) and node.module == "robustify":
            found |= {alias.name for alias in node.names}
    return found


def _is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_dvc_lists_the_same_code() -> None:
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    for experiment in ("mnist", "cifar"):
        assert _sources(stages[f"{experiment}_train"]) == {*CODE, "configuration"}
        assert _sources(stages[f"{experiment}_attack"]) == set(ADVERSARIAL_SET_CODE)
        assert _sources(stages[f"{experiment}_verify"]["do"]) == set(VERIFICATION_CODE)


def _sources(stage: dict) -> set[str]:
    return {
        name.removeprefix("src/robustify/") for name in stage["deps"] if name.startswith("src/")
    }
