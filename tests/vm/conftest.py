"""The guest, booted once for all stories; and what they saw, in the summary."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import absent
from tests.vm.machine import BUILT, OUT, Machine

SEEN = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A guest whose device has been installed and not yet been started. Its console and journal are in lab/out/vm/guest.log."""
    if shutil.which("qemu-system-x86_64") is None:
        absent("vm", "qemu-system-x86_64 is absent (apt install qemu-system-x86)")
    if os.geteuid() != 0 and not os.access(OUT, os.W_OK):
        absent("vm", f"{OUT} cannot be written: make test-vm as root")
    if not all((OUT / name).exists() for name in BUILT):
        absent("vm", "the guest is not built: make test-vm, as root on Debian 12")
    guest = Machine("guest")
    yield guest
    guest.scrap()


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say what a story saw, for the summary."""
    lines = request.config.stash.setdefault(SEEN, [])
    story = request.node.name.removeprefix("test_").replace("_", " ")
    return lambda what: lines.append(f"{story}: {what}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What the stories saw; also in lab/out/vm/seen.txt."""
    lines = config.stash.get(SEEN, [])
    if lines:
        terminalreporter.section("seen in the guest")
        for line in lines:
            terminalreporter.write_line(line)
        (OUT / "seen.txt").write_text("\n".join(lines) + "\n")
