"""A chip's sample clock told in host time: never in the future, increasing, and without drift in either direction.

Theory of operation. Nobody tells when a chip took a sample, but each read of its FIFO bounds it: the newest sample in it is older than
the read, and, since the next one had not come, not older than one period before it. The line host = base + rate × chip is fitted to
these bounds. Reads beat against samples, so within a second some read comes right after a sample: the smallest distance of a second is
the line's error. It corrects the base at once where the line ran into the future, else in part, and the rate a little, so that a
crystal 2 % off or one that drifts with temperature is followed. With a sample clock in step with the loop the beat is slow, and the
times are late by up to one period; that is a constant, not a drift.
"""

WINDOW_NS = 1_000_000_000  # longer than the beat of 104 Hz samples against 100 Hz reads (0.25 s)
BASE_GAIN = 0.25  # of a window's error; with RATE_GAIN damped at 0.9, settles in about 10 s
RATE_GAIN = 0.02
RATE_SPAN = 0.1  # no sound oscillator is 10 % off
LOST_NS = 1_000_000_000  # a bound broken by more than this is no drift: the chip's time jumped
SLACK = 1.5  # periods that the newest sample may be old: reads and the chip's own filling take time


class Timebase:
    """Host times of a chip's samples. `period_ns` is the nominal time between two."""

    def __init__(self, period_ns: float) -> None:
        self._period_ns = period_ns
        self._rate = 1.0
        self._last_ns = 0
        self._windows = 0
        self.restart()

    def restart(self) -> None:
        """The chip's count was lost (reset, overflow): fit the base anew; the rate is still that of its oscillator."""
        self._running = False

    def observe(self, chip_ns: float, before_ns: int, after_ns: int) -> None:
        """The FIFO's newest sample has this chip time; it was read between these two host times."""
        line = self._base + (chip_ns - self._from) * self._rate if self._running else 0.0
        room = after_ns - line
        if not self._running or not -LOST_NS < room < LOST_NS:
            self._running = True
            self._base, self._from = float(after_ns), chip_ns
            self._least, self._most = 0.0, 0.0
            self._shift = 0.0
            return
        self._least = min(self._least, room) if self._least is not None else room
        self._most = max(self._most, before_ns - SLACK * self._period_ns - line)
        self._shift = self._least if self._least < 0 else min(self._most, self._least)
        span = chip_ns - self._from
        if span >= WINDOW_NS:
            error = self._least
            self._windows += 1
            base_gain = 1.0 if error < 0 else max(BASE_GAIN, 1 / self._windows)
            rate_gain = max(RATE_GAIN, 0.5 / self._windows**2) if self._windows > 1 else 0.0
            self._base = line + max(base_gain * error, self._shift)
            self._from = chip_ns
            self._rate = min(1 + RATE_SPAN, max(1 - RATE_SPAN, self._rate + rate_gain * error / span))
            self._least, self._most, self._shift = None, 0.0, 0.0

    def host_ns(self, chip_ns: float, not_after_ns: int) -> int:
        """Host time of a sample; later than the one before it."""
        t_ns = min(int(self._base + (chip_ns - self._from) * self._rate + self._shift), not_after_ns)
        self._last_ns = max(t_ns, self._last_ns + 1)
        return self._last_ns
