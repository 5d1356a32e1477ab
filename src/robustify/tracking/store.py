"""MLflow's store: where it is, and whether it takes anything; a run that would find out late is told at its start."""

from __future__ import annotations

import errno
import os
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import urlsplit

from robustify.errors import InputError
from robustify.tracking.credentials import without_credentials
from robustify.tracking.run_store import file_of, make_tables

SECONDS = 5.0
VARIABLE = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class Store:
    """Where MLflow keeps its runs.

    Attributes:
        address: its tracking URI.
        setting: what names it, for who wants to name another one.
    """

    address: str
    setting: str

    @classmethod
    def configured(cls, address: object) -> Store:
        """Return the store that mlflow.yml names, or else the environment.

        Args:
            address: ``server.mlflow_tracking_uri``; kedro-mlflow makes a whole path of a folder's name later.
        """
        if isinstance(address, str) and "://" in address:
            return cls(address, "server.mlflow_tracking_uri in mlflow.yml")
        return cls(os.environ.get(VARIABLE, ""), VARIABLE)

    def __str__(self) -> str:
        return without_credentials(self.address)

    def require_usable(self) -> None:
        """Refuse a server that doesn't answer, a file that can't be written, and what is no address.

        Raises:
            InputError: naming the store and what to do.
        """
        try:
            self._require_answer()
            self._require_writable()
        except InputError:
            raise
        except (ValueError, OSError) as error:
            raise InputError(
                f"MLflow's store is {self}, which can't be ({first_cause(error)}); name another one by {self.setting}, "
                f"or none, to keep the runs in mlflow.db"
            ) from error

    def make_tables(self) -> None:
        """Let MLflow make its tables, if the store is a file without them.

        Raises:
            InputError: if it can't be written.
        """
        path = file_of(self.address)
        try:
            if path is not None:
                make_tables(path)
        except InputError as error:
            raise self.refusal(error) from error

    def refusal(self, error: BaseException) -> InputError:
        """Return what to say of a store that doesn't take what it is told."""
        return InputError(
            f"MLflow's store {self} takes nothing ({first_cause(error)}); mend that, or name another one by {self.setting}"
        )

    def _require_answer(self) -> None:
        uri = urlsplit(self.address)
        if uri.scheme not in ("http", "https") or uri.hostname is None:
            return
        import requests

        address = f"{uri.geturl().rstrip('/')}/health"
        try:
            # whatever it says, it answers; certificates are MLflow's affair
            with suppress(requests.exceptions.SSLError):
                requests.get(address, timeout=SECONDS, stream=True).close()
        except requests.RequestException as error:
            slow = isinstance(error, requests.Timeout)
            reason = f"nothing within {SECONDS:.0f} seconds" if slow else "no connection"
            place = f"{uri.scheme}://{uri.netloc.rpartition('@')[2]}"
            raise InputError(
                f"MLflow's server is {place}, which doesn't answer ({reason}); start that server, or name none by "
                f"{self.setting}, to keep the runs in mlflow.db"
            ) from error

    def _require_writable(self) -> None:
        """MLflow would try for minutes."""
        path = file_of(self.address)
        if path is None:
            return
        if path.is_dir():
            raise InputError(
                f"MLflow's store {self} takes nothing ({path} is a folder); name a file by {self.setting}"
            )
        folder = next(parent for parent in path.parents if parent.exists())
        for place in (path, folder):
            if place.exists() and not _is_writable(place):
                raise InputError(
                    f"MLflow's store {self} takes nothing ({place} can't be written); make it writable, or name another one "
                    f"by {self.setting}"
                )


def first_cause(error: BaseException) -> str:
    """Return the first cause of an error in a line, without user and password: what MLflow and its database put around it says less."""
    while error.__cause__ is not None:
        error = error.__cause__
    return without_credentials(str(error).partition("\n")[0])[:200]


def _is_writable(place: Path) -> bool:
    if not os.access(place, os.W_OK):
        return False
    # root is told that it may write where no file can be made
    try:
        with TemporaryFile(dir=place) if place.is_dir() else nullcontext():
            return True
    except OSError as error:
        # what a full disk makes of it is told once its store is asked
        return error.errno == errno.ENOSPC
