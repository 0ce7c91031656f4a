"""Does what the stories ask, as root: a line of JSON {"run", "limit_s", "again"} in, a line {"rc", "said", "t_s"} back.

"again": until it succeeds and prints something, or limit_s is over. t_s: CLOCK_MONOTONIC after it, the clock by which stories wait.
"""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

PAUSE_S = 0.25
SHELL_LIMIT_S = 120.0  # of one command


def done(asked: dict[str, Any]) -> dict[str, Any]:
    """The answer."""
    until_s = time.monotonic() + asked["limit_s"]
    limit_s = SHELL_LIMIT_S if asked["again"] else asked["limit_s"]
    while True:
        try:
            ran = subprocess.run(
                ["/bin/sh", "-c", asked["run"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=limit_s, check=False,
            )  # fmt: skip
            rc, said = ran.returncode, ran.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired:
            rc, said = -1, "too long"
        t_s = time.monotonic()
        if not asked["again"] or (rc == 0 and said) or t_s >= until_s:
            return {"rc": rc if said or not asked["again"] else 1, "said": said, "t_s": t_s}
        time.sleep(PAUSE_S)


with Path("/dev/virtio-ports/agent").open("r+b", buffering=0) as port:
    heard = b""
    while True:
        data = port.read(4096)
        if not data:  # nobody holds the other end
            time.sleep(0.1)
            continue
        heard += data
        while b"\n" in heard:
            line, heard = heard.split(b"\n", 1)
            answer = json.dumps(done(json.loads(line))).encode() + b"\n"
            while answer:
                answer = answer[port.write(answer) :]  # a virtio port takes 32 KiB at a time
