from bench.bench_streaming import measure
from tests.fakes.logs import MemoryLog


async def test_the_bench_measures() -> None:
    cost, median, late = await measure(MemoryLog(), count=3, seconds=0.2)
    assert cost > 0
    assert 0 < median <= late
