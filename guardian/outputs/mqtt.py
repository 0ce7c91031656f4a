"""What caregivers see and say: availability, state, events, receipts, commands (the contract is guardian/contract.py).

Theory of operation. Each tick: hear what the link says, send the state if it is due, send events while there is room in flight. All
waiting is done by comparing times. The state goes at QoS 1, one at a time, the newest last: its acknowledgement is also how the device
knows that the broker still hears it, long before TCP would give up a lost Wi-Fi. "No word for 1.5 × keepalive" is the fault link_down,
at the moment at which the broker publishes the last will. Home Assistant's discovery messages go one at a time beside all that,
after each connection and whenever Home Assistant says that it has started; no alarm waits for them.

Everything that comes from outside may be anything: it is parsed by the contract, and what is bad, stale, retained or repeated is counted
and logged (the 1st, 2nd, 4th ... time, so that a flood fills no disk).

When told to power off, close() sends the last events, then the state with power "off" and availability "offline", and waits for their
acknowledgement up to close_s. Caregivers so see "switched off" (power off) apart from "lost" (the will, power still on), and in DOWN and
FALLEN the alarm_id stays.
"""

import logging
from collections import deque

import msgspec

from guardian import contract
from guardian.config import Config, ns
from guardian.contract import REFUSED, BadPayload, Topics
from guardian.frame import Command, Fault, Frame
from guardian.outputs import discovery
from guardian.outputs.link import Link, Word
from guardian.outputs.outbox import Outbox
from guardian.verdict import Obstacle, State, Verdict

log = logging.getLogger(__name__)

COMMANDS_MAX = 32  # waiting for the next frame
IDS_MAX = 1000  # command ids remembered
NO_EXERCISE_CHANGE = (State.IMMINENT, State.DOWN, State.FALLEN)  # as the monitor has it
LOOK_NS = 100_000_000
CLOCK_NS = 400_000_000  # a clock that is not set is heard within half a second of its definition, whenever that is


class Mqtt:
    """An output. `sw`: this software's version, for the state. Never raises."""

    name = "mqtt"

    def __init__(self, config: Config, outbox: Outbox, link: Link, sw: str) -> None:
        self.ignored = 0  # messages from outside that were bad, stale, retained or repeated
        self.why = "never connected"  # the last word on why the link is down
        self._config = config.mqtt
        self._topics = Topics(config.mqtt.root, config.device.id)
        self._outbox = outbox
        self._link = link
        self._boot = outbox.identity()[1]
        self._sw = sw
        self._exercises = frozenset(config.exercises)
        self._introduction = discovery.payloads(config, sw) if config.mqtt.discovery else {}
        self._birth = discovery.birth_topic(config.mqtt)
        self._state_ns = ns(config.mqtt.state_s)
        self._state_obstacle_ns = ns(config.mqtt.state_obstacle_s)
        self._silence_ns = ns(1.5 * config.mqtt.keepalive_s)
        self._answer_ns = ns(config.mqtt.keepalive_s / 2)
        self._inflight_ns = ns(config.outbox.repeat_s)
        self._repeat_ns = ns(config.policy.repeat_command_s)
        # the link
        self._up = False
        self._since_ns: int | None = None  # connected, or disconnected, since
        self._heard_ns = 0
        self._asked_ns: int | None = None  # the first QoS 1 message since the broker's last word
        self._silent = False
        # what is in flight
        self._inflight: dict[int, tuple[str, int]] = {}  # token -> event id, when
        self._state_token: int | None = None
        self._farewell: set[int] = set()
        self._to_introduce: deque[tuple[str, bytes]] = deque()
        self._introducing: tuple[int, int] | None = None  # token, when
        self._said_refused = False
        # the state
        self._told: Verdict | None = None  # of the last state sent on this connection
        self._seen: Verdict | None = None  # of the last tick
        self._state_at_ns = 0
        # from outside
        self._commands: list[Command] = []
        self._ids: dict[str, int] = {}  # command id -> when
        # the clock
        self._look_ns = 0
        self._clock_ns = 0
        self._unsynced = False
        self._closed = False

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Hear, then speak."""
        now_ns = verdict.t_ns
        self._seen = verdict
        words = self._link.poll()
        if words:
            self._hear(words, now_ns)
        if now_ns >= self._look_ns:
            self._look(now_ns)
        if self._up:
            if self._state_token is None and self._state_due(verdict, now_ns):
                self._send_state(verdict, now_ns)
            if len(self._inflight) < self._config.inflight_max:
                self._send_events(now_ns)
            if self._to_introduce and self._introducing is None and self._state_token is None:  # and so availability is answered too
                self._introduce(now_ns)

    def commands(self) -> tuple[Command, ...]:
        """What caregivers asked since the last call."""
        if not self._commands:
            return ()
        asked, self._commands = tuple(self._commands), []
        return asked

    def faults(self) -> tuple[Fault, ...]:
        """The link down, the clock not set."""
        if not (self._silent or self._unsynced):
            return ()
        told = [Fault("link_down", self.why)] if self._silent else []
        return (*told, Fault("clock_unsynced")) if self._unsynced else tuple(told)

    def close(self) -> None:
        """Say good-bye if the device was told to stop; after a crash leave that to the broker's last will."""
        if self._closed:
            return
        self._closed = True
        verdict = self._seen
        if verdict is not None and verdict.powering_off:
            self._say_farewell(verdict)
        self._link.close(farewell=verdict is not None and verdict.powering_off)

    # --- speaking

    def _state_due(self, verdict: Verdict, now_ns: int) -> bool:
        told = self._told
        if told is None:
            return True
        period_ns = self._state_ns if verdict.obstacle is Obstacle.CLEAR else min(self._state_ns, self._state_obstacle_ns)
        return now_ns - self._state_at_ns >= period_ns or (verdict is not told and _differs(verdict, told))

    def _send_state(self, verdict: Verdict, now_ns: int) -> int | None:
        token = self._link.publish(self._topics.state, msgspec.json.encode(self._state(verdict)), 1, True)
        if token is not None:
            self._told, self._state_at_ns, self._state_token = verdict, now_ns, token
            self._asked(now_ns)
        return token

    def _state(self, verdict: Verdict) -> dict[str, object]:
        """contract.STATE_KEYS, each."""
        motion, session, distance_m = verdict.motion, verdict.session, verdict.gap.distance_m
        return {
            "v": contract.VERSION,
            "state": verdict.state,
            "posture": motion.posture,
            "alarm_id": verdict.alarm.id if verdict.alarm else None,
            "fall": "ON" if verdict.state is State.FALLEN else "OFF",
            "obstacle": verdict.obstacle,
            "distance_m": None if distance_m is None else round(distance_m, 2),
            "exercise": verdict.exercise,
            "session": session.id if session else None,
            "faults": verdict.faults,
            "battery": None if verdict.charge is None else round(100 * verdict.charge),
            "steps": session.steps if session else 0,
            "cadence": round(motion.cadence, 1),
            "power": "off" if verdict.powering_off else "on",
            "uptime_s": round(verdict.t_ns / 1e9, 1),
            "boot": self._boot,
            "sw": self._sw,
        }

    def _send_events(self, now_ns: int) -> None:
        while len(self._inflight) < self._config.inflight_max:
            letter = self._outbox.due(now_ns)
            if letter is None:
                return
            token = self._link.publish(self._topics.event, letter.kept.payload, 1, False)
            if token is None:
                return
            self._outbox.sent(letter.kept.id, now_ns)
            self._inflight[token] = (letter.kept.id, now_ns)
            self._asked(now_ns)

    def _introduce(self, now_ns: int) -> None:
        """Tell Home Assistant of the next entity."""
        token = self._link.publish(*self._to_introduce[0], 1, True)
        if token is not None:
            self._to_introduce.popleft()
            self._introducing = token, now_ns
            self._asked(now_ns)

    def _not_introduced(self) -> None:
        """Refused: no further one until the next connection. It is no fault: a device without Home Assistant guards as well."""
        self._to_introduce.clear()
        if not self._said_refused:
            where = next(iter(self._introduction))
            log.warning("the broker refuses Home Assistant's discovery: check its acl for %s, or set mqtt.discovery = false", where)
        self._said_refused = True

    def _asked(self, now_ns: int) -> None:
        if self._asked_ns is None:
            self._asked_ns = now_ns

    def _say_farewell(self, verdict: Verdict) -> None:
        """The last events for half of the time, then the last state and availability."""
        self._outbox.settle()
        left_s, now_ns = self._config.close_s, verdict.t_ns
        while left_s > 0 and not self._farewell:
            if self._up:
                self._send_events(now_ns)
                if not self._inflight or left_s < self._config.close_s / 2:
                    payload = msgspec.json.encode(self._state(verdict))
                    tokens = (
                        self._link.publish(self._topics.state, payload, 1, True),
                        self._link.publish(self._topics.availability, b"offline", 1, True),
                    )
                    self._farewell = {token for token in tokens if token is not None}
                    break
            left_s, now_ns = self._wait(left_s, now_ns)
        while left_s > 0 and self._farewell:
            left_s, now_ns = self._wait(left_s, now_ns)

    def _wait(self, left_s: float, now_ns: int) -> tuple[float, int]:
        waited_s = max(self._link.wait(min(left_s, 0.05)), 1e-4)
        now_ns += ns(waited_s)
        self._hear(self._link.poll(), now_ns)
        return left_s - waited_s, now_ns

    # --- hearing

    def _hear(self, words: list[Word], now_ns: int) -> None:
        for word in words:
            match word:
                case ("ack", token, reason):
                    self._acknowledged(token, reason, now_ns)
                case ("message", topic, payload, retained):
                    self._message(topic, payload, retained, now_ns)
                case ("up",):
                    self._connected(now_ns)
                case ("down", why):
                    if self._up:
                        self._since_ns = self._heard_ns
                    if why != self.why:
                        log.warning("link down: %s", why)
                    self._up, self.why = False, why
                    continue
            self._heard_ns, self._asked_ns = now_ns, None

    def _connected(self, now_ns: int) -> None:
        log.info("connected")
        self._up, self._since_ns, self._silent = True, now_ns, False
        self._inflight.clear()
        self._state_token = self._told = self._introducing = None
        self._to_introduce = deque(self._introduction.items())
        self._link.publish(self._topics.availability, b"online", 1, True)
        self._outbox.connected(now_ns)

    def _acknowledged(self, token: int, reason: int | None, now_ns: int) -> None:
        if token == self._state_token:
            self._state_token = None
        elif token in self._inflight:
            self._outbox.answered(self._inflight.pop(token)[0], reason, now_ns)
        elif self._introducing is not None and token == self._introducing[0]:
            self._introducing = None
            if reason is not None and reason >= REFUSED:
                self._not_introduced()
        self._farewell.discard(token)

    def _message(self, topic: str, payload: bytes, retained: bool, now_ns: int) -> None:
        if topic == self._birth:
            if payload == b"online":
                self._to_introduce = deque(self._introduction.items())
        elif retained:
            self._ignore(topic, "retained: it was meant for some other time")
        elif topic == self._topics.receipt:
            try:
                receipt = contract.parse_receipt(payload)
            except BadPayload as error:
                self._ignore(topic, str(error))
            else:
                if not self._outbox.received(receipt.id, now_ns):
                    self._ignore(topic, "a receipt of no event of this device")
        elif topic == self._topics.command:
            try:
                command = contract.parse_command(payload)
            except BadPayload as error:
                self._ignore(topic, str(error))
            else:
                self._command(command, now_ns)

    def _command(self, command: contract.CommandPayload, now_ns: int) -> None:
        alarm = self._seen.alarm if self._seen else None
        if now_ns - self._ids.get(command.id, -self._repeat_ns) < self._repeat_ns:
            self._ignore(command.cmd, f"{command.id} is a repeat")
            return
        self._ids[command.id] = now_ns
        if len(self._ids) > IDS_MAX:
            del self._ids[next(iter(self._ids))]  # the oldest
        if command.cmd in ("ack", "clear") and (alarm is None or command.for_ != alarm.id):
            self._ignore(command.cmd, f"for {command.for_!r}; the open alarm is {alarm.id if alarm else None}")
        elif command.cmd == "exercise" and command.value not in self._exercises:
            self._ignore(command.cmd, f"{command.value!r} is none of {', '.join(sorted(self._exercises))}")
        elif command.cmd == "exercise" and self._seen is not None and self._seen.state in NO_EXERCISE_CHANGE:
            self._ignore(command.cmd, f"no other exercise in {self._seen.state}")
        elif len(self._commands) >= COMMANDS_MAX:
            self._ignore(command.cmd, "too many at once")
        else:
            self._commands.append(Command(command.cmd, command.id, command.for_, command.value))

    def _ignore(self, what: str, why: str) -> None:
        self.ignored += 1
        if self.ignored & (self.ignored - 1) == 0:
            log.warning("%d messages ignored; now %s: %.200s", self.ignored, what, why)

    # --- now and then

    def _look(self, now_ns: int) -> None:
        """Ten times a second: is the broker still there, does this machine know the time, what was never answered."""
        self._look_ns = now_ns + LOOK_NS
        if self._since_ns is None:
            self._since_ns = now_ns
        if self._up:
            asked_ns = self._asked_ns
            self._silent = asked_ns is not None and now_ns - self._heard_ns >= self._silence_ns and now_ns - asked_ns >= self._answer_ns
            if self._silent:
                self.why = f"the broker has not answered for {(now_ns - self._heard_ns) / 1e9:.0f} s"
            if now_ns >= self._clock_ns:
                self._clock_ns = now_ns + CLOCK_NS
                self._unsynced = now_ns - self._since_ns >= ns(self._config.clock_wait_s) and self._outbox.wall() is None
        else:
            self._silent = now_ns - self._since_ns >= self._silence_ns
        if self._state_token is not None and now_ns - self._state_at_ns >= self._inflight_ns:
            self._state_token = None
        if self._introducing is not None and now_ns - self._introducing[1] >= self._inflight_ns:
            self._introducing, self._to_introduce = None, deque(self._introduction.items())
        for token in [token for token, (_, at_ns) in self._inflight.items() if now_ns - at_ns >= self._inflight_ns]:
            del self._inflight[token]


def _differs(verdict: Verdict, told: Verdict) -> bool:
    """Whether a key of the state other than contract.QUIET_STATE_KEYS has changed; the cheap and likely ones first."""
    return (
        verdict.state is not told.state
        or verdict.obstacle is not told.obstacle
        or verdict.motion.posture is not told.motion.posture
        or verdict.faults != told.faults
        or verdict.powering_off is not told.powering_off
        or verdict.exercise != told.exercise
        or (verdict.alarm is not told.alarm and (verdict.alarm and verdict.alarm.id) != (told.alarm and told.alarm.id))
        or (verdict.session is not told.session and (verdict.session and verdict.session.id) != (told.session and told.session.id))
    )
