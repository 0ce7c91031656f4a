"""Simulated time."""

from guardian.sim.clock import SimClock


def test_events_happen_in_order_of_time_each_at_its_own() -> None:
    clock = SimClock()
    seen: list[tuple[str, int]] = []
    for name, t_ns in (("late", 30), ("early", 10), ("between", 20), ("early too", 10), ("after", 41)):
        clock.schedule(t_ns, lambda name=name: seen.append((name, clock.now_ns())))
    clock.wait_until(40)
    assert seen == [("early", 10), ("early too", 10), ("between", 20), ("late", 30)]
    assert clock.now_ns() == 40


def test_an_event_may_bring_about_the_next() -> None:
    clock = SimClock()
    times: list[int] = []

    def again() -> None:
        times.append(clock.now_ns())
        clock.schedule(clock.now_ns() + 10, again)

    clock.schedule(5, again)
    clock.wait_until(30)
    assert times == [5, 15, 25]


def test_time_never_goes_back() -> None:
    clock = SimClock()
    clock.wait_until(100)
    clock.wait_until(50)
    assert clock.now_ns() == 100
    seen: list[int] = []
    clock.schedule(20, lambda: seen.append(clock.now_ns()))
    clock.wait_until(60)
    assert seen == [100]


def test_a_stall_makes_the_next_wait_late_while_the_world_goes_on() -> None:
    clock = SimClock()
    seen: list[int] = []
    clock.schedule(300, lambda: seen.append(clock.now_ns()))
    clock.stall(500)
    clock.wait_until(10)
    assert (clock.now_ns(), seen) == (500, [300])
    clock.wait_until(510)
    assert clock.now_ns() == 510


def test_a_stall_amid_a_wait_makes_that_wait_late() -> None:
    clock = SimClock()
    clock.schedule(7, lambda: clock.stall(100))
    clock.schedule(100, lambda: clock.stall(50))  # a second one before the first is over
    clock.wait_until(10)
    assert clock.now_ns() == 150


def test_a_stall_ends_with_who_stalled() -> None:
    clock = SimClock()
    clock.stall(500)
    clock.resume()
    clock.wait_until(10)
    assert clock.now_ns() == 10


def test_paced_it_sleeps_for_what_the_wall_is_behind_and_no_more() -> None:
    wall_ns = 5_000_000_000
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal wall_ns
        slept.append(seconds)
        wall_ns += int(seconds * 1e9)

    clock = SimClock(pace=2.0, sleep=sleep, wall_ns=lambda: wall_ns)
    clock.wait_until(1_000_000_000)
    assert slept == [0.5]
    wall_ns += 100_000_000  # the program took 0.1 s
    clock.wait_until(2_000_000_000)
    assert slept[1:] == [0.4]
    wall_ns += 2_000_000_000
    clock.wait_until(3_000_000_000)
    assert len(slept) == 2
