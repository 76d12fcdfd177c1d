"""Where the measured data lie that validations read: outside the repository, because they are not ours to publish."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(os.environ.get("GRIDHELM_DATA", Path(__file__).parents[2] / "shared" / "data"))


def measured(name: str) -> Path:
    """The file `name`, for example ``generation/la_haute_borne_era5_hourly_2014.parquet``.

    Raises
    ------
    SystemExit
        If it is not there: says where it was looked for.
    """
    path = FOLDER / name
    if not path.exists():
        raise SystemExit(f"{path} is not there. Set GRIDHELM_DATA to the folder that holds {name}.")
    return path
