"""Real peers for the tests: PostgreSQL, Postfix, Synapse and Chromium, all on 127.0.0.1.

One of each serves a whole test run, also when several pytest workers share it; what a test must not share (a database, a
mail domain, a Matrix route) is made fresh for it. The names that tests use are the fixtures of `tests.peers.fixtures`.
"""
