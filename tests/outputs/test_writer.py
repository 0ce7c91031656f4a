"""Stories of the writer: cards stall, jobs fail, the loop goes on."""

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from guardian.outputs.writer import InlineWriter, ThreadWriter, Writer


@pytest.fixture
def writer() -> Iterator[ThreadWriter]:
    made = ThreadWriter("test", depth=4)
    yield made
    assert made.close()


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """A card that hangs until the test sets it."""
    released = threading.Event()
    yield released
    released.set()


def hold(writer: ThreadWriter, hang: threading.Event) -> None:
    """Let the thread be stuck in a job."""
    running = threading.Event()
    writer.submit(lambda: (running.set(), hang.wait()))
    assert running.wait(5.0)


def test_jobs_run_in_the_order_given(writer: ThreadWriter) -> None:
    done: list[int] = []
    for i in range(3):
        writer.submit(partial(done.append, i))
    assert writer.submit(lambda: None, wait_s=5.0)
    assert done == [0, 1, 2]


def test_a_hung_card_costs_the_loop_only_the_wait_it_allowed(writer: ThreadWriter, hang: threading.Event) -> None:
    writer.submit(hang.wait)
    assert not writer.submit(lambda: None, wait_s=0.01)
    hang.set()
    assert writer.submit(lambda: None, wait_s=5.0), "and it goes on when the card is back"


def test_a_full_queue_drops_and_counts(writer: ThreadWriter, hang: threading.Event) -> None:
    hold(writer, hang)
    done: list[int] = []
    for i in range(6):
        writer.submit(partial(done.append, i))
    assert writer.dropped == 2
    hang.set()
    assert writer.close()
    assert done == [0, 1, 2, 3], "what was taken is written; the last two were refused, not the first"


def test_a_stall_is_seen_by_the_clock_of_the_frames(writer: ThreadWriter, hang: threading.Event) -> None:
    assert writer.stalled_s(time.monotonic_ns()) == 0.0
    hold(writer, hang)
    assert writer.stalled_s(time.monotonic_ns() + 12_000_000_000) >= 12.0
    hang.set()
    assert writer.submit(lambda: None, wait_s=5.0)


def make(kind: str) -> Writer:
    return ThreadWriter("test") if kind == "thread" else InlineWriter("test")


@pytest.mark.parametrize("kind", ["thread", "inline"])
def test_a_job_that_raises_ends_only_itself_and_is_remembered_until_one_succeeds(kind: str) -> None:
    writer = make(kind)
    assert not writer.submit([].pop, wait_s=5.0)
    assert "IndexError" in writer.failure
    assert writer.submit(lambda: None, wait_s=5.0)
    assert not writer.failure
    assert writer.close()


@pytest.mark.parametrize("kind", ["thread", "inline"])
def test_close_runs_what_is_queued_and_takes_no_more(kind: str) -> None:
    writer, done = make(kind), []
    for i in range(5):
        writer.submit(partial(done.append, i))
    assert writer.close()
    assert done == [0, 1, 2, 3, 4]
    assert not writer.submit(lambda: done.append(9), wait_s=1.0)
    assert done[-1] == 4 and writer.dropped == 1


def test_close_does_not_wait_for_ever(hang: threading.Event) -> None:
    writer = ThreadWriter("test")
    writer.submit(hang.wait)
    assert not writer.close(limit_s=0.05)
