"""Vectors: the texts of one owner whose meaning is nearest, by exact search (`domain.vectors`).

No index is built, and no extension of PostgreSQL is needed: an owner pays for what is his own, and
a new embedder needs no new table. What has no vector of a space yet stands in `search_entries`.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from palaver.domain.search import SearchKind
from palaver.domain.vectors import Packed
from palaver.storage.connection import Connection
from palaver.storage.statements import Engine, Statement

_OWNERS_MAX: Final = 16  # that share one round of `missing`
_NO_SPACE: Final = -1
_MANY: Final = 20_000  # vectors of one owner


class Lacking(msgspec.Struct, frozen=True, gc=False):
    """An indexed text that has no vector yet; `version` tells whether it is still the same."""

    ref: int
    owner_id: int
    version: int


def _pair(ref: int, other: int) -> tuple[int, int]:
    return ref, other


def _kept(ref: int, vector: bytes) -> tuple[int, bytes]:
    return ref, vector


_SPACE: Final = Statement("select id from vector_spaces where name = :name", int)
_ADD_SPACE: Final[Statement[None]] = Statement(
    "insert into vector_spaces (name) values (:name) on conflict (name) do nothing"
)
# Only what is still indexed, and as it was: it may have changed while it was embedded.
_MARK: Final = Statement(
    """update search_entries set space_id = :space_id
    where kind = :kind and ref = :ref and owner_id = :owner_id and version = :version
    returning ref""",
    int,
)
_PUT: Final[Statement[None]] = Statement(
    """insert into vectors (kind, ref, owner_id, space_id, vector)
    values (:kind, :ref, :owner_id, :space_id, :vector)
    on conflict (kind, ref) do update set space_id = excluded.space_id, vector = excluded.vector"""
)
_FORGET_BITS: Final[Statement[None]] = Statement(
    """delete from vector_bits where owner_id = :owner_id and kind = :kind and ref = :ref
    and space_id in (select space_id from vectors where kind = :kind and ref = :ref)"""
)
_PUT_BITS: Final[Statement[None]] = Statement(
    sqlite="""insert or replace into vector_bits (owner_id, kind, space_id, ref, bits)
        values (:owner_id, :kind, :space_id, :ref, :bits)""",
    postgresql="""insert into vector_bits (owner_id, kind, space_id, ref, bits)
        values (:owner_id, :kind, :space_id, :ref, cast(cast(:bits as text) as bit varying))
        on conflict (owner_id, kind, space_id, ref) do update set bits = excluded.bits""",
)
_OWNED: Final = Statement(
    "select ref, owner_id from vectors where kind = :kind and ref {in_numbers refs}", _pair
)
_REMOVE: Final[Statement[None]] = Statement("delete from vectors where kind = :kind and ref = :ref")
_UNMARK: Final[Statement[None]] = Statement(
    "update search_entries set space_id = 0 where kind = :kind and ref = :ref"
)
_OF_OTHER_SPACES: Final = Statement(
    """select kind, ref from vectors where space_id < :space_id or space_id > :space_id
    order by space_id, kind, ref limit :limit""",
    _pair,
)
_TEXTS: Final = Statement(
    "select texts from search_totals where owner_id = :owner_id and kind = :kind", int
)
_OWN: Final = """from vector_bits
    where owner_id = :owner_id and kind = :kind and space_id = :space_id"""
_NEAREST_SQLITE: Final = "order by vec_distance_hamming(vec_bit(bits), vec_bit(:bits)) limit :limit"
# The subselect is read once; the cast of a parameter would be made anew for each row.
_NEAREST_POSTGRESQL: Final = """
    order by bit_count(bits # (select cast(cast(:bits as text) as bit varying))) limit :limit"""
_NEAR: Final = Statement(
    row=int,
    slow=True,
    sqlite=f"select ref {_OWN} {_NEAREST_SQLITE}",
    postgresql=f"select ref {_OWN} {_NEAREST_POSTGRESQL}",
)
# Whose vectors are few, finds them by the index, and never by reading everybody's: a plan that is
# made for any owner does that where some have very many.
_NEAR_OF_FEW: Final = Statement(
    row=int,
    slow=True,
    sqlite=f"select ref {_OWN} {_NEAREST_SQLITE}",
    postgresql=f"select ref from (select ref, bits {_OWN} order by ref offset 0) own "
    + _NEAREST_POSTGRESQL,
)
_OWN_OF_TYPE: Final = f"""{_OWN}
    and ref in (select id from memories where owner_id = :owner_id and type = :type)"""
_NEAR_OF_TYPE: Final = Statement(
    row=int,
    slow=True,
    sqlite=f"select ref {_OWN_OF_TYPE} {_NEAREST_SQLITE}",
    postgresql=f"select ref from (select ref, bits {_OWN_OF_TYPE} order by ref offset 0) own "
    + _NEAREST_POSTGRESQL,
)
_KEPT: Final = Statement(
    "select ref, vector from vectors where kind = :kind and ref {in_numbers refs}",
    _kept,
    slow=True,
)
_HAS: Final = Statement(
    """select ref from vector_bits
    where owner_id = :owner_id and kind = :kind and space_id = :space_id order by ref limit 1""",
    int,
)
# From owner to owner by leaps through the index: nobody's many texts hide another's few.
_LACKING: Final = "kind = :kind and (space_id < :space_id or space_id > :space_id)"
_OWNERS: Final = Statement(
    f"""with recursive owners(id) as (
        select min(owner_id) from search_entries where {_LACKING} and owner_id > :after
        union all
        select (select min(owner_id) from search_entries
            where {_LACKING} and owner_id > owners.id)
        from owners where owners.id is not null)
    select id from owners where id is not null limit :limit""",
    int,
)
_MISSING: Final = Statement(
    f"""select ref, owner_id, version from search_entries
    where {_LACKING} and owner_id = :owner_id order by ref limit :limit""",
    Lacking,
)


class VectorStore:
    """`vectors` and `vector_bits`; a space is the `id` of an `Embedder`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(
        self, kind: SearchKind, entries: Sequence[tuple[Lacking, Packed]], *, space: str
    ) -> int:
        """Keep the vectors of texts in the place of what those had; return how many.

        A text that has changed since, or has left the index, is passed over. A few dozen go into
        one transaction.
        """
        space_id = await self._space(space, is_new=True)
        rows = []
        for text, vector in sorted(entries, key=lambda entry: entry[0].ref):
            place = {
                "kind": int(kind),
                "ref": text.ref,
                "owner_id": text.owner_id,
                "space_id": space_id,
            }
            if await self._connection.one(_MARK, version=text.version, **place) is not None:
                rows.append({**place, "vector": vector.numbers, "bits": self._bits(vector)})
        if rows:
            await self._connection.many(_FORGET_BITS, rows)
            await self._connection.many(_PUT, rows)
            await self._connection.many(_PUT_BITS, rows)
        return len(rows)

    async def remove(self, kind: SearchKind, refs: Collection[int]) -> None:
        """Forget the vectors of some refs; what is still indexed is `missing` them again."""
        owned = await self._connection.all(_OWNED, kind=int(kind), refs=_listed(refs))
        rows = [{"kind": int(kind), "ref": ref, "owner_id": owner} for ref, owner in owned]
        if rows:
            await self._connection.many(_FORGET_BITS, rows)
            await self._connection.many(_REMOVE, rows)
            await self._connection.many(_UNMARK, rows)

    async def remove_others(self, *, space: str | None, limit: int) -> int:
        """Forget at most `limit` vectors of any space but this; return how many."""
        space_id = _NO_SPACE if space is None else await self._space(space)
        found = await self._connection.all(_OF_OTHER_SPACES, space_id=space_id, limit=limit)
        for kind in {kind for kind, _ in found}:
            await self.remove(SearchKind(kind), [ref for of, ref in found if of == kind])
        return len(found)

    async def has_any(self, kind: SearchKind, *, owner_id: int, space: str) -> bool:
        """Tell whether the owner has any vector of this space."""
        space_id = await self._space(space)
        place = {"owner_id": owner_id, "kind": int(kind), "space_id": space_id}
        return await self._connection.one(_HAS, **place) is not None

    async def near(
        self,
        kind: SearchKind,
        vector: Packed,
        *,
        owner_id: int,
        space: str,
        at_least: int = 0,
        type: str | None = None,
    ) -> list[tuple[int, bytes]]:
        """Return the owner's vectors that agree in most signs: refs and numbers, in no order.

        Of memories those of a type; `at_least` so many, where there are. Who orders them is
        `domain.vectors.by_similarity`.
        """
        place: dict[str, Any] = {"owner_id": owner_id, "kind": int(kind)}
        statement = _NEAR
        if (await self._connection.one(_TEXTS, **place) or 0) < _MANY:
            statement = _NEAR_OF_FEW
        if type is not None:
            statement, place["type"] = _NEAR_OF_TYPE, type
        refs = await self._connection.all(
            statement,
            **place,
            space_id=await self._space(space),
            bits=self._bits(vector),
            limit=max(vector.candidates, at_least),
        )
        if not refs:
            return []
        return await self._connection.all(_KEPT, kind=int(kind), refs=_listed(refs))

    async def missing(
        self, kind: SearchKind, *, space: str, limit: int, after: int = 0
    ) -> list[Lacking]:
        """Return what is indexed and has no vector of this space yet.

        Several owners share a round; the next one goes on `after` the last owner of this.
        """
        space_id = await self._space(space)
        owners = await self._owners(kind, space_id, after)
        if not owners and after:
            owners = await self._owners(kind, space_id, 0)
        found: list[Lacking] = []
        for number, owner_id in enumerate(owners):
            share = -(-(limit - len(found)) // (len(owners) - number))
            found += await self._connection.all(
                _MISSING, kind=int(kind), space_id=space_id, owner_id=owner_id, limit=share
            )
        return found

    async def _owners(self, kind: SearchKind, space_id: int, after: int) -> list[int]:
        return await self._connection.all(
            _OWNERS, kind=int(kind), space_id=space_id, after=after, limit=_OWNERS_MAX
        )

    async def _space(self, name: str, *, is_new: bool = False) -> int:
        """Return the number of a space; `_NO_SPACE` for one that nothing was put into."""
        id = await self._connection.one(_SPACE, name=name)
        if id is None and is_new:
            await self._connection.run(_ADD_SPACE, name=name)
            id = await self._connection.one(_SPACE, name=name)
        return _NO_SPACE if id is None else id

    def _bits(self, vector: Packed) -> bytes | str:
        if self._connection.engine is Engine.SQLITE:
            return vector.signs
        return f"{int.from_bytes(vector.signs, 'big'):0{8 * len(vector.signs)}b}"


def _listed(refs: Collection[int]) -> str:
    return msgspec.json.encode(list(refs)).decode()
