"""What the labs of faults do to a device, at the lowest level there is: chip registers, wires, the kernel's files, the broker."""

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guardian.app import places
from guardian.config import Config
from guardian.sim.inertial import Specimen
from guardian.sim.lsm6dsox import LsmChip
from guardian.sim.mpu6050 import MpuChip
from guardian.sim.supply import Max17048
from lab.stage import Act, Stage

Overrides = dict[str, dict[str, Any]]

WRITES = resource.getrlimit(resource.RLIMIT_FSIZE)
VIBRATION_PIN = 22
ROOM_MB, BALLAST_MB = 40, 48  # the recorder may use so much; the ballast is more
RESTART_S = 3.2


def nothing(stage: Stage) -> None:
    """It passes by itself."""


def right_board(stage: Stage) -> None:
    """The IMU that imu.chip says."""
    world, seed = stage.world, stage.seed
    stage.bench.fit_imu(MpuChip(world, seed=seed) if stage.config.imu.chip == "mpu6050" else LsmChip(world, seed=seed))


def wrong_board(stage: Stage) -> None:
    """One that has the same identity and twice the range."""
    stage.bench.fit_imu(LsmChip(stage.world, "lsm6dso32", seed=stage.seed))


def worn_gyro(stage: Stage) -> None:
    """A clone that turns at rest."""
    stage.bench.fit_imu(MpuChip(stage.world, seed=stage.seed, specimen=Specimen(gyro_bias=(0.0, 0.26, 0.0))))


def lie_on_the_button(stage: Stage) -> None:
    """Its contact stays closed: an SOS after 2 s. The caregiver has called, and clears it 3 s later."""

    def clear() -> None:
        alarm = stage.verdicts[-1].alarm
        stage.asks("clear", **{"for": alarm.id if alarm else "none"})

    stage.bench.hold()
    stage.later(5.0, clear)


def break_motor_and_press(stage: Stage) -> None:
    """A line that nobody writes cannot fail: a press is to be felt."""
    stage.bench.pin_broken(VIBRATION_PIN, errno.EIO)
    stage.bench.press(0.1)


def refuse_writes(stage: Stage) -> None:
    """From now on the kernel refuses every write to a file (EFBIG): of SQLite, of the journal, of the recorder."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, WRITES[1]))


def writes_again(stage: Stage) -> None:
    """And takes them again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, WRITES)


def fill_journal(stage: Stage) -> None:
    """The journal's next file is /dev/full, where every write is an ENOSPC of the kernel's own; and there is something to write."""
    places(stage.config).journal.with_name("journal.json.new").symlink_to("/dev/full")
    stage.asks("exercise", value="run")


def empty_journal(stage: Stage) -> None:
    """There is space again."""
    places(stage.config).journal.with_name("journal.json.new").unlink()


def fill_disk(stage: Stage) -> None:
    """Somebody else's file takes the space that the recorder was told to leave."""
    with (stage.folder / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, BALLAST_MB * 1_000_000)


def free_disk(stage: Stage) -> None:
    """That file is gone."""
    (stage.folder / "ballast").unlink()


def little_room(folder: Path) -> Overrides:
    """A recorder that is to leave nearly all of what is free now."""
    room = os.statvfs(folder)
    free_mb = room.f_bavail * room.f_frsize // 1_000_000
    return {"recorder": {"enabled": True, "keep_free_mb": max(10, free_mb - ROOM_MB)}}


def switch_broker_off(stage: Stage) -> None:
    """Its machine says so (a reset), and is gone."""
    stage.link.broker_crash()
    stage.link.wifi_down()


def send_caregiver_away(stage: Stage) -> None:
    """Nobody is subscribed; then something happens that somebody should know."""
    stage.link.caregiver = False
    stage.asks("test")


def bring_caregiver_back(stage: Stage) -> None:
    """Somebody is."""
    stage.link.caregiver = True


def refuse_events(stage: Stage) -> None:
    """The broker's ACL forbids events; then there is one to send."""
    stage.link.refusal = 0x87  # not authorized
    stage.asks("test")


def permit_events(stage: Stage) -> None:
    """The ACL is put right, and the broker started anew."""
    stage.link.refusal = None
    stage.link.broker_crash()


def no_clock(stage: Stage) -> None:
    """A start without the time of day; and a new connection, from which the wait for it counts."""
    stage.bench.lose_clock()
    stage.later(RESTART_S, stage.link.broker_crash)


def undervoltage(flag: str) -> Act:
    """The kernel's file says so."""
    return lambda s: (s.folder / "in0_lcrit_alarm").write_text(flag)


def cell(charge: float, cell_v: float) -> Act:
    """What the battery gauge measures."""

    def turn(stage: Stage) -> None:
        gauge = stage.bench.gauge
        assert gauge is not None
        gauge.cell_v = cell_v
        if isinstance(gauge, Max17048):
            gauge.charge = charge

    return turn


def pin_broken(which: Callable[[Config], int]) -> tuple[Act, Act]:
    """The GPIO library raises for this pin, and no longer."""
    return lambda s: s.bench.pin_broken(which(s.config), errno.EIO), lambda s: s.bench.pin_heals(which(s.config))


CABLE: tuple[Act, Act] = (lambda s: s.bench.unplug_imu(), lambda s: s.bench.plug_imu())
GYRO_RAILED: tuple[Act, Act] = (lambda s: s.bench.imu_full_scale(3, 4, 5), lambda s: s.bench.imu_heals())
HUNG: tuple[Act, Act] = (lambda s: s.bench.bus.hang(), lambda s: s.bench.bus.heal())
WIFI: tuple[Act, Act] = (lambda s: s.link.wifi_down(), lambda s: s.link.wifi_up())
TRIGGER = pin_broken(lambda c: c.ranger.trigger_pin)
BUTTON = pin_broken(lambda c: c.button.pin)
