"""A skipped test proves nothing, so it counts as failed, unless what it lacks is a GPU."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

ALLOWED = "no GPU"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """For files that skip themselves as a whole."""
    report = yield
    _judge(report)
    return report


def _judge(report: Any) -> None:
    if report.outcome != "skipped":
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if reason.removeprefix("Skipped: ") != ALLOWED:
        report.outcome = "failed"
        report.longrepr = (
            f'{report.nodeid} was skipped ("{reason}"); the only reason that may skip a test is "{ALLOWED}"'
        )
