"""A PostgreSQL for tests: each test has a schema of its own, removed afterwards."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

URL = os.environ.get("TEST_POSTGRES_URL", "postgresql+psycopg://root@127.0.0.1:5432/test")


def require_postgres() -> None:
    """Skip the test where there is no PostgreSQL; on CI that is a failure."""
    engine = sa.create_engine(URL, connect_args={"connect_timeout": 2})
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as exc:
        reason = f"these tests need a PostgreSQL at {engine.url!r} ({exc})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    finally:
        engine.dispose()


@contextmanager
def schema() -> Iterator[str]:
    """Give a URL whose tables lie in a schema of their own, and drop it afterwards."""
    require_postgres()
    name = f"test_{secrets.token_hex(8)}"
    engine = sa.create_engine(URL)
    try:
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema(name))
        url = sa.make_url(URL).update_query_dict({"options": f"-csearch_path={name}"})
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.schema.DropSchema(name, cascade=True))
        engine.dispose()


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of a database for a test: of a file in a folder, or of a schema.

    Args:
        kind: "sqlite", or anything else for PostgreSQL.
        folder: Where the file is.
    """
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'usage.db'}"
    else:
        with schema() as url:
            yield url
