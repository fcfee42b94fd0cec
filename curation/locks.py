"""Things that two processes must not do at once though no row stands for them yet."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def alone_with(name: str) -> Iterator[None]:
    """Nobody else is inside with the same name until the transaction ends, this one or the one around it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        yield
