"""Mutation testing: does some test fail when the code is changed? (make mutate)."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
OUT = ROOT / "lab" / "out" / "mutate"
ARGUED = Path(__file__).with_name("survivors.toml")

# What is mutated, and the tests that judge it.
SOURCES = ("guardian/monitor/*.py", "guardian/outputs/outbox.py")
UNITS = {"guardian/monitor": ("tests/monitor",), "guardian/outputs": ("tests/outputs/test_outbox.py", "tests/outputs/test_mqtt.py")}
STORIES = ("tests/test_scenarios.py", "tests/test_exercise_stories.py")
QUIET = ("-o", "addopts=-p no:tpcp_snapshots", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:xdist")  # for pytest
