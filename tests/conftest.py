import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# Compiled programs of one run of the tests serve all its processes, and no other run.
os.environ.setdefault("GRADLAB_CACHE", tempfile.mkdtemp(prefix="gradlab-tests-"))

# The same examples at every run, so that a failure is a change in the code.
settings.register_profile("gradlab", derandomize=True, deadline=None)
settings.load_profile("gradlab")


NO_DATA = "no copy of the published data"


@pytest.fixture(scope="session")
def published():
    """A folder with published datasets: $GRADLAB_DATA, or shared/data beside this checkout."""

    def folder(*files):
        beside = Path(__file__).parents[2] / "shared" / "data"
        found = Path(os.environ.get("GRADLAB_DATA") or beside)
        absent = [file for file in files if not (found / file).exists()]
        if absent:
            pytest.skip(f"{NO_DATA}: {', '.join(absent)}; name its folder in GRADLAB_DATA")
        return found

    return folder


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    """In CI every extra is installed, so a test that was skipped is a failure of the set-up.

    Published data need not be there.
    """
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if NO_DATA not in str(report.longrepr)
    ]
    if skipped and os.environ.get("CI"):
        terminalreporter.write_line(f"{len(skipped)} skipped in CI: every extra must be installed")
        terminalreporter._session.exitstatus = 1
