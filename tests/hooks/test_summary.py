"""What a run prints at its end, asked of every pipeline that there is."""

from __future__ import annotations

from typing import Any

import pytest
from kedro.config import OmegaConfigLoader

from robustify.checks.parameters import experiments_of
from robustify.hooks import Summary
from robustify.pipeline_registry import register_pipelines, use_experiments
from robustify.reporting import terminal
from robustify.settings import CONFIG_LOADER_ARGS

from ..conftest import PROJECT


class Catalog:
    """Knows the parameters; of all else only the name."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters

    def load(self, name: str) -> Any:
        return self.parameters if name == "parameters" else name


SAID = {
    "mnist_robust": ["experiment mnist"],
    "mnist_objectives": ["objectives mnist"],
    "mnist_readings": ["readings mnist"],
    "mnist_smallest_perturbations": ["distances mnist"],
    "mnist_verification": ["verification baseline control l1 l2 linf"],
    "mnist_seeds": ["across_seeds mnist"],
}


@pytest.mark.parametrize("name", SAID)
def test_every_pipeline_ends_in_its_own_table(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def saying(kind: str) -> Any:
        return lambda first, *_, folder: (
            f"{kind} {' '.join(first) if kind == 'verification' else first.partition('.')[0]} in {folder}"
        )

    for kind in (
        "experiment",
        "objectives",
        "readings",
        "distances",
        "across_seeds",
        "verification",
    ):
        monkeypatch.setattr(terminal, f"{kind}_text", saying(kind))
    parameters = OmegaConfigLoader(str(PROJECT / "conf"), env="base", **CONFIG_LOADER_ARGS)[
        "parameters"
    ]
    use_experiments(experiments_of(parameters))
    run = register_pipelines()[name]
    use_experiments({})
    Summary().after_pipeline_run(run, Catalog(parameters))
    assert capsys.readouterr().out.splitlines() == [
        f"{said} in data/08_reporting/mnist" for said in SAID[name]
    ]
