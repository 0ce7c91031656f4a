"""The motion that the stories play: a simulated person's, as a simulated chip's registers show it.

`python -m tests.vm.motion FOLDER` writes it, a file for each of MOTIONS. Each sample is what one block read from STATUS_REG on
would bring: 16 bytes, 104.17 a second.
"""

import sys
from pathlib import Path

from guardian.drivers.lsm6dsox import SETTINGS, STATUS_REG
from guardian.sim.lsm6dsox import LsmChip
from guardian.sim.person import Person
from guardian.sim.phases import Lie, Phase, Stand, TripBackward, Walk
from guardian.sim.world import Story

PERIOD_NS = 9_600_000
SAMPLE = 16
WHO = Person.drawn(1)
STAND_S, WALK_S = 3.0, 7.0
BEFORE_S = 1.0  # the chip has been running, and its filters have settled, before a file begins
FALL_IMPACT_S = STAND_S + WALK_S + TripBackward().impact_s(WHO) - BEFORE_S  # after "play fall"
MOTIONS: dict[str, tuple[float, tuple[Phase, ...]]] = {
    "stand": (40.0, (Stand(3600),)),
    "fall": (60.0, (Stand(STAND_S), Walk(WALK_S, speed=-0.6), TripBackward(), Lie(3600))),
}


def samples(name: str) -> bytes:
    """One after the other, from the beginning."""
    seconds, script = MOTIONS[name]
    chip = LsmChip(Story(WHO, script))
    for register, value in SETTINGS:
        chip.write(register, bytes([value]), 0)
    begin_ns = int(BEFORE_S * 1e9)
    count = int(seconds * 1e9) // PERIOD_NS
    return b"".join(chip.read(STATUS_REG, SAMPLE, begin_ns + n * PERIOD_NS) for n in range(count))


if __name__ == "__main__":
    for each in MOTIONS:
        Path(sys.argv[1], f"{each}.motion").write_bytes(samples(each))
