"""Alembic's entry: run migrations on the connection that the ledger hands over.

From the command line (`alembic -x url=... check`, or DICOM_ROUTER_LEDGER) it opens the ledger
itself. Without either, a scratch ledger in a temporary folder is brought up to date first, so
that `alembic check` tells whether the migrations make what the models say.
"""

import os

from sqlalchemy import Connection

from alembic import context
from router.ledger.engine import Ledger
from router.ledger.models import LedgerTable


def migrate(connection: Connection) -> None:
    """Run what was asked for in the transaction that is already open."""
    context.configure(
        connection=connection,
        target_metadata=LedgerTable.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Find the connection, then migrate."""
    given = context.config.attributes.get("connection")
    url = context.get_x_argument(as_dictionary=True).get("url") or os.environ.get(
        "DICOM_ROUTER_LEDGER"
    )
    if given is not None:
        migrate(given)
    elif url:
        with Ledger(url).write() as connection:
            migrate(connection)
    else:
        raise SystemExit("say which ledger: alembic -x url=sqlite:///var/ledger.db ...")


main()
