"""A PostgreSQL of one's own, in a folder of its own, gone at the end. Its programs refuse root, so for root they run as user postgres."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))  # Debian hides them from PATH


def programs() -> Path | None:
    """The folder of initdb and pg_ctl, newest version first; None: not installed."""
    found = shutil.which("initdb")
    return Path(found).parent if found else FOLDERS[-1] if FOLDERS else None


class Postgres:
    """Use it in a `with`: it runs inside. Raises FileNotFoundError where PostgreSQL is not installed, CalledProcessError with its words."""

    def __init__(self) -> None:
        folder = programs()
        if folder is None:
            raise FileNotFoundError("PostgreSQL is not installed (apt install postgresql)")
        self._programs = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self.url = f"postgresql+psycopg://guardian@127.0.0.1:{self._port}/postgres"
        self._folder = Path()

    def __enter__(self) -> "Postgres":
        self._folder = Path(tempfile.mkdtemp(prefix="guardian-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
        self._run("initdb", "-A", "trust", "-U", "guardian", "-E", "UTF8")
        self.start()
        return self

    def start(self) -> None:
        """Start, and wait until it answers."""
        here = f"-c port={self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        self._run("pg_ctl", "start", "-w", "-t", "60", "-o", here, "-l", str(self._folder / "log"))

    def stop(self) -> None:
        """As if its power were cut; what was committed is there after start()."""
        self._run("pg_ctl", "stop", "-m", "immediate")

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self._folder / "data"), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(
            command, check=True, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
