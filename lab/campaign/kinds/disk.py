"""The card and the files on it: how each kind of failure is drawn, done and undone."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from guardian.config import Config
from lab import acts
from lab.campaign.failure import BACK_S, Due, Failure, Kind, parts

if TYPE_CHECKING:
    from lab.campaign.walk import Walk

DAMAGE_SAID_S = 4.0  # in place of outbox.damage_said_s, so that a walk sees its end
TOLD_BRIEFLY = {"outbox": {"damage_said_s": DAMAGE_SAID_S}}


def _card_hangs(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(0.2, 8)

    def begin(walk: "Walk") -> None:
        walk.card.hang(lasts_s)
        walk.asks("test")  # something to store

    due = (Due(frozenset({"output_failed"}), lasts_s, config.outbox.store_wait_ms / 1000 + 0.05, again=False),)
    return Failure("no write ends, and there is an event to store", lasts_s, begin, dues=due)


def _refused(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(1, 6)
    due = (Due(frozenset({"output_failed"}), lasts_s, config.recorder.chunk_s),)
    return Failure("every write is refused (EFBIG)", lasts_s, acts.refuse_writes, acts.writes_again, due, back_s=6.0)


def _full(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(1, 6)
    due = (Due(frozenset({"disk_full"}), lasts_s, 0.03, again=False),)
    return Failure("no space for the journal (ENOSPC)", lasts_s, acts.fill_journal, acts.empty_journal, due, back_s=6.0)


def _between_lives(what: str, spoil: Callable[[Path, Random], str]) -> Callable[[Random, Config], Failure]:
    """The program is killed, and one of its files is not what it was."""

    def draw(luck: Random, config: Config) -> Failure:
        own = Random(luck.random())

        def damage(walk: "Walk") -> None:
            for file in sorted(walk.folder.glob(what)):
                walk.notes.append(f"{file.name}: {spoil(file, own)}")

        return Failure(f"{what} is spoilt while the program is dead", 0.0, lambda w: w.kill(damage), back_s=BACK_S + DAMAGE_SAID_S + 3)

    return draw


def _garbled(file: Path, luck: Random) -> str:
    """Bytes overwritten, the end cut off, or all of it something else. Returns what was done."""
    data = bytearray(file.read_bytes())
    way = luck.choice(("bytes", "cut", "other", "header"))
    if way == "bytes":
        for _ in range(luck.randint(1, 200)):
            if data:
                data[luck.randrange(len(data))] = luck.randrange(256)
    elif way == "cut":
        data = data[: luck.randrange(len(data) + 1)]
    elif way == "header":
        data[:100] = luck.randbytes(min(100, len(data)))
    else:
        data = bytearray(luck.randbytes(luck.randrange(10_000)))
    file.write_bytes(data)
    return way


def _cut(file: Path, luck: Random) -> str:
    data = file.read_bytes()
    file.write_bytes(data[: luck.randrange(len(data) + 1)])
    return "cut"


# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind("card: hangs", parts("disk"), _card_hangs),
    Kind("card: refuses writes", parts("disk"), _refused),
    Kind("card: full", parts("disk"), _full, after_a_fall=False),
    Kind("file: outbox corrupted", parts("program", "disk"), _between_lives("outbox.db*", _garbled), settings=TOLD_BRIEFLY),
    Kind("file: journal corrupted", parts("program", "disk"), _between_lives("journal.json", _garbled), after_a_fall=False,
         settings=TOLD_BRIEFLY),
    Kind("file: sessions corrupted", parts("program", "disk"), _between_lives("sessions.db*", _garbled), settings=TOLD_BRIEFLY),
    Kind("file: recording truncated", parts("program", "disk"), _between_lives("recordings/*.mcap", _cut)),
)
# fmt: on
