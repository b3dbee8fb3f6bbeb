import psycopg
import pytest

from tests.peers.forward import Forwarder
from tests.peers.postgres import Postgres


def test_each_database_is_empty_and_a_tests_own(postgres: Postgres) -> None:
    first, second = postgres.fresh_database(), postgres.fresh_database()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE finds (name text)")
        connection.execute("INSERT INTO finds VALUES ('Blåstång 🌊')")
    with psycopg.connect(first) as connection:
        assert connection.execute("SELECT name FROM finds").fetchall() == [("Blåstång 🌊",)]
    with psycopg.connect(second) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT name FROM finds")


def test_databases_are_dropped_after_the_test_even_when_still_in_use(postgres: Postgres) -> None:
    url = postgres.fresh_database()
    with psycopg.connect(url) as connection:
        postgres.drop_all()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_a_cut_line_is_an_outage_and_ends_when_mended(postgres: Postgres) -> None:
    with Forwarder(postgres.port) as line:
        url = postgres.fresh_database(port=line.port)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            line.cut()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        line.mend()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
