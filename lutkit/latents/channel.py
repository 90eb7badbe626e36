"""A bounded line between two threads that either side can end at any moment.

`queue.Queue` has no end: whoever waits in it for a thread that is gone waits for ever.
"""

from collections import deque
from threading import Condition
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Closed(Exception):  # noqa: N818  (nothing went wrong)
    """The other side is gone."""


class Channel(Generic[Item]):
    """Items from one thread to another.

    Args:
        room: how many may lie in it.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._items = deque[Item]()
        self._closed = False
        self._changed = Condition()

    def put(self, item: Item) -> None:
        """Add an item, once there is room.

        Raises:
            Closed: by whichever side; the item is not added.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._room)
            if self._closed:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> Item:
        """Take the oldest item, once there is one.

        Raises:
            Closed: by whichever side; what lay in it is lost.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._items))
            if self._closed:
                raise Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """End it for both sides, at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
