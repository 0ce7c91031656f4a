"""guardian check: one row a part, pass or fail or skip, with what to do. The rows run on any Hardware."""

import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Literal

from msgspec import Struct
from rich.table import Table

from guardian import hardware
from guardian.app import AlreadyRunning, bench_for_checks, broker_answer, calibration_of, locked, places
from guardian.commands.options import config_of, console, is_refusal
from guardian.commands.sounds import play
from guardian.config import LOCAL, SHIPPED, Config, ConfigError, ns
from guardian.contract import FAULTS
from guardian.drivers.button import Button
from guardian.drivers.hcsr04 import Hcsr04
from guardian.drivers.imu import Imu, Refusal, rest_check
from guardian.drivers.supply import PowerSupply
from guardian.frame import Echo, ImuSample
from guardian.hardware import Hardware
from guardian.outputs.wall import clock_synced

G_M_S2 = 9.80665
DEGREES = 57.29577951308232
SCAN = range(0x08, 0x78)  # I2C addresses that are not reserved
REST_S = 2.0
PINGS_S = 3.0
NOTHING_SPLIT_S = 0.1  # parts say "nothing" by a pulse of 38 ms or of 200 ms

Outcome = Literal["pass", "fail", "skip"]
STYLES: dict[Outcome, str] = {"pass": "bold green", "fail": "bold red", "skip": "yellow"}


class Row(Struct, frozen=True):
    """One line of the table."""

    part: str
    outcome: Outcome
    says: str
    remedy: str = ""


def main(args: Namespace) -> int:
    """Check all, or the configuration alone; 1 when a row fails. A refused configuration ends in 2 before any row."""
    config = config_of(args)
    out = console()
    with out.status("checking, about ten seconds ..."):
        rows = list(rows_of(config, args))
    table = Table(box=None, pad_edge=False)
    table.add_column("part", style="bold", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("what it says, and what to do", ratio=1)
    for row in rows:
        table.add_row(row.part, f"[{STYLES[row.outcome]}]{row.outcome}[/]", row.says + (f"\n[bold]→ {row.remedy}[/]" if row.remedy else ""))
    out.print(table)
    failed = [row.part for row in rows if row.outcome == "fail"]
    out.print(f"[bold red]failed: {', '.join(failed)}[/]" if failed else "[bold green]all well[/]")
    return 1 if failed else 0


def rows_of(config: Config, args: Namespace) -> Iterator[Row]:
    """All rows asked for, as they are known."""
    yield config_row(config, args.config or LOCAL)
    if args.config_only:
        return
    yield from machine_rows(config)
    try:
        with locked(places(config)):
            device = bench_for_checks(config) if args.bench else hardware.real(config)
            try:
                yield from device_rows(config, device)
            finally:
                device.close()
    except AlreadyRunning as error:
        yield Row("hardware", "skip", str(error), "systemctl stop guardian, then check again")
        return  # a second connection under the same name would throw the running device off the broker
    except Exception as error:
        if not is_refusal(error):
            raise
        yield Row("hardware", "fail", f"this machine's bus and pins cannot be used: {error}", _remedy_for(error))
    yield from outside_rows(config)


def _remedy_for(error: Exception) -> str:
    if isinstance(error, ImportError):
        return "on a Raspberry Pi: apt install python3-lgpio, and a virtual environment with --system-site-packages"
    return "run on the Raspberry Pi, as a user in the groups i2c and gpio; or try guardian check --bench"


def config_row(config: Config, local: Path) -> Row:
    """Which file rules, and a calibration that can be read."""
    which = str(local) if local.exists() else f"{SHIPPED.name} as shipped ({local} does not exist)"
    try:
        calibration = calibration_of(places(config))
    except ConfigError as error:
        return Row("config", "fail", str(error), "guardian calibrate")
    belt = "calibrated" if calibration else "not calibrated: the belt's tilt is found while walking"
    return Row("config", "pass", f"{which}; {config.device.id}, {config.exercises[config.device.exercise].label}; {belt}")


def machine_rows(config: Config) -> Iterator[Row]:
    """The state folder and its free space."""
    here = places(config)
    try:
        here.make()
        probe = here.state_dir / ".check"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        yield Row("state dir", "fail", f"{here.state_dir}: {error.strerror}", "make it writable for this user, or set device.state_dir")
        return
    yield Row("state dir", "pass", str(here.state_dir))
    free_mb = shutil.disk_usage(here.state_dir).free / 1e6
    enough = free_mb >= config.recorder.keep_free_mb
    yield Row(
        "free space",
        "pass" if enough else "fail",
        f"{free_mb:.0f} MB free, {config.recorder.keep_free_mb} MB are kept free",
        "" if enough else FAULTS["disk_full"],
    )


def device_rows(config: Config, device: Hardware) -> Iterator[Row]:
    """Everything on the seam, one part after the other."""
    yield bus_row(config, device)
    imu = Imu(device.bus, device.clock, config)
    try:
        imu.start()
    except (Refusal, OSError) as error:
        yield Row("IMU", "fail", str(error), FAULTS["imu_silent"])
    else:
        yield Row(
            "IMU", "pass", f"{config.imu.chip} at 0x{config.imu.address:02X}, read = {config.imu.read}{f'; {imu.note}' if imu.note else ''}"
        )
        yield rest_row(config, device, imu)
    yield from _row("ranger", lambda: ranger_row(config, device))
    yield from _row("button", lambda: button_row(config, device))
    yield from _row("buzzer", lambda: buzzer_row(config, device))
    yield supply_row(config, device)


def _row(part: str, check: Callable[[], Row]) -> Iterator[Row]:
    """A check that opens pins: lgpio and gpiozero have many ways to refuse."""
    try:
        yield check()
    except Exception as error:  # noqa: BLE001  (lgpio raises its own bare Exception)
        yield Row(part, "fail", f"{error or type(error).__name__}", f"is another program using the pin? See [{part}] in guardian.toml")


def bus_row(config: Config, device: Hardware) -> Row:
    """Who answers on the bus."""
    found = []
    for address in SCAN:
        try:
            device.bus.read_byte_data(address, 0)
        except OSError:
            continue
        found.append(address)
    listed = ", ".join(f"0x{address:02X}" for address in found) or "nobody"
    if config.imu.address in found:
        return Row("I2C bus", "pass", f"/dev/i2c-{config.imu.bus}: {listed}")
    other = next((address for address in found if address in (0x6A, 0x6B, 0x68, 0x69)), None)
    remedy = FAULTS["imu_silent"] if other is None else f"an IMU answers at 0x{other:02X}: set imu.address and imu.chip to it"
    return Row("I2C bus", "fail", f"/dev/i2c-{config.imu.bus}: {listed}; no IMU at 0x{config.imu.address:02X}", remedy)


def samples_for(device: Hardware, config: Config, imu: Imu, seconds: float) -> list[ImuSample]:
    """All samples of this long, read tick by tick."""
    samples: list[ImuSample] = []
    now_ns = device.clock.now_ns()
    end_ns = now_ns + ns(seconds)
    while now_ns < end_ns:
        device.clock.wait_until(now_ns + config.loop.tick_ms * 1_000_000)
        now_ns = device.clock.now_ns()
        samples += imu.read(now_ns)[0]
    return samples


def mean(vectors: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Component by component."""
    n = len(vectors)
    return sum(v[0] for v in vectors) / n, sum(v[1] for v in vectors) / n, sum(v[2] for v in vectors) / n


def norm(v: tuple[float, float, float]) -> float:
    """Length."""
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])


def rest_row(config: Config, device: Hardware, imu: Imu) -> Row:
    """At rest: 1 g, and no turning."""
    samples = samples_for(device, config, imu, REST_S)
    if not samples:
        return Row("IMU rest", "fail", "no samples", FAULTS["imu_silent"])
    g = norm(mean([sample.accel for sample in samples])) / G_M_S2
    rate = norm(mean([sample.gyro for sample in samples])) * DEGREES
    says = f"{len(samples) / REST_S:.0f} samples/s, {g:.3f} g, {rate:.1f} °/s"
    wrong = rest_check(samples, config.imu)
    return Row("IMU rest", "fail", says, wrong) if wrong else Row("IMU rest", "pass", says)


def ranger_row(config: Config, device: Hardware) -> Row:
    """Does it ping, what does it see, and how does this part say "nothing"?"""
    ranger = Hcsr04(device.pins, config.ranger, device.clock)
    outcomes: list[tuple[Echo, int]] = []  # with the time it took
    try:
        now_ns = device.clock.now_ns()
        end_ns = now_ns + ns(PINGS_S)
        while now_ns < end_ns:
            echo, faults = ranger.read(now_ns)
            if faults:
                return Row("ranger", "fail", faults[0].detail, FAULTS[faults[0].name])
            if echo is not None:
                outcomes.append((echo, now_ns - echo.t_ns))
            device.clock.wait_until(now_ns + config.loop.tick_ms * 1_000_000)
            now_ns = device.clock.now_ns()
    finally:
        ranger.close()
    return judge_ranger(config, outcomes)


def judge_ranger(config: Config, outcomes: list[tuple[Echo, int]]) -> Row:
    """From the outcomes of pings, each with the time it took (ns)."""
    by_reason = {
        reason: [(echo, took) for echo, took in outcomes if echo.reason == reason]
        for reason in ("echo", "nothing", "no_edges", "stuck_high")
    }
    says = f"{len(outcomes) / PINGS_S:.0f} pings/s: " + (
        ", ".join(f"{len(some)} {reason}" for reason, some in by_reason.items() if some) or "none"
    )
    if by_reason["stuck_high"]:
        return Row("ranger", "fail", says, FAULTS["echo_stuck_high"])
    if not outcomes:
        return Row("ranger", "fail", says, FAULTS["echo_silent"])
    distances = [echo.distance_m for echo, _ in by_reason["echo"] if echo.distance_m is not None]
    if distances:
        says += f"; {median(distances):.2f} m"
    if by_reason["nothing"]:
        habit = "pulse_38ms" if median(took for _, took in by_reason["nothing"]) < ns(NOTHING_SPLIT_S) else "pulse_200ms"
    elif by_reason["no_edges"] and distances:
        habit = "none"
    elif by_reason["no_edges"]:
        return Row(
            "ranger", "fail", says, f'{FAULTS["echo_stuck_low"]}; if it answers with something in front, it is a part of no_echo = "none"'
        )
    else:
        return Row("ranger", "pass", says + "; point it at open space to learn how it says nothing (no_echo)")
    if habit != config.ranger.no_echo:
        return Row("ranger", "fail", f"{says}; it says nothing by {habit}", f'set ranger.no_echo = "{habit}" in {LOCAL}')
    return Row("ranger", "pass", f"{says}; it says nothing by {habit}, as configured")


def button_row(config: Config, device: Hardware) -> Row:
    """Released, for a second."""
    button = Button(device.pins, config.button)
    pressed = False
    try:
        end_ns = device.clock.now_ns() + ns(1.0)
        while device.clock.now_ns() < end_ns:
            pressed = button.read(device.clock.now_ns())
            device.clock.wait_until(device.clock.now_ns() + config.loop.tick_ms * 1_000_000)
    finally:
        button.close()
    if button.faults:
        return Row("button", "fail", button.faults[0].detail, FAULTS["button_stuck"])
    if pressed:
        return Row("button", "fail", "it reads pressed", FAULTS["button_stuck"])
    return Row("button", "pass", f"released (GPIO {config.button.pin})")


def buzzer_row(config: Config, device: Hardware) -> Row:
    """A chirp; only ears can tell."""
    play(device, config, "guarding")
    return Row("buzzer", "pass", f"chirped on GPIO {config.buzzer.pin}: if you heard nothing, check its transistor and buzzer.kind")


def supply_row(config: Config, device: Hardware) -> Row:
    """Undervoltage and charge, as far as anything tells."""
    supply = PowerSupply(device.bus, config.supply).read(device.clock.now_ns())
    if supply is None or (supply.undervoltage is None and supply.charge is None):
        return Row("supply", "skip", "neither the kernel nor a gauge tells: supply.gauge is none")
    charge = "charge unknown" if supply.charge is None else f"charge {supply.charge * 100:.0f} %"
    low = supply.undervoltage or (supply.charge is not None and supply.charge < config.supply.low_charge)
    return Row(
        "supply",
        "fail" if low else "pass",
        f"{charge}{', undervoltage' if supply.undervoltage else ''}",
        FAULTS["supply_low"] if low else "",
    )


def outside_rows(config: Config) -> Iterator[Row]:
    """The caregiver's broker and the clock."""
    if not config.mqtt.enabled:
        yield Row("broker", "skip", "mqtt.enabled is false: no caregiver will be told")
    else:
        where = f"{config.mqtt.host}:{config.mqtt.port}"
        try:
            yield Row("broker", "pass", f"{where} accepts this device: {broker_answer(config)}")
        except (OSError, ConfigError) as error:
            yield Row("broker", "fail", str(error), "check mqtt.host, port, protocol, user and certificates, and that the broker runs")
    synced = clock_synced()
    yield Row(
        "clock", "pass" if synced else "fail", "synchronised" if synced else "not synchronised", "" if synced else FAULTS["clock_unsynced"]
    )
