"""What every client has one of, made when it is asked for: columns stand behind it."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

Item = TypeVar("Item")


class ByClient(Sequence[Item]):
    """A sequence by client id; a subclass gives its length and the item of one client."""

    @abstractmethod
    def of_client(self, client_id: int) -> Item:
        """Return the item of one client, 0 to the number of clients less 1."""

    @overload
    def __getitem__(self, client_id: int) -> Item: ...
    @overload
    def __getitem__(self, client_id: slice) -> list[Item]: ...
    def __getitem__(self, client_id: int | slice) -> Item | list[Item]:
        numbers = range(len(self))[client_id]
        if isinstance(numbers, range):
            return [self.of_client(each) for each in numbers]
        return self.of_client(numbers)
