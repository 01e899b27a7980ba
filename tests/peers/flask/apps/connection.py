"""A permanent connection to PostgreSQL per thread, in autocommit mode and with prepared statements."""

import os
import threading

import psycopg

threads = threading.local()


def execute(sql, values=()):
    """Runs a statement. The database is that of the variables PGHOST, PGUSER and PGDATABASE."""
    try:
        connection = threads.connection
    except AttributeError:
        connection = threads.connection = psycopg.connect(autocommit=True, prepare_threshold=2)
    return connection.execute(sql, values)


def worker():
    """Returns a name of this thread, which is unique in the service."""
    return f"flask-{os.getpid()}-{threading.get_ident()}"
