"""Many searches at once: `spark-submit jobs/search.py PROMPTS --out OUT --root ROOT`."""

from __future__ import annotations

import typer

from prodseek.errors import explain_errors
from prodseek.runner.commands import search_batch

if __name__ == "__main__":
    explain_errors(lambda: typer.run(search_batch))
