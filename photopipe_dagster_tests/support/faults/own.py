"""Trouble of the machine itself: a ledger that is locked, and a disk that is full."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from operator import attrgetter
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

from photopipe_dagster.ledger import Ledger
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster_tests.support.faults.calls import LOCKED

_BUSY_MILLISECONDS = 150
"""How long a writer waits here, instead of half a minute."""

_BRIEFLY_SECONDS = 0.03

Happened = Callable[[], int]


@contextmanager
def ledger_trouble(ledger: Ledger, method: str, name: str, *, lasting: bool) -> Iterator[Happened]:
    """From the moment at which a method of the ledger is called."""
    how = _locked if name == LOCKED else _full
    part, _, verb = method.rpartition(".")
    owner = attrgetter(part)(ledger)
    real = getattr(owner, verb)
    calls: list[None] = []
    with how(ledger, lasting) as begin:

        def troubled(*args: Any, **kwargs: Any) -> Any:
            if lasting or not calls:
                begin()
            calls.append(None)
            return real(*args, **kwargs)

        with patch.object(owner, verb, troubled):
            yield lambda: len(calls)


@contextmanager
def _locked(ledger: Ledger, lasting: bool) -> Iterator[Callable[[], None]]:
    """Another program holds the database for writing."""
    engine = ledger.database.engine
    path = str(engine.url.database)

    def hurry(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")

    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:

        def begin() -> None:
            if not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")
            if not lasting:
                threading.Timer(_BRIEFLY_SECONDS, other.rollback).start()

        event.listen(engine, "checkout", hurry)
        try:
            yield begin
        finally:
            event.remove(engine, "checkout", hurry)
            engine.dispose()
            if other.in_transaction:
                other.rollback()


@contextmanager
def _full(ledger: Ledger, lasting: bool) -> Iterator[Callable[[], None]]:
    """The disk of the database is full: writing fails in the driver, as SQLite says it."""
    engine = ledger.database.engine
    left = [0]

    def refuse(_: object, statement: str, *__: object) -> None:
        if left[0] > 0 and statement.startswith(("INSERT", "UPDATE", "DELETE")):
            left[0] -= 1
            raise sqlite3.OperationalError("database or disk is full")

    def begin() -> None:
        left[0] = 1_000_000 if lasting else 1

    event.listen(engine, "do_execute", refuse)
    try:
        yield begin
    finally:
        event.remove(engine, "do_execute", refuse)


@contextmanager
def full_disk(prefix: str, *, lasting: bool) -> Iterator[Happened]:
    """The disk of the folder is full: the operating system says so when a file is made durable."""
    writing = threading.local()
    happened: list[str] = []
    put, fsync = LocalStore.put, os.fsync

    def noted(store: LocalStore, key: str, *args: Any, **kwargs: Any) -> Any:
        writing.key = key
        try:
            return put(store, key, *args, **kwargs)
        finally:
            writing.key = ""

    def full(descriptor: int) -> None:
        if getattr(writing, "key", "").startswith(prefix) and (lasting or not happened):
            happened.append(writing.key)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with patch.object(LocalStore, "put", noted), patch.object(os, "fsync", full):
        yield lambda: len(happened)
