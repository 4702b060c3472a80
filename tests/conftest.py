"""How tests run: their surroundings, their ids, in which order and in which process. Fixtures stand in tests/helpers/."""

from __future__ import annotations

import os
from typing import Any

import hypothesis
import pytest
from order import place_of, scope_of
from plain_ids import id_of
from surroundings import settle

settle()
pytest_plugins = ("night_fixtures", "network_fixtures")

# How long a case takes says how busy the machine is.
hypothesis.settings.register_profile("prodseek", deadline=None)
hypothesis.settings.load_profile("prodseek")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    return id_of(val, argname)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole suite is to take less than ten minutes on two cores."""
    items.sort(key=lambda item: place_of(item.nodeid))
    for item in items:
        if item.get_closest_marker("slow") and not os.environ.get("PRODSEEK_SLOW_TESTS"):
            item.add_marker(pytest.mark.skip(reason="slow: PRODSEEK_SLOW_TESTS=1 runs it"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`-n 2`: tests of one scope run in one process."""
    from xdist.scheduler import LoadScopeScheduling

    class Scopes(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    return Scopes(config, log)
