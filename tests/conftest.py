import os
import tempfile

from hypothesis import settings

# Compiled programs of one run of the tests serve all its processes, and no other run.
os.environ.setdefault("GRADLAB_CACHE", tempfile.mkdtemp(prefix="gradlab-tests-"))

# The same examples at every run, so that a failure is a change in the code.
settings.register_profile("gradlab", derandomize=True, deadline=None)
settings.load_profile("gradlab")


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    """In CI every extra is installed, so a test that was skipped is a failure of the set-up."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and os.environ.get("CI"):
        terminalreporter.write_line(f"{len(skipped)} skipped in CI: every extra must be installed")
        terminalreporter._session.exitstatus = 1
