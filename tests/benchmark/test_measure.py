import pytest

from warpkit.benchmark.measure import Spread, in_turn, milliseconds, spread


def test_median_and_quartiles():
    assert spread([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(median=3.0, low=2.0, high=4.0)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)


def test_the_relative_spread_is_half_the_quartiles_distance():
    assert Spread(median=4.0, low=3.0, high=5.0).relative == 0.25


def test_milliseconds_have_three_digits_or_are_whole():
    assert [milliseconds(t) for t in (2e-5, 0.01234, 0.9, 1.2349)] == ["0.02", "12.3", "900", "1,235"]


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the calls move."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


def call(clock, log, name, seconds):
    def body():
        log.append(name)
        clock[0] += seconds

    return body


def test_calls_alternate_and_each_round_holds_their_own_times(clock):
    log: list[str] = []
    rounds = in_turn([call(clock, log, "a", 1.0), call(clock, log, "b", 3.0)], seconds=9.0, repeats=3)
    assert rounds == [(1.0, 3.0)] * 3
    assert log[-6:] == ["a", "b", "b", "a", "a", "b"]


def test_time_decides_how_many_rounds_but_five_there_are(clock):
    log: list[str] = []
    assert len(in_turn([call(clock, log, "a", 1.0)], seconds=8.0)) == 8
    assert len(in_turn([call(clock, log, "a", 1.0)], seconds=0.1)) == 5


def test_a_call_too_short_for_the_clock_is_repeated_within_a_sample(clock):
    log: list[str] = []
    rounds = in_turn([call(clock, log, "a", 1e-5)], seconds=1.0, repeats=1)
    assert rounds[0][0] == pytest.approx(1e-5)
    assert len(log) > 50
