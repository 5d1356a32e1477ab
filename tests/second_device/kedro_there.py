"""Runs Kedro with the second device chosen by itself: ``python kedro_there.py LIBRARY run --pipeline=…``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from kedro.framework.cli.cli import main

from tests.second_device.backend import load

if __name__ == "__main__":
    load(Path(sys.argv[1]))
    sys.argv = ["kedro", *sys.argv[2:]]
    main()
