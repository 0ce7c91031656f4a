"""One parser under Atheris: what the fuzzer's process runs. See lab/fuzz/__main__.py, which starts it.

usage: python -m lab.fuzz.worker TARGET FOLDER SECONDS [libFuzzer's options and corpus folders]

Findings do not end the run: the first input of each (exception, place) goes into FOLDER with its traceback, and fuzzing goes on. An input
that takes more than SLOW_S of processor time, or for which SPARE_BYTES of memory do not suffice, is a finding too.
"""

import logging
import os
import random
import resource
import signal
import sys
import time
import traceback
from hashlib import sha256
from pathlib import Path

import atheris

from lab.fuzz import INSTRUMENTED

SLOW_S = 2.0
SPARE_BYTES = 1 << 30
GROWN_BYTES = 3 << 29  # Atheris keeps something of each comparison it has seen: a worker so large gives way to a new one
WHOLE = 0.8  # share of mutations that bend an input as a whole; libFuzzer's own do the rest


def main() -> None:
    """Fuzz for so long, in processor time: the machine may have other work."""
    name, folder, end_s = sys.argv[1], Path(sys.argv[2]), time.process_time() + float(sys.argv[3])
    with atheris.instrument_imports(include=list(INSTRUMENTED[name])):
        from lab.fuzz import targets  # noqa: PLC0415  (instrumented as they are imported)
    logging.disable(logging.CRITICAL)
    target = targets.TARGETS[name]
    scratch = folder / "scratch"
    for place in (scratch, folder / "seeds"):
        place.mkdir(parents=True, exist_ok=True)
    parse = target.opened(scratch)
    for seed in target.seeds():
        parse(seed)
        (folder / "seeds" / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = folder / "words.txt"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words), encoding="ascii")
    known: set[str] = set()  # findings
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]

    def one(data: bytes) -> None:
        began_s = time.process_time()
        space, resident = _memory()
        resource.setrlimit(resource.RLIMIT_AS, (space + SPARE_BYTES, hard))  # of this input: the fuzzer itself grows
        if began_s > end_s or resident > GROWN_BYTES:
            os.kill(os.getpid(), signal.SIGINT)  # libFuzzer tells its figures and ends
        try:
            parse(data)
            if time.process_time() - began_s > SLOW_S:  # twice: at times it is the target that opens something anew
                began_s = time.process_time()
                parse(data)
                if (took_s := time.process_time() - began_s) > SLOW_S:
                    raise targets.Broken(f"took {took_s:.1f} s")
        except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001  (whatever comes out is a finding)
            place = _place(error)
            if place not in known:
                known.add(place)
                stem = folder / f"finding-{sha256(place.encode()).hexdigest()[:8]}"
                stem.with_suffix(".input").write_bytes(data)
                stem.with_suffix(".txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="replace")
                print(f"FINDING {stem.name}: {place}", file=sys.stderr, flush=True)

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < WHOLE:
            try:
                made = target.bend(data, rng)
            except Exception:  # noqa: BLE001  (no whole input of its kind: bytes then)
                made = b""
            if 0 < len(made) <= max_size:
                return made
        return bytes(atheris.Mutate(data, max_size))

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # libFuzzer takes no signal that somebody has
    options = [f"-max_len={target.max_bytes}", *([f"-dict={words}"] if target.words else [])]
    atheris.Setup([sys.argv[0], *options, *sys.argv[4:]], one, custom_mutator=mutated)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    """As libFuzzer's dictionaries have it."""
    return "".join(f"\\x{byte:02X}" for byte in word.encode("latin-1"))


def _memory() -> tuple[int, int]:
    """Address space of this process, and what of it is in memory, bytes."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(pages[0]) * resource.getpagesize(), int(pages[1]) * resource.getpagesize()


def _place(error: BaseException) -> str:
    """The exception's type and the innermost line of ours that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/guardian/" in frame.filename or "/lab/" in frame.filename]
    last = (ours or frames)[-1]
    return f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"


if __name__ == "__main__":
    main()
