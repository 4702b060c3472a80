"""The night: `spark-submit jobs/nightly.py CATALOG --root ROOT` runs every stage in order and publishes the run."""

from __future__ import annotations

from prodseek.runner.commands import NIGHTLY
from prodseek.runner.start import main

if __name__ == "__main__":
    main(NIGHTLY)
