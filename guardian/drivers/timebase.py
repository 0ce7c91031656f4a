"""A chip's sample clock told in host time: never in the future, increasing, and without drift in either direction.

Theory of operation. Nobody tells when a chip took a sample, but each read of its FIFO bounds it: the newest sample in it is older than
the read's end, and, since the next one had not come, less than one period older than the read's beginning. The line
host = base + rate × chip is moved only when it leaves these bounds, and then onto the bound. As reads beat against samples the bounds
close in (104 Hz samples and 100 Hz reads: ±0.5 ms within 0.25 s; a chip in step with the loop leaves half a period open). How far the
line had to be moved in an epoch is how much its rate was off: epochs grow from 1 s to 32 s, so that a part 2 % off is followed after a
second and a drift with temperature for ever.
"""

EPOCHS_NS = (500_000_000, 1_000_000_000, 2_000_000_000, 4_000_000_000, 8_000_000_000, 16_000_000_000, 32_000_000_000)
RATE_GAIN = 0.7  # of what an epoch's moves say; the first one's say where the base was, not what the rate is
RATE_SPAN = 0.1  # no sound oscillator is 10 % off
LOST_NS = 1_000_000_000  # a bound broken by more than this is no drift: the chip's time jumped
SLACK = 1.05  # periods that the newest sample may be old: the rate is not known yet, and a chip is some time at storing


class Timebase:
    """Host times of a chip's samples. `period_ns` is the nominal time between two."""

    def __init__(self, period_ns: float) -> None:
        self._period_ns = period_ns
        self._half_ns = int(period_ns / 2)
        self._rate = 1.0
        self._epoch = 0
        self._last_ns = -self._half_ns
        self.restart()

    def restart(self) -> None:
        """The chip's count was lost (reset, overflow): the base is found anew; the rate is still that of its oscillator."""
        self._running = False
        self._base = self._from = self._moved = 0.0

    def observe(self, chip_ns: float, before_ns: int, after_ns: int) -> None:
        """The FIFO's newest sample has this chip time; it was read between these two host times."""
        line = self._base + (chip_ns - self._from) * self._rate
        room = after_ns - line
        if not self._running or not -LOST_NS < room < LOST_NS:
            self._running = True
            self._base, self._from, self._moved = after_ns - self._period_ns / 2, chip_ns, 0.0
            self._epoch = min(self._epoch, 1)
            return
        lack = before_ns - SLACK * self._period_ns - line
        move = room if room < 0 else max(lack, 0.0)
        self._base += move
        self._moved += move
        span = chip_ns - self._from
        if span >= EPOCHS_NS[self._epoch]:
            if self._epoch:
                rate = self._rate + RATE_GAIN * self._moved / span
                self._rate = min(1 + RATE_SPAN, max(1 - RATE_SPAN, rate))
            self._base, self._from, self._moved = line + move, chip_ns, 0.0
            self._epoch = min(self._epoch + 1, len(EPOCHS_NS) - 1)

    def host_ns(self, chip_ns: float, after_ns: int) -> int:
        """Host time of a sample that came in a read which ended at `after_ns`.

        Later than the sample before it, and by half a period where the line was just moved back: nobody is to divide by a nanosecond.
        """
        t_ns = max(int(self._base + (chip_ns - self._from) * self._rate), self._last_ns + self._half_ns)
        self._last_ns = max(min(t_ns, after_ns), self._last_ns + 1)
        return self._last_ns
