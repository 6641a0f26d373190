"""Why a part of a journal was not written."""

from __future__ import annotations


class Fenced(Exception):
    """The lease is over: another worker has, or may have, the task. Nothing was written and nothing ever will be."""


class JournalUnavailable(Exception):
    """The database could not be asked, or did not answer: it is unknown whether the last write took place.

    The task is put back and replayed from what the database really holds; nothing is written a second time.
    """


class DatabaseImpaired(JournalUnavailable):
    """The database answers, and cannot do its work: its disk is full, its memory is used up, a file cannot be read.

    Trying again at once would not help.
    """


class Unstorable(Exception):
    """The database refuses this task's entries for what they contain, whenever they are tried."""
