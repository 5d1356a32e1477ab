"""Configuration files, whose mistakes end in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click import ClickException
from kedro.config import OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from robustify.checks.spelling import did_you_mean


def _of_255(levels: object) -> float:
    if isinstance(levels, bool) or not isinstance(levels, int | float):
        raise ValueError(f"of_255 takes a number of 255ths, not {levels!r}")
    return levels / 255


CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    # kedro-mlflow would add it too late for a look at the store's address
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
    "merge_strategy": {"parameters": "soft", "mlflow": "soft"},
    # radii of 8-bit images are customarily counted in 255ths
    "custom_resolvers": {"of_255": _of_255},
}

_MISSING = "???"

# what YAML, OmegaConf and Kedro, which takes it for granted that a file holds a mapping, make of odd files
_UNREADABLE = (
    YAMLError,
    OmegaConfBaseException,
    OSError,
    RecursionError,
    AttributeError,
    TypeError,
    ValueError,
)


class ReadableConfigLoader(OmegaConfigLoader):
    """Kedro's loader; a file that isn't YAML, names a key twice or refers to nothing is named with what is wrong."""

    def __getitem__(self, key: str) -> dict[str, Any]:
        self._require_environment()
        try:
            found: dict[str, Any] = super().__getitem__(key)
        except _UNREADABLE as error:
            raise ClickException(
                f"configuration of {key!r}: {self._explained(error, key)}"
            ) from error
        self._require_values(key)
        return found

    def _require_values(self, key: str) -> None:
        """Refuse OmegaConf's sign for a value that is still to come: such an entry would be dropped without a word."""
        for path in self._files():
            if not self._is_of(path, key) or _MISSING not in path.read_text():
                continue
            missing = sorted(OmegaConf.missing_keys(OmegaConf.load(path)))
            if missing:
                raise ClickException(
                    f"configuration of {key!r}: {path}: {', '.join(missing)} is {_MISSING}; give a value, or leave it out"
                )

    def _require_environment(self) -> None:
        name = str(self.env or self.default_run_env)
        conf = Path(self.conf_source)
        known = sorted(path.name for path in conf.glob("*/") if not path.name.startswith("."))
        if name not in known:
            raise ClickException(
                f"--env={name}: {conf} has no folder of that name{did_you_mean(name, known)}; "
                f"it has {', '.join(known)}"
            )

    def _explained(self, error: Exception, key: str) -> str:
        # Kedro reads files into memory first, so that nobody can say which one it was
        merged = OmegaConf.create({})
        for path in self._files():
            try:
                content = OmegaConf.load(path)
            except _UNREADABLE as cause:
                return f"{path}: {_in_one_line(cause)}"
            if not isinstance(content, DictConfig):
                return f"{path} must hold a mapping, 'name: value' on each line"
            if self._is_merged(path, key):
                try:
                    merged.merge_with(content)
                except _UNREADABLE as cause:
                    return f"{path}: it can't be merged with the files before it: a list stands where they have a mapping, or the other way round ({_in_one_line(cause)})"
        return _in_one_line(error)

    def _files(self) -> Iterator[Path]:
        for environment in (self.base_env, self.env or self.default_run_env):
            yield from sorted(Path(self.conf_source, str(environment)).rglob("*.y*ml"))

    def _is_merged(self, path: Path, key: str) -> bool:
        """Return whether a file's entries are merged with those of other files, not put in their place."""
        return self._is_of(path, key) and self.merge_strategy.get(key) == "soft"

    def _is_of(self, path: Path, key: str) -> bool:
        return any(path.match(pattern) for pattern in self.config_patterns.get(key, ()))


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
