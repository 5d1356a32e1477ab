"""Checkpoints of a training: its whole state on disk, so that a killed process loses little and changes nothing."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

from robustify.errors import InputError
from robustify.storage import Tensors, load_tensors, save_tensors

logger = logging.getLogger(__name__)

KEPT = 2
_OF = "fingerprint"
_NAME = re.compile(r"step-\d{9}\.safetensors")


class Checkpoints:
    """The latest states of one training, in a folder of its own.

    Args:
        folder: holds the checkpoints of this training alone.
        fingerprint: hash of all that decides the training's outcome; a state that lies there and was stored under another
            one isn't taken up.
    """

    def __init__(self, folder: Path, *, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def save(self, state: Tensors, *, step: int) -> None:
        """Store the state after ``step`` descent steps in all, and drop all but the last two.

        What there is of later steps was passed over as damaged or another training's, or this one wouldn't be here; it goes, too.

        Raises:
            InputError: if the file can't be written; earlier checkpoints are kept.
        """
        # what a killed process was writing may be of a step that no one stores again
        for unfinished in self._folder.glob(".step-*.partial"):
            unfinished.unlink()
        latest = self._folder / f"step-{step:09d}.safetensors"
        save_tensors(
            latest, replace(state, provenance={**state.provenance, _OF: self._fingerprint})
        )
        files = self._files()
        place = files.index(latest)
        for other in (*files[: max(place + 1 - KEPT, 0)], *files[place + 1 :]):
            other.unlink()

    def finish(self, state: Tensors, *, step: int) -> None:
        """Store the finished training's state as the only one."""
        self.save(state, step=step)
        for old in self._files()[:-1]:
            old.unlink()

    def latest(self) -> Tensors | None:
        """Return the latest state of this training that is undamaged, or None if there is none."""
        for path in reversed(self._files()):
            try:
                stored = load_tensors(path)
            except InputError as error:
                logger.warning("%s; it is passed over", error)
                continue
            if stored.provenance.get(_OF) == self._fingerprint:
                return stored
            logger.warning("%s is of another training; it is passed over", path)
        return None

    def latest_path(self) -> Path | None:
        """Return the file that :meth:`latest` tries first."""
        files = self._files()
        return files[-1] if files else None

    def _files(self) -> list[Path]:
        found = self._folder.glob("step-*.safetensors")
        return sorted(path for path in found if _NAME.fullmatch(path.name) and path.is_file())
