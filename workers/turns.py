"""Which hints a worker follows: a few of all workers for each, or every launch would set a whole fleet to claiming."""

from __future__ import annotations

#: Workers that follow one hint. One would do if each always had room and time, and none ever died.
AWAKE = 4


class Turns:
    """Of all living workers a hint concerns AWAKE, spread over the fleet; up to that many workers follow every hint.

    Workers may know of different fleets for as long as a heartbeat interval: a hint is followed by a few more or less
    then. One that nobody follows is a hint that was lost.
    """

    def __init__(self) -> None:
        self._position = 0
        self._number = 1

    def learn(self, position: int, number: int) -> None:
        """This worker has `position`, from 0, among `number` living workers."""
        self._position = position
        self._number = max(number, 1)

    def concern_us(self, key: int) -> bool:
        """Whether this worker follows the hint with this key, such as the id of a task."""
        return (self._position - key) * AWAKE % self._number < AWAKE
