"""The log of an operator process: a line for each decision, words first, then its fields."""

import logging

_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Lines(logging.Formatter):
    """Adds to each line what was given as `extra`, as `job=default/finetune`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that it overrides
        """The line with its fields."""
        fields = "".join(f" {name}={value}" for name, value in vars(record).items() if name not in _ORDINARY)
        return super().formatMessage(record) + fields


def write_logs() -> None:
    """Write to standard error from now on. kopf tells each event that it hears, so of it only warnings are written."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # It warns at each start that it hears no signals in a thread; we hear them.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
