"""Configuration files, whose mistakes end in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click import ClickException
from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from robustify.spelling import did_you_mean


class ReadableConfigLoader(OmegaConfigLoader):
    """Kedro's loader; a file that isn't YAML, names a key twice or refers to nothing is named with what is wrong."""

    def __getitem__(self, key: str) -> dict[str, Any]:
        self._require_environment()
        try:
            found: dict[str, Any] = super().__getitem__(key)
        except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
            raise ClickException(f"configuration of {key!r}: {self._explained(error)}") from error
        except (AttributeError, TypeError, ValueError) as error:
            # Kedro takes it for granted that a file holds a mapping
            raise ClickException(f"configuration of {key!r}: {self._misshapen(error)}") from error
        return found

    def _require_environment(self) -> None:
        folder = Path(self.conf_source, str(self.env))
        if self.env and self.env != self.default_run_env and not folder.is_dir():
            known = sorted(path.name for path in folder.parent.glob("*/"))
            raise ClickException(
                f"--env={self.env}: {folder.parent} has no folder of that name"
                f"{did_you_mean(self.env, known)}; it has {', '.join(known)}"
            )

    def _misshapen(self, error: Exception) -> str:
        for path in self._files():
            if not OmegaConf.is_dict(OmegaConf.load(path)):
                return f"{path} must hold a mapping, 'name: value' on each line"
        return _in_one_line(error)

    def _files(self) -> Iterator[Path]:
        for environment in (self.base_env, self.env or self.default_run_env):
            yield from sorted(Path(self.conf_source, str(environment)).rglob("*.y*ml"))

    def _explained(self, error: Exception) -> str:
        # Kedro reads files into memory first, so that YAML can't say which one it was
        for path in self._files():
            try:
                OmegaConf.load(path)
            except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as cause:
                return f"{path}: {_in_one_line(cause)}"
        return _in_one_line(error)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
