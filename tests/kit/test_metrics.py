from palaver.kit.metrics import Counter, Histogram, gauge
from palaver.kit.process import process_lines


def test_a_counter_shows_a_sum_for_each_combination_of_labels():
    counter = Counter("tokens_total", "Tokens.", ("provider", "direction"))
    counter.add(("a", "in"), 3)
    counter.add(("a", "in"), 4)
    counter.add(("a", "out"))
    assert counter.lines() == [
        "# HELP tokens_total Tokens.",
        "# TYPE tokens_total counter",
        'tokens_total{provider="a",direction="in"} 7',
        'tokens_total{provider="a",direction="out"} 1',
    ]


def test_a_bucket_counts_what_lies_below_it_as_well_and_its_bound():
    histogram = Histogram("seconds", "Seconds.", (0.1, 1), ("kind",))
    for seconds in (0.1, 0.5, 0.5, 3):
        histogram.observe(seconds, ("x",))
    assert histogram.lines()[2:] == [
        'seconds_bucket{kind="x",le="0.1"} 1',
        'seconds_bucket{kind="x",le="1"} 3',
        'seconds_bucket{kind="x",le="+Inf"} 4',
        'seconds_sum{kind="x"} 4.1',
        'seconds_count{kind="x"} 4',
    ]


def test_labels_are_escaped_and_numbers_without_labels_stand_alone():
    counter = Counter("odd_total", "Odd.", ("name",))
    counter.add(('a"b\\c\nd',))
    assert counter.lines()[-1] == 'odd_total{name="a\\"b\\\\c\\nd"} 1'
    assert gauge("live", "Live.", 2.5)[-1] == "live 2.5"


def test_the_process_tells_what_it_takes():
    names = {line.split()[0] for line in process_lines() if not line.startswith("#")}
    assert {"process_cpu_seconds_total", "process_start_time_seconds"} <= names
