"""What all tests share."""

from collections import Counter

from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("strata", deadline=None)
settings.load_profile("strata")


def pytest_unconfigure(config):
    """The last line: nothing is skipped unseen."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    skipped = reporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    told = "; ".join(f"{count} ({reason})" for reason, count in sorted(reasons.items()))
    reporter.write_line(f"skipped: {told or 'none'}")
