"""Which of two rate limits is the tighter one, and when it begins anew."""

import pytest

from palaver.domain.rates import Allowance, RateCounts, RateLimits
from palaver.kit.clock import HOUR, MINUTE

AT = 5 * HOUR + 7 * MINUTE + 3
NEXT_MINUTE = 5 * HOUR + 8 * MINUTE
NEXT_HOUR = 6 * HOUR


def counts(minute: int, hour: int) -> RateCounts:
    return RateCounts(NEXT_MINUTE - MINUTE, minute, NEXT_HOUR - HOUR, hour)


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        (None, Allowance(60, 60, NEXT_MINUTE)),
        (counts(1, 1), Allowance(60, 59, NEXT_MINUTE)),
        (counts(60, 60), Allowance(60, 0, NEXT_MINUTE)),
        (counts(1, 940), Allowance(60, 59, NEXT_MINUTE)),
        (counts(1, 942), Allowance(1000, 58, NEXT_HOUR)),
        (counts(60, 1000), Allowance(1000, 0, NEXT_HOUR)),
        # What was counted in windows that are over weighs nothing.
        (RateCounts(NEXT_MINUTE - 2 * MINUTE, 60, 0, 1000), Allowance(60, 60, NEXT_MINUTE)),
        # Another worker's clock is ahead: what it counted weighs.
        (RateCounts(NEXT_MINUTE, 60, 0, 0), Allowance(60, 0, NEXT_MINUTE + MINUTE)),
    ],
)
def test_the_tighter_limit_is_the_one_that_counts(
    counted: RateCounts | None, expected: Allowance
) -> None:
    assert RateLimits().allowance(counted, at=AT) == expected


def test_of_two_that_leave_the_same_the_later_one_is_told() -> None:
    limits = RateLimits(per_minute=5, per_hour=5)
    assert limits.allowance(None, at=AT) == Allowance(5, 5, NEXT_HOUR)


def test_a_limit_of_zero_is_none() -> None:
    assert RateLimits(per_minute=0).allowance(counts(99, 1), at=AT) == Allowance(
        1000, 999, NEXT_HOUR
    )
    assert RateLimits(per_hour=0).allowance(counts(1, 99), at=AT) == Allowance(60, 59, NEXT_MINUTE)
    assert RateLimits(0, 0).allowance(None, at=AT) is None
    assert RateLimits(0, 0).are_off
