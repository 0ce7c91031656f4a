"""Hostile input for all that reads bytes from outside: coverage-guided fuzzing (make fuzz)."""

# parser -> modules whose branches guide the fuzzer. Here, because they are instrumented while they are imported.
INSTRUMENTED: dict[str, tuple[str, ...]] = {
    "config": ("guardian.config", "guardian.station.settings", "guardian.app", "tomllib"),
    "command": ("guardian.contract", "guardian.outputs", "guardian.monitor.policy"),
    "recording": ("guardian.recording", "guardian.commands.replay_recordings", "mcap"),
    "fifo": ("guardian.drivers",),
    "station": ("guardian.station", "guardian.contract"),
    "npz": ("guardian.commands.replay_imu", "zipfile", "numpy.lib"),
    "model": ("guardian.monitor.network", "guardian.monitor.fall", "guardian.app"),
}
