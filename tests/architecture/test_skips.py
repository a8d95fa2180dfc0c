"""The hook that turns skipped tests into failed ones, run on small suites of its own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

HOOKS = "from tests.skips import pytest_make_collect_report, pytest_runtest_makereport\n"


@pytest.fixture
def suite(pytester: pytest.Pytester, pytestconfig: pytest.Config) -> pytest.Pytester:
    pytester.syspathinsert(pytestconfig.rootpath)
    pytester.makeconftest(HOOKS)
    return pytester


def test_no_gpu_is_the_one_reason_to_skip(suite: pytest.Pytester) -> None:
    suite.makepyfile("import pytest\ndef test_a(): pytest.skip('no GPU')\ndef test_b(): pass\n")
    result = suite.runpytest()
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    "test",
    [
        "def test_a(): pytest.skip('no time')",
        "@pytest.mark.skip(reason='later')\ndef test_a(): pass",
        "@pytest.mark.skipif(True, reason='this system')\ndef test_a(): pass",
        "def test_a(): pytest.importorskip('nothing_of_this_name')",
    ],
)
def test_any_other_skip_fails(suite: pytest.Pytester, test: str) -> None:
    suite.makepyfile(f"import pytest\n{test}\ndef test_b(): pass\n")
    result = suite.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 1
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1  # a mark skips in the setup phase: an error
    result.stdout.fnmatch_lines(['*the only reason that may skip a test is "no GPU"*'])


def test_a_file_that_skips_itself_fails(suite: pytest.Pytester) -> None:
    suite.makepyfile("import pytest\npytest.importorskip('nothing_of_this_name')\ndef test_b(): pass\n")
    assert suite.runpytest().ret != pytest.ExitCode.OK


def test_an_expected_failure_stays_one(suite: pytest.Pytester) -> None:
    suite.makepyfile("import pytest\n@pytest.mark.xfail\ndef test_a(): assert False\n")
    result = suite.runpytest()
    result.assert_outcomes(xfailed=1)
    assert result.ret == pytest.ExitCode.OK
