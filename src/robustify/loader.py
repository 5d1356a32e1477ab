"""Configuration files, whose mistakes end in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click import ClickException
from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError


class ReadableConfigLoader(OmegaConfigLoader):
    """Kedro's loader; a file that isn't YAML, names a key twice or refers to nothing is named with what is wrong."""

    def __getitem__(self, key: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = super().__getitem__(key)
        except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
            raise ClickException(f"configuration of {key!r}: {self._explained(error)}") from error
        return found

    def _explained(self, error: Exception) -> str:
        # Kedro reads files into memory first, so that YAML can't say which one it was
        for environment in (self.base_env, self.env or self.default_run_env):
            for path in sorted(Path(self.conf_source, str(environment)).rglob("*.y*ml")):
                try:
                    OmegaConf.load(path)
                except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as cause:
                    return f"{path}: {_in_one_line(cause)}"
        return _in_one_line(error)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
