"""What a job computes: operations bound by arithmetic, and decode steps, which read all weights.

Training, reading a prompt and scoring work on many tokens at once: what bounds them is arithmetic.
A decode step writes one token of each text of its batch, and reads every weight and every cached
key and value for it: on most devices what bounds it is the memory. The longer of the two counts, as
in the roofline model (Williams, Waterman, Patterson 2009, doi:10.1145/1498765.1498785).
"""

from dataclasses import dataclass

from fl.clients.precision import Precision, job_memory_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSteps:
    """Decode steps one after the other, each with as much more to do as the one before had.

    The cache of keys and values grows by a token each step, and with it what attention computes and
    reads.
    """

    num_steps: int
    flop: int
    """Operations of the first step."""
    flop_growth: int = 0
    """Operations that each step has more than the one before."""
    frozen_bytes: int
    """Frozen weights that a step reads, in single precision."""
    trained_bytes: int = 0
    """Trained weights that a step reads."""
    cache_bytes: int = 0
    """Keys and values that the first step reads and writes, in single precision."""
    cache_growth_bytes: int = 0
    """What of these each step has more than the one before."""

    def step_flop(self, step: int) -> int:
        """Return the operations of one step, counted from 0."""
        return self.flop + step * self.flop_growth

    def step_bytes(self, step: int, precision: Precision = "fp32") -> int:
        """Return the memory traffic of one step on a device of this precision [bytes]."""
        return job_memory_bytes(
            precision,
            frozen_bytes=self.frozen_bytes,
            trained_bytes=self.trained_bytes,
            activation_bytes=self.cache_bytes + step * self.cache_growth_bytes,
        )

    @property
    def total_flop(self) -> int:
        """Operations of all steps."""
        pairs = self.num_steps * (self.num_steps - 1) // 2
        return self.num_steps * self.flop + pairs * self.flop_growth

    def total_bytes(self, precision: Precision = "fp32") -> int:
        """Return the memory traffic of all steps [bytes]."""
        return sum(self.step_bytes(step, precision) for step in range(self.num_steps))

    def seconds(
        self, *, flop_per_s: float, bytes_per_s: float, precision: Precision = "fp32"
    ) -> float:
        """Return the seconds of all steps: of each, the longer of arithmetic and memory traffic.

        Parameters
        ----------
        flop_per_s
            Operations a second.
        bytes_per_s
            Memory bandwidth [bytes/s].
        precision
            Numbers that the device computes with.
        """
        return sum(
            max(self.step_flop(step) / flop_per_s, self.step_bytes(step, precision) / bytes_per_s)
            for step in range(self.num_steps)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a job computes; two of them add up.

    Examples
    --------
    >>> (Work(flop=3) + Work(flop=4)).total_flop
    7
    """

    flop: int = 0
    """Operations bound by arithmetic: training, reading prompts, scoring."""
    decode: tuple[DecodeSteps, ...] = ()
    """Decode steps."""

    def __add__(self, other: "Work") -> "Work":
        return Work(flop=self.flop + other.flop, decode=self.decode + other.decode)

    @property
    def total_flop(self) -> int:
        """All operations, those of decode steps among them."""
        return self.flop + sum(each.total_flop for each in self.decode)
