"""Jobs that wait for a process: which goes next, and to whom."""

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import count

Key = tuple[int, int]
"""Of a job: who has submitted it, and which of theirs it is."""


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job as it waits."""

    key: Key
    recipe: str
    """Names what a worker for it is made of."""
    flop: int
    """Operations, as far as they are known."""
    order: bytes
    """What a process is sent."""


@dataclass(order=True, slots=True)
class _Place:
    minus_flop: int
    number: int
    job: QueuedJob = field(compare=False)


class JobQueue:
    """Jobs of any recipes, the one of most operations first, of equal ones the first that came.

    A process is given jobs of recipes that it has made a worker for while any wait, for making one
    takes time and memory; else those of the recipe that fewest processes have.
    """

    def __init__(self) -> None:
        self._by_recipe: dict[str, list[_Place]] = {}
        self._numbers = count()
        self._waiting: set[Key] = set()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def __contains__(self, key: Key) -> bool:
        """Whether a job waits."""
        return key in self._waiting

    def add(self, job: QueuedJob) -> None:
        """Let a job wait."""
        place = _Place(-job.flop, next(self._numbers), job)
        heapq.heappush(self._by_recipe.setdefault(job.recipe, []), place)
        self._waiting.add(job.key)

    def drop(self, key: Key) -> None:
        """Take out a job that nobody wants any more; no effect if it does not wait."""
        self._waiting.discard(key)

    def drop_client(self, client: int) -> None:
        """Take out all jobs of one who submits."""
        self._waiting = {key for key in self._waiting if key[0] != client}

    def has_any_of(self, recipes: Collection[str]) -> bool:
        """Whether a job of some recipes waits."""
        return any(self._first(recipe) is not None for recipe in recipes)

    def pop(self, known: Collection[str], *, num_holders: Mapping[str, int]) -> QueuedJob | None:
        """Take out the next job; ``None`` if none waits.

        Parameters
        ----------
        known
            Recipes that the process has made a worker for.
        num_holders
            Processes that have, by recipe; 0 where one is not named.
        """
        first = {
            recipe: place
            for recipe in list(self._by_recipe)
            if (place := self._first(recipe)) is not None
        }
        if not first:
            return None
        own = [place for recipe, place in first.items() if recipe in known]
        if own:
            best = min(own)
        else:
            best = min(first.values(), key=lambda each: (num_holders.get(each.job.recipe, 0), each))
        heapq.heappop(self._by_recipe[best.job.recipe])
        self._waiting.discard(best.job.key)
        return best.job

    def _first(self, recipe: str) -> _Place | None:
        """Return the first of a recipe that is still wanted."""
        heap = self._by_recipe.get(recipe, [])
        while heap and heap[0].job.key not in self._waiting:
            heapq.heappop(heap)
        if not heap:
            self._by_recipe.pop(recipe, None)
            return None
        return heap[0]
