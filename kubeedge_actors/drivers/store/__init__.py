"""The durable memory of one edge node: one SQLite file, and the same promises in memory for tests.

Here belongs: tables, transactions, migrations, what a damaged file or a full disk is called.
Not here: what a row means, who may write it, when it is sent or answered; those who use a store decide that (`actors/`).
"""
