"""`--require` must be able to fail: each kind of skip is tried, named and not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py").read_text()
OTHER_REASON = "import pytest\ndef test_it():\n    pytest.skip('no screen here')\n"
SKIPS = {
    "mark": "import pytest\n@pytest.mark.needs('tensorflow')\ndef test_it():\n    pass\n",
    "fixture": "def test_it(shared_data):\n    pass\n",
    "import": "import pytest\ndef test_it():\n    pytest.importorskip('tflite_runtime')\n",
    "module": "import pytest\npytest.importorskip('tflite_runtime')\ndef test_it():\n    pass\n",
}
REQUIRED = "tensorflow,tflite-runtime,shared"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    absent = "\nfind_spec = lambda name: None\nSHARED = Path('/nowhere')\n"
    pytester.makeconftest(CONFTEST + absent)
    pytester.makeini("[pytest]\nmarkers =\n    needs(*names): what it needs\n")
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # each run would import them anew
    return pytester


@pytest.mark.parametrize("kind", SKIPS)
def test_a_skip_is_a_skip_when_nothing_is_required(suite: pytest.Pytester, kind: str) -> None:
    suite.makepyfile(SKIPS[kind])
    suite.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(skipped=1)


@pytest.mark.parametrize("kind", SKIPS)
def test_a_skip_for_want_of_something_required_fails(suite: pytest.Pytester, kind: str) -> None:
    suite.makepyfile(SKIPS[kind])
    result = suite.runpytest_inprocess("-p", "no:cacheprovider", f"--require={REQUIRED}")
    outcomes = result.parseoutcomes()
    assert "skipped" not in outcomes
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1
    result.stdout.fnmatch_lines(["*forbids this skip*"])


def test_a_skip_for_another_reason_stays_one(suite: pytest.Pytester) -> None:
    suite.makepyfile(OTHER_REASON)
    result = suite.runpytest_inprocess("-p", "no:cacheprovider", f"--require={REQUIRED}")
    result.assert_outcomes(skipped=1)


def test_an_unknown_requirement_is_refused(suite: pytest.Pytester) -> None:
    result = suite.runpytest_inprocess("-p", "no:cacheprovider", "--require=tensorflwo")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tensorflwo*"])
