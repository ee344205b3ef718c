"""Snakemake's events as lines of JSON, for the process that started it: run_study.py."""

import json
import os

from snakemake_interface_logger_plugins.base import LogHandlerBase

FIELDS = ("cores", "stats", "jobid", "job_id", "rule_name", "wildcards", "log")


class LogHandler(LogHandlerBase):
    writes_to_stream = False  # Snakemake's own text goes on to its log
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        descriptor = int(os.environ["STRATA_EVENTS"])
        os.set_inheritable(descriptor, False)  # the stream ends with Snakemake, not with its jobs
        self.stream = os.fdopen(descriptor, "w", buffering=1)

    def emit(self, record) -> None:
        event = getattr(record, "event", None)
        told = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        told |= {"event": event and event.name, "message": record.getMessage()}
        told["error"] = record.levelname in ("ERROR", "CRITICAL")
        print(json.dumps(told, default=str), file=self.stream)
