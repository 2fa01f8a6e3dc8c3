"""What the scenario layer raises: bad input, with every problem on a line of its own."""

from collections.abc import Sequence


class ScenarioError(ValueError):
    """The scenario cannot be run as written; ``problems`` holds one clear line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class RunFailedError(RuntimeError):
    """A run stopped on an error of the program; its finished rounds stay readable."""
