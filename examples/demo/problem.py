"""What ends the demo early."""


class DemoError(Exception):
    """The demo cannot go on.

    Args:
        reason: What is wrong, and what to do.
        more: A command that shows more.
    """

    def __init__(self, reason: str, more: str) -> None:
        super().__init__(reason)
        self.more = more
