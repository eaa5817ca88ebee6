"""A transaction as a service sees it: the stores, each a stateless face over the connection."""

from palaver.storage.connection import Connection


class Tx:
    """The stores of one transaction (or one read): `tx.users.get(…)`."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
