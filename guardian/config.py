"""guardian.toml as types: every number with its unit in the name and its bound in the type.

The shipped guardian.toml is complete; a file of the wearer's own (by default /etc/guardian/guardian.toml) holds only the keys that
differ and is laid over it, so an upgrade brings new keys. Unknown keys and values out of range are refused: ConfigError names file and key.
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

T = TypeVar("T", bound=Struct)

SHIPPED = Path(__file__).with_name("guardian.toml")
LOCAL = Path("/etc/guardian/guardian.toml")

Pin = Annotated[int, Meta(ge=2, le=27)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\Z")]
Unit = Annotated[float, Meta(ge=0, le=1)]
Angle = Annotated[float, Meta(ge=0, le=180)]
Seconds = Annotated[float, Meta(ge=0.01, le=86400)]
Metres = Annotated[float, Meta(ge=0, le=10)]
Count = Annotated[int, Meta(ge=1, le=1000)]
Axis = Literal["+x", "-x", "+y", "-y", "+z", "-z"]


# chip -> (accelerometer m/s² per count, gyro rad/s per count) at the ranges the drivers set.
# LSM6DSOX datasheet table 2: 0.488 mg at ±16 g (LSM6DSO32: 0.976 mg at ±32 g), 70 mdps at ±2000 dps; MPU-6050 product
# specification 6.1, 6.2: 2048 counts/g at ±16 g, 16.4 counts/(deg/s) at ±2000 deg/s.
CHIP_LSB: dict[str, tuple[float, float]] = {
    "lsm6dsox": (0.488e-3 * 9.80665, 0.070 * math.pi / 180),
    "lsm6dso32": (0.976e-3 * 9.80665, 0.070 * math.pi / 180),
    "mpu6050": (9.80665 / 2048, math.pi / 180 / 16.4),
}


COUNTED = "exercise_changed"  # the row of [sounds] whose beep is counted
EXERCISES_MOST = 10


class ConfigError(ValueError):
    """guardian.toml says something that cannot be; the message names file, key, bound and remedy."""


def ns(seconds: float) -> int:
    """Seconds as whole nanoseconds (one rounding, the same on every machine)."""
    return int(seconds * 1e9 + 0.5)


def cos_deg(angle_deg: float) -> float:
    """Cosine of an angle, to 12 decimals: libms differ in the last bit, and replay must not."""
    return round(math.cos(math.radians(angle_deg)), 12)


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of guardian.toml."""


class Device(Section, frozen=True, kw_only=True):
    id: Name
    exercise: Name
    state_dir: Annotated[str, Meta(min_length=1)]


class Loop(Section, frozen=True, kw_only=True):
    tick_ms: Annotated[int, Meta(ge=5, le=20)]
    late_ms: Annotated[int, Meta(ge=10, le=1000)]
    realtime_priority: Annotated[int, Meta(ge=0, le=50)]


class Imu(Section, frozen=True, kw_only=True):
    chip: Literal["lsm6dsox", "lsm6dso32", "mpu6050"]
    bus: Annotated[int, Meta(ge=0, le=20)]
    address: Annotated[int, Meta(ge=0x08, le=0x77)]
    read: Literal["fifo", "direct"]
    allow_clone: bool
    forward: Axis
    left: Axis
    up: Axis
    bus_timeout_ms: Annotated[int, Meta(ge=10, le=1000)]
    reset_timeout_ms: Annotated[int, Meta(ge=10, le=1000)]
    retry_first_ms: Annotated[int, Meta(ge=10, le=1000)]
    retry_last_ms: Annotated[int, Meta(ge=10, le=10000)]
    verify_s: Annotated[float, Meta(ge=0.1, le=60)]
    rest_g_min: Annotated[float, Meta(ge=0.5, le=1)]
    rest_g_max: Annotated[float, Meta(ge=1, le=2)]
    rest_gyro_deg_s: Annotated[float, Meta(ge=1, le=50)]


class Ranger(Section, frozen=True, kw_only=True):
    trigger_pin: Pin
    echo_pin: Pin
    rate_hz: Annotated[float, Meta(ge=5, le=20)]
    jitter_ms: Annotated[int, Meta(ge=0, le=20)]
    range_m: Annotated[float, Meta(ge=1, le=6)]
    blind_m: Annotated[float, Meta(ge=0, le=0.5)]
    temperature_c: Annotated[float, Meta(ge=-20, le=50)]
    no_echo: Literal["pulse_38ms", "pulse_200ms", "none"]
    silence_trust_s: Seconds
    height_m: Annotated[float, Meta(ge=0.3, le=1.6)]
    beam_half_angle_deg: Annotated[float, Meta(ge=1, le=45)]


class Button(Section, frozen=True, kw_only=True):
    pin: Pin
    debounce_ms: Annotated[int, Meta(ge=10, le=100)]


class Buzzer(Section, frozen=True, kw_only=True):
    pin: Pin
    kind: Literal["active", "passive"]
    tone_hz: Annotated[int, Meta(ge=200, le=1000)]
    vibration_pin: Annotated[int, Meta(ge=0, le=27)]


class SupplyConfig(Section, frozen=True, kw_only=True):
    gauge: Literal["none", "max17048", "ina219"]
    address: Annotated[int, Meta(ge=0, le=0x77)]
    undervoltage_file: str
    read_s: Seconds
    low_charge: Unit
    empty_v: Annotated[float, Meta(ge=2.5, le=15)]
    full_v: Annotated[float, Meta(ge=2.5, le=20)]


class Estimate(Section, frozen=True, kw_only=True):
    gravity_time_s: Seconds
    accel_most_g: Annotated[float, Meta(ge=1, le=16)]
    hole_s: Annotated[float, Meta(ge=0.02, le=0.2)]
    level_s: Annotated[float, Meta(ge=0.05, le=5)]
    level_g: Annotated[float, Meta(ge=0.05, le=0.3)]
    upright_deg: Angle
    down_deg: Angle
    down_s: Seconds
    settled_deg: Angle
    settled_s: Seconds
    settled_lowpass_s: Seconds
    still_gyro_deg_s: Annotated[float, Meta(ge=0.5, le=20)]
    still_accel_g: Annotated[float, Meta(ge=0.005, le=0.2)]
    still_s: Seconds
    bias_gain: Unit
    align_max_deg: Annotated[float, Meta(ge=1, le=80)]
    align_walk_s: Seconds
    align_correct_s: Seconds
    align_doubt_deg: Annotated[float, Meta(ge=1, le=80)]
    saturation_distrust_s: Seconds


class Gait(Section, frozen=True, kw_only=True):
    step_min_s: Seconds
    step_max_s: Seconds
    step_lowpass_s: Seconds
    step_highpass_s: Seconds
    step_accel_m_s2: Annotated[float, Meta(ge=0.02, le=5)]
    step_share: Annotated[float, Meta(ge=0.05, le=0.9)]
    step_memory_s: Seconds
    step_ratio: Annotated[float, Meta(ge=1.1, le=5)]
    walking_steps: Annotated[int, Meta(ge=2, le=5)]
    direction_s: Seconds
    direction_sure: Annotated[float, Meta(ge=0.05, le=0.95)]
    direction_keep: Annotated[float, Meta(ge=0.05, le=0.95)]
    direction_least_s: Seconds
    direction_hold_s: Seconds
    swing_s: Seconds
    walk_cadence: Annotated[float, Meta(ge=100, le=200)]
    run_cadence: Annotated[float, Meta(ge=100, le=200)]
    run_swing_m_s2: Annotated[float, Meta(ge=1, le=20)]
    turn_lowpass_s: Seconds
    turn_deg_s: Annotated[float, Meta(ge=5, le=180)]
    turn_end_deg_s: Annotated[float, Meta(ge=2, le=180)]
    leg_m: Annotated[float, Meta(ge=0.5, le=1.3)]
    step_length_forward: Annotated[float, Meta(ge=0.3, le=2)]
    step_length_backward: Annotated[float, Meta(ge=0.3, le=2)]
    height_s: Annotated[float, Meta(ge=0.3, le=5)]
    regularity_s: Annotated[float, Meta(ge=4, le=20)]
    lean_s: Annotated[float, Meta(ge=0.5, le=20)]
    stance_s: Seconds
    stance_gain: Unit
    body_motion_s: Annotated[float, Meta(ge=1, le=10)]
    body_motion_gyro_deg_s: Annotated[float, Meta(ge=0.01, le=10)]
    body_motion_accel_g: Annotated[float, Meta(ge=0.0005, le=0.1)]
    not_worn_s: Seconds


class RepetitionsConfig(Section, frozen=True, kw_only=True):
    lunge_mean_s: Annotated[float, Meta(ge=1, le=60)]
    lunge_leak_s: Annotated[float, Meta(ge=1, le=10)]
    lunge_swing_m: Annotated[float, Meta(ge=0.03, le=0.2)]
    lunge_calm_share: Annotated[float, Meta(ge=0.02, le=0.5)]
    lunge_after_s: Annotated[float, Meta(ge=0.05, le=2)]
    lunge_before_s: Annotated[float, Meta(ge=0.05, le=2)]
    lunge_lead_s: Annotated[float, Meta(ge=0.5, le=10)]
    lunge_feet_s: Annotated[float, Meta(ge=0.1, le=2)]
    lunge_most_s: Annotated[float, Meta(ge=3, le=20)]
    lunge_depth_least_m: Annotated[float, Meta(ge=0.05, le=0.3)]
    lunge_depth_most_m: Annotated[float, Meta(ge=0.3, le=1)]
    lunge_least_s: Annotated[float, Meta(ge=0.1, le=2)]
    lunge_drift_m_s2: Annotated[float, Meta(ge=0.02, le=2)]
    lunge_detour: Annotated[float, Meta(ge=1, le=5)]
    lunge_blow_m_s2: Annotated[float, Meta(ge=1, le=20)]
    lunge_surge_m_s: Annotated[float, Meta(ge=0.02, le=1)]
    lunge_both_surges_m_s: Annotated[float, Meta(ge=0.02, le=2)]
    lunge_surge_leak_s: Annotated[float, Meta(ge=0.1, le=3)]
    lunge_lean_most_deg: Angle
    stair_quiet_s: Annotated[float, Meta(ge=0.1, le=2)]
    stair_quiet_m_s2: Annotated[float, Meta(ge=0.2, le=4)]
    stair_stretch_s: Annotated[float, Meta(ge=5, le=60)]
    stair_swing_quick: Annotated[float, Meta(ge=0.1, le=3)]
    stair_swing_slow: Annotated[float, Meta(ge=0.1, le=3)]
    stair_slow_s: Annotated[float, Meta(ge=0.3, le=2)]
    stair_swing_m_s: Annotated[float, Meta(ge=0.01, le=0.5)]
    stair_least_m: Annotated[float, Meta(ge=0.03, le=0.15)]
    stair_most_m: Annotated[float, Meta(ge=0.2, le=0.6)]
    stair_single_m: Annotated[float, Meta(ge=0.15, le=0.4)]


LEARNED = "learned"  # fall.rule: the model that comes with the program


class PublishedRule(Section, frozen=True, kw_only=True):
    accel_g: Annotated[float, Meta(ge=0.1, le=0.99)]
    gyro_deg_s: Annotated[float, Meta(ge=1, le=500)]
    angle_deg: Annotated[float, Meta(ge=1, le=90)]


class Fall(Section, frozen=True, kw_only=True):
    rule: Name
    published: dict[Name, PublishedRule]
    impact_g: Annotated[float, Meta(ge=1.5, le=8)]
    impact_upright_s: Seconds
    impact_down_s: Seconds
    torn_wire_s: Seconds


class ObstacleConfig(Section, frozen=True, kw_only=True):
    confirm_pings: Annotated[int, Meta(ge=1, le=3)]
    near_pings: Annotated[int, Meta(ge=2, le=3)]
    gate_m: Annotated[float, Meta(ge=0.02, le=0.5)]
    gate_m_s: Annotated[float, Meta(ge=0.5, le=5)]
    coast_periods: Annotated[float, Meta(ge=1.1, le=5)]
    track_lost_s: Seconds
    touch_m: Annotated[float, Meta(ge=0, le=0.2)]
    speed_window_s: Annotated[float, Meta(ge=0.3, le=2)]
    speed_pings: Annotated[int, Meta(ge=3, le=10)]
    sure_pings: Annotated[int, Meta(ge=3, le=20)]
    unsure_m: Metres
    own_way_m: Annotated[float, Meta(ge=0, le=0.2)]
    brake_m_s2: Annotated[float, Meta(ge=0, le=20)]
    closing_min_m_s: Annotated[float, Meta(ge=0.01, le=1)]
    release: Annotated[float, Meta(ge=1, le=2)]
    near_release_m: Annotated[float, Meta(ge=0, le=0.2)]
    quiet_after_s: Seconds
    floor_tolerance: Annotated[float, Meta(ge=0.01, le=0.5)]
    floor_closing_m_s: Annotated[float, Meta(ge=0.05, le=2)]
    floor_doubt: Annotated[float, Meta(ge=0, le=0.9)]
    floor_hold_s: Seconds
    floor_hint_s: Seconds
    floor_hint_m_s: Annotated[float, Meta(ge=0, le=3)]
    outrun_s: Seconds
    riser_slope: Annotated[float, Meta(ge=0.3, le=1.5)]
    riser_share: Unit
    drift_learn_s: Seconds
    drift_relearn_s: Seconds
    drift_missing_s: Seconds
    drift_reference_m: Metres
    drift_release_m: Annotated[float, Meta(ge=0, le=0.2)]
    room_memory_s: Seconds
    room_sink_m: Annotated[float, Meta(ge=0, le=0.8)]
    stop_event_s: Seconds


class Input(Section, frozen=True, kw_only=True):
    period_ms: Annotated[float, Meta(ge=1, le=1000)]
    silent_periods: Annotated[int, Meta(ge=2, le=100)]


class Health(Section, frozen=True, kw_only=True):
    imu: Input
    echo: Input
    stuck_s: Seconds
    stuck_moving_counts: Count
    saturated_s: Seconds
    echo_stuck_pings: Count
    button_stuck_s: Seconds
    late_bucket_s: Seconds
    late_leak: Unit


class Policy(Section, frozen=True, kw_only=True):
    imminent_s: Seconds
    recovered_s: Seconds
    grace_s: Seconds
    countdown_last_s: Seconds
    cancel_after_s: Seconds
    cancel_press_s: Seconds
    cancel_walk_s: Seconds
    sos_hold_s: Seconds
    clear_hold_s: Seconds
    clear_twice_s: Seconds
    short_press_s: Seconds
    triple_press_s: Seconds
    long_lie_s: Seconds
    unguarded_walk_s: Seconds
    wake_walk_s: Seconds
    not_guarding_s: Seconds
    repeat_command_s: Seconds
    fault_clear_s: Seconds
    sound_patience_s: Seconds
    sound_apart_s: Seconds


class Sound(Section, frozen=True, kw_only=True):
    """`on_off_ms` alternates on, off; `repeat_s`: 0 loops without pause, > 0 comes again while its reason stands, absent plays once."""

    priority: Annotated[int, Meta(ge=0, le=100)]
    on_off_ms: Annotated[tuple[Annotated[int, Meta(ge=10, le=10000)], ...], Meta(min_length=1, max_length=40)]
    repeat_s: Annotated[float, Meta(ge=0, le=3600)] | None = None
    meaning: Annotated[str, Meta(min_length=3, max_length=120)]

    @property
    def length_ns(self) -> int:
        """Duration of one playing, ns."""
        return sum(self.on_off_ms) * 1_000_000


class Coach(Section, frozen=True, kw_only=True):
    """The dose of one exercise, and what its coach watches. An absent bound is not watched.

    `dose` is that of one set in `unit`: s walking backward, m walked backward, stairs, or reps of each leg.
    """

    unit: Literal["s", "m", "stairs", "reps"]
    dose: Annotated[float, Meta(ge=1, le=7200)]  # to begin with
    dose_most: Annotated[float, Meta(ge=1, le=7200)]  # a plan grows it up to this
    sets: Annotated[int, Meta(ge=1, le=20)]
    rest_s: Annotated[float, Meta(ge=0, le=900)]
    warm_up_s: Annotated[float, Meta(ge=0, le=1800)]  # of light forward movement
    lean_deg: Annotated[float, Meta(ge=1, le=45)]
    cadence_least: Annotated[float, Meta(ge=20, le=300)] | None = None  # steps/min
    cadence_most: Annotated[float, Meta(ge=20, le=300)] | None = None
    speed_most_m_s: Annotated[float, Meta(ge=0.1, le=10)] | None = None
    regularity_least: Unit | None = None
    rep_least_s: Annotated[float, Meta(ge=0.1, le=30)] | None = None  # down and up
    depth_least_m: Annotated[float, Meta(ge=0.01, le=1)] | None = None


class Exercise(Section, frozen=True, kw_only=True):
    label: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^\S(.*\S)?\Z")]  # what people choose by, in Home Assistant too
    obstacle: Literal["ttc", "near", "backward", "risers", "drift", "room"]
    caution_ttc_s: Seconds
    stop_ttc_s: Seconds
    near_m: Metres
    drift_caution_m: Metres | None = None  # obstacle = "drift" alone, and needed there, as is the next
    drift_stop_m: Metres | None = None
    clear_m: Metres | None = None  # obstacle = "room" alone, and needed there, as is the next
    step_back_m: Metres | None = None
    fall_threshold: Unit
    counts: Literal["steps", "stairs", "lunges"]
    lying_s: Seconds | None = None  # absent: the soft-collapse net is off
    coach: Coach | None = None  # absent: worn between exercises


class Cue(Section, frozen=True, kw_only=True):
    """One thing the coach says, by the sound `coach_<its name>` and as an event."""

    on: bool
    again_s: Annotated[float, Meta(ge=0, le=3600)]  # heard at most once in this; 0: a mark, heard whenever it is reached
    told_s: Annotated[float, Meta(ge=0, le=86400)]  # caregivers are told at most once in this
    wait_s: Annotated[float, Meta(ge=0, le=60)]  # dropped when it could not be heard within this


class Coaching(Section, frozen=True, kw_only=True):
    begun_s: Seconds
    unsure_s: Seconds
    lean_s: Seconds
    pace_s: Seconds
    apart_s: Seconds
    near_falls: Count
    tally_s: Annotated[float, Meta(ge=1, le=60)]
    tally_idle_s: Annotated[float, Meta(ge=1, le=3600)]
    cues: dict[Name, Cue]


KIND_KEYS = {"drift_caution_m": "drift", "drift_stop_m": "drift", "clear_m": "room", "step_back_m": "room"}  # Exercise key -> its kind


class Mqtt(Section, frozen=True, kw_only=True):
    enabled: bool
    host: str
    port: Annotated[int, Meta(ge=1, le=65535)]
    protocol: Literal[5, 311]
    root: Name
    discovery: bool
    discovery_prefix: Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\Z")]
    keepalive_s: Annotated[int, Meta(ge=5, le=120)]
    state_s: Seconds
    state_obstacle_s: Seconds
    username: str
    password_file: str
    ca_file: str
    cert_file: str
    key_file: str
    tls: bool
    inflight_max: Annotated[int, Meta(ge=1, le=100)]
    clock_wait_s: Seconds
    close_s: Annotated[float, Meta(ge=0.1, le=60)]


class OutboxConfig(Section, frozen=True, kw_only=True):
    repeat_s: Seconds
    receipt_memory_s: Annotated[float, Meta(ge=60, le=2592000)]
    expire_s: Annotated[float, Meta(ge=60, le=2592000)]
    rows_max: Annotated[int, Meta(ge=100, le=100000)]
    backoff_first_s: Seconds
    backoff_last_s: Seconds
    refusals_max: Count
    aside_retry_s: Seconds
    store_wait_ms: Annotated[int, Meta(ge=0, le=1000)]
    store_stall_s: Seconds
    store_retry_s: Seconds
    damage_said_s: Seconds
    journal_steps_s: Seconds


class Recorder(Section, frozen=True, kw_only=True):
    enabled: bool
    chunk_s: Annotated[float, Meta(ge=0.1, le=1)]
    file_mb: Annotated[float, Meta(ge=0.1, le=1024)]
    keep_days: Annotated[float, Meta(ge=0.01, le=365)]
    keep_free_mb: Annotated[int, Meta(ge=10, le=10_000_000)]
    queue_s: Annotated[float, Meta(ge=2, le=60)]
    snapshot_s: Seconds
    retry_s: Seconds


class LogbookConfig(Section, frozen=True, kw_only=True):
    batch_s: Annotated[float, Meta(ge=1, le=60)]
    rows_max: Annotated[int, Meta(ge=100, le=100_000)]
    stall_s: Seconds
    keep_days: Annotated[float, Meta(ge=30, le=3650)]
    timeline_mb: Annotated[float, Meta(ge=0.1, le=10_000)]


class PlanConfig(Section, frozen=True, kw_only=True):
    growth: Annotated[float, Meta(ge=0, le=0.5)]
    done_a_week: Annotated[int, Meta(ge=1, le=14)]
    clean_sessions: Annotated[int, Meta(ge=1, le=20)]
    skipped_held: Annotated[int, Meta(ge=0, le=10)]
    again_s: Annotated[float, Meta(ge=60, le=86400)]


class ReportConfig(Section, frozen=True, kw_only=True):
    distance_error: dict[Name, Annotated[float, Meta(gt=0, le=1)]]  # exercise -> share of the distance


class Watchdog(Section, frozen=True, kw_only=True):
    worker_stall_s: Seconds


class Config(Section, frozen=True, kw_only=True):
    """All of guardian.toml."""

    device: Device
    loop: Loop
    imu: Imu
    ranger: Ranger
    button: Button
    buzzer: Buzzer
    supply: SupplyConfig
    estimate: Estimate
    gait: Gait
    repetitions: RepetitionsConfig
    fall: Fall
    obstacle: ObstacleConfig
    health: Health
    policy: Policy
    coach: Coaching
    exercises: dict[Name, Exercise]
    sounds: dict[Name, Sound]
    mqtt: Mqtt
    outbox: OutboxConfig
    recorder: Recorder
    logbook: LogbookConfig
    plan: PlanConfig
    report: ReportConfig
    watchdog: Watchdog


class Calibration(Section, frozen=True, kw_only=True):
    """What `guardian calibrate` measured on this wearer's belt, kept beside the journal."""

    up: tuple[float, float, float]  # unit vector of vertical in nominal body axes while standing upright
    gyro_bias: tuple[float, float, float]  # rad/s
    height_m: float  # of the ranger above the floor


def load(local: Path | None = LOCAL, overrides: dict[str, Any] | None = None) -> Config:
    """The shipped guardian.toml with `local` and then `overrides` laid over it; see layered."""
    return _each_exercise_sounding(layered(Config, SHIPPED, local, overrides, _check), str(SHIPPED))


def layered(kind: type[T], shipped: Path, local: Path | None, overrides: dict[str, Any] | None, check: Callable[[T, str], None]) -> T:
    """A `shipped` TOML file with `local` (skipped when absent) and then `overrides` (nested dicts) laid over it, as a `kind`.

    `check(made, source)` raises ConfigError for what no single key's bound can say. Raises ConfigError naming file and key.
    """
    layers: list[tuple[str, dict[str, Any]]] = [(str(shipped), _read(shipped))]
    if local is not None and local.exists():
        layers.append((str(local), _read(local)))
    if overrides:
        layers.append(("the command line", overrides))
    merged: dict[str, Any] = {}
    for source, layer in layers:
        merged = _laid_over(merged, layer)
        try:
            made = msgspec.convert(merged, kind)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{source}: {error}. See the comments in {shipped} for each key's meaning and bounds.") from error
        check(made, source)
    return made


def changed(config: Config, *overrides: Mapping[str, Any]) -> Config:
    """The same configuration with overrides (nested dicts) laid over it. Raises ConfigError."""
    merged = msgspec.to_builtins(config)
    for layer in overrides:
        merged = _laid_over(merged, layer)
    try:
        made = msgspec.convert(merged, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the overrides: {error}") from error
    _check(made, "the overrides")
    return made


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _laid_over(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _each_exercise_sounding(config: Config, source: str) -> Config:
    """With a sound for each exercise in place of the row `exercise_changed`: that row's beep as often as the exercise's place in its table.

    `exercise_<name>`; a row of that name in a file stays as it is. Priorities go down by one from the row's. Raises ConfigError for a row
    that could not stand in a file: a recording holds them all, and must be readable.
    """
    beep = config.sounds.get(COUNTED)
    if beep is None:
        return config
    sounds = {name: sound for name, sound in config.sounds.items() if name != COUNTED}
    for place, (name, exercise) in enumerate(config.exercises.items()):
        said = f"{beep.meaning}: {exercise.label}"
        row = Sound(priority=beep.priority - place, on_off_ms=beep.on_off_ms * (place + 1), meaning=said)
        try:
            msgspec.convert({f"exercise_{name}": msgspec.to_builtins(row)}, dict[Name, Sound])
        except msgspec.ValidationError as error:
            where = f"sounds.{COUNTED}, counted and named for exercises.{name}"
            raise ConfigError(f"{source}: {where}, is no sound: {error}: shorten its beep, its meaning or the label") from error
        sounds.setdefault(f"exercise_{name}", row)
    return msgspec.structs.replace(config, sounds=sounds)


def _check(config: Config, source: str) -> None:
    """What no single key's bound can say."""
    axes = [config.imu.forward, config.imu.left, config.imu.up]
    if config.device.exercise not in config.exercises:
        raise ConfigError(f"{source}: device.exercise = {config.device.exercise!r} is no row of [exercises]: {', '.join(config.exercises)}")
    if determinant(axes) != 1:
        raise ConfigError(f"{source}: imu.forward, left, up = {axes} are no right-handed set of axes: turn one sign or swap two")
    pins = [config.ranger.trigger_pin, config.ranger.echo_pin, config.button.pin, config.buzzer.pin]
    pins += [config.buzzer.vibration_pin] if config.buzzer.vibration_pin else []
    if len(set(pins)) != len(pins):
        raise ConfigError(
            f"{source}: two parts share a GPIO pin: {pins} (ranger.trigger_pin, echo_pin, button.pin, buzzer.pin, vibration_pin)"
        )
    _check_exercises(config, source)
    _check_cues(_each_exercise_sounding(config, source), source)
    if config.fall.rule not in (LEARNED, *config.fall.published):
        raise ConfigError(f"{source}: fall.rule = {config.fall.rule!r} is none of {', '.join((LEARNED, *config.fall.published))}")
    if config.gait.walk_cadence > config.gait.run_cadence or config.gait.turn_end_deg_s > config.gait.turn_deg_s:
        raise ConfigError(f"{source}: gait.walk_cadence must not exceed run_cadence, nor turn_end_deg_s turn_deg_s")
    if config.estimate.upright_deg >= config.estimate.down_deg:
        raise ConfigError(f"{source}: estimate.upright_deg must be below down_deg")
    if config.supply.empty_v >= config.supply.full_v:
        raise ConfigError(f"{source}: supply.empty_v must be below full_v")


def _check_exercises(config: Config, source: str) -> None:
    for name, exercise in config.exercises.items():
        if exercise.stop_ttc_s >= exercise.caution_ttc_s:
            raise ConfigError(f"{source}: exercises.{name}: stop_ttc_s must be below caution_ttc_s, or caution is never heard")
        if exercise.coach is not None:
            _check_coach(exercise.coach, f"{source}: exercises.{name}.coach")
        for key, kind in KIND_KEYS.items():
            if (getattr(exercise, key) is None) == (exercise.obstacle == kind):
                raise ConfigError(f"{source}: exercises.{name}: {key} belongs to obstacle = {kind!r}, there alone and always")
        if exercise.drift_stop_m is not None and (exercise.drift_caution_m or 0.0) >= exercise.drift_stop_m:
            raise ConfigError(f"{source}: exercises.{name}: drift_caution_m must be below drift_stop_m, or caution is never heard")
    if len(config.exercises) > EXERCISES_MOST:
        raise ConfigError(f"{source}: {len(config.exercises)} rows in [exercises]; nobody counts more than {EXERCISES_MOST} beeps")
    labels = [exercise.label for exercise in config.exercises.values()]
    if len(set(labels)) != len(labels):
        raise ConfigError(f"{source}: two rows of [exercises] share a label, and nobody could choose between them: {', '.join(labels)}")


def _check_coach(coach: Coach, where: str) -> None:
    if coach.dose > coach.dose_most:
        raise ConfigError(f"{where}: dose must be at most dose_most")
    if coach.cadence_least is not None and coach.cadence_most is not None and coach.cadence_least >= coach.cadence_most:
        raise ConfigError(f"{where}: cadence_least must be below cadence_most, or one of them is always said")


def _check_cues(config: Config, source: str) -> None:
    cues = {f"coach_{name}" for name in config.coach.cues}
    unheard = cues - config.sounds.keys()
    if unheard:
        raise ConfigError(f"{source}: coach.cues has no sound in [sounds] for {', '.join(sorted(unheard))}")
    most = max(config.sounds[name].priority for name in cues)
    least, other = min((sound.priority, name) for name, sound in config.sounds.items() if name not in cues)
    if most >= least:
        raise ConfigError(f"{source}: sounds.{other}.priority = {least} must be above those of the coach's sounds, which go up to {most}")


def axis_row(axis: Axis) -> tuple[int, int, int]:
    """A signed chip axis as a row of the mapping matrix: "-y" is (0, -1, 0)."""
    sign = -1 if axis[0] == "-" else 1
    x, y, z = (sign if axis[1] == name else 0 for name in "xyz")
    return x, y, z


def determinant(axes: list[Axis]) -> int:
    """Determinant of the mapping (forward, left, up): 1 for a right-handed set."""
    (a, b, c), (d, e, f), (g, h, i) = (axis_row(axis) for axis in axes)
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
