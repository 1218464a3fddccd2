from shared.limits import RateLimit, StrangerLimit


def test_a_source_within_its_rate_is_never_stopped() -> None:
    limit = RateLimit(per_minute=60)
    assert all(limit.take(1, now) == 0 for now in range(1000))


def test_a_source_over_its_rate_is_told_when_to_come_back_and_then_passes() -> None:
    limit = RateLimit(per_minute=60)
    assert [limit.take(1, 0.0) for _ in range(10)] == [0] * 10
    wait = limit.take(1, 0.0)
    assert wait >= 1
    assert limit.take(1, float(wait)) == 0


def test_a_batch_larger_than_the_bucket_passes_once_and_is_paid_back_by_time() -> None:
    limit = RateLimit(per_minute=60)
    assert limit.take(500, 0.0) == 0
    wait = limit.take(1, 0.0)
    assert 480 <= wait <= 500
    assert limit.take(1, 480.0) > 0
    assert limit.take(1, 500.0) == 0


def test_an_address_that_keeps_failing_is_barred_for_the_rest_of_the_window_only() -> None:
    limit = StrangerLimit(failures=3, window_seconds=60)
    for second in range(3):
        assert limit.barred_for("10.0.0.9", second) == 0
        limit.failed("10.0.0.9", second)
    assert limit.barred_for("10.0.0.9", 3) > 0
    assert limit.barred_for("10.0.0.8", 3) == 0
    assert limit.barred_for("10.0.0.9", 61) == 0


def test_a_flood_of_addresses_does_not_grow_the_memory_without_bound() -> None:
    limit = StrangerLimit()
    for number in range(30_000):
        limit.failed(str(number), 0.0)
    assert len(limit._seen) <= 10_000
