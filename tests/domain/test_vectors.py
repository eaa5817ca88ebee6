"""Vectors keep their order when they are packed."""

import math
import random
import struct

import pytest

from palaver.domain.vectors import DIMENSIONS_MAX, by_similarity, packed


def a_vector(draw: random.Random, dimensions: int) -> list[float]:
    numbers = [draw.gauss(0, 1) for _ in range(dimensions)]
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]


def as_bytes(numbers: list[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


@pytest.mark.parametrize("dimensions", [1, 7, 256, 1536])
def test_the_similarity_is_that_of_the_vectors_as_they_came(dimensions):
    draw = random.Random(dimensions)
    query, *others = [a_vector(draw, dimensions) for _ in range(20)]
    kept = [(ref, packed(as_bytes(other)).numbers) for ref, other in enumerate(others)]
    for ref, similarity in by_similarity(packed(as_bytes(query)), kept):
        exact = sum(a * b for a, b in zip(query, others[ref], strict=True))
        assert similarity == pytest.approx(exact, abs=0.01)


def test_the_nearest_comes_first_and_one_of_another_length_not_at_all():
    query = packed(as_bytes([1.0, 0.0]))
    kept = {1: [0.6, 0.8], 2: [1.0, 0.0], 3: [-1.0, 0.0], 4: [1.0, 0.0, 0.0]}
    found = by_similarity(query, [(ref, packed(as_bytes(v)).numbers) for ref, v in kept.items()])
    assert [ref for ref, _ in found] == [2, 1, 3]


def test_signs_are_bits_filled_up_to_bytes():
    assert packed(as_bytes([1, -1, 0, 1, 1, 1, 1, 1, 1])).signs == bytes([0b10011111, 0b10000000])


@pytest.mark.parametrize(
    "vector",
    [
        b"",
        b"123",
        bytes(8),
        as_bytes([math.nan, 1.0]),
        as_bytes([1.0, math.nan]),
        as_bytes([math.inf, 1.0]),
        as_bytes([1.0] * (DIMENSIONS_MAX + 1)),
    ],
)
def test_what_is_no_vector_is_refused(vector):
    with pytest.raises(ValueError, match="vector"):
        packed(vector)
