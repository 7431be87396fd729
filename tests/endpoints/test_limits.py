from agent.endpoints.limits import Limiter


def test_so_many_pass_at_once_and_then_as_the_bucket_fills() -> None:
    limiter = Limiter(40, 60)

    assert [limiter.lets("172.17.0.3", "/v4/a", 0.0) for _ in range(61)] == [True] * 60 + [False]
    assert not limiter.lets("172.17.0.3", "/v4/a", 0.02)
    assert limiter.lets("172.17.0.3", "/v4/a", 0.05)


def test_each_client_and_each_path_has_a_bucket_of_its_own() -> None:
    limiter = Limiter(1, 1)

    assert limiter.lets("172.17.0.3", "/v4/a", 0.0)
    assert limiter.lets("172.17.0.3", "/v4/b", 0.0)
    assert limiter.lets("172.17.0.4", "/v4/a", 0.0)
    assert not limiter.lets("172.17.0.3", "/v4/a", 0.0)


def test_a_bucket_that_is_full_again_is_not_kept() -> None:
    limiter = Limiter(1, 2)
    for number in range(100):
        limiter.lets("172.17.0.3", f"/{number}", 0.0)

    for number in range(100):
        limiter.lets("172.17.0.3", "/same", 10.0 + number)

    assert len(limiter) == 1


def test_paths_that_are_made_up_take_no_more_room_than_there_is() -> None:
    limiter = Limiter(1, 1_000_000, most=50)

    for number in range(5000):
        limiter.lets("172.17.0.3", f"/{number}", 0.0)

    assert len(limiter) == 50
