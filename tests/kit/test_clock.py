from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from palaver.kit.clock import iso_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_reads_as_the_standard_library_writes_it(moment: datetime) -> None:
    at = (moment - EPOCH) // timedelta(microseconds=1)
    assert iso_text(at) == moment.replace(tzinfo=None).isoformat(timespec="microseconds")
