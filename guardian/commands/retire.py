"""guardian retire: take back all that this device keeps at the broker, so that nobody waits for a device that is no longer worn.

Home Assistant removes an entity whose discovery message becomes empty. What is on the device's own disk stays (see guardian erase). One
message at a time, each acknowledged before the next goes; discovery first.
"""

import sys
import time
from argparse import Namespace

from guardian import __version__
from guardian.app import AlreadyRunning, locked, places, word_of
from guardian.commands.options import config_of, console
from guardian.config import Config, ConfigError
from guardian.contract import REFUSED, Topics
from guardian.outputs.discovery import payloads
from guardian.outputs.link import PahoLink

CONNECT_S = 8.0
ANSWER_S = 5.0
LET_GO_S = 1.0  # Home Assistant's to remove its entities, which would complain of a state that is empty


def main(args: Namespace) -> int:
    """Refuse while the device runs or an alarm is open; else take back."""
    config = config_of(args)
    if not config.mqtt.enabled:
        raise ConfigError("mqtt.enabled = false: this device tells no broker anything, so there is nothing to take back")
    here = places(config)
    try:
        with locked(here):
            alarm = here.open_alarm()
            if alarm is not None and not args.yes:
                print(f"guardian: an alarm is open ({alarm}), and caregivers see it there: clear it first, or say --yes", file=sys.stderr)
                return 1
            return _retire(config)
    except AlreadyRunning as error:
        print(f"guardian: {error}; stop it first: systemctl stop guardian", file=sys.stderr)
        return 2


def _retire(config: Config) -> int:
    topics = Topics(config.mqtt.root, config.device.id)
    entities = list(payloads(config, __version__))
    where = f"{config.mqtt.host}:{config.mqtt.port}"
    refused = _taken_back(config, entities, [topics.state, topics.availability])
    for topic in refused:
        print(f"guardian: {where} refuses {topic}: check its acl for user {config.mqtt.username or config.device.id!r}", file=sys.stderr)
    out = console()
    out.print(f"{config.device.id} at {where}", soft_wrap=True)
    out.print(f"  taken back: {len([topic for topic in entities if topic not in refused])} of {len(entities)} Home Assistant entities")
    for topic in (topics.state, topics.availability):
        out.print(f"  {'refused' if topic in refused else 'taken back'}: {topic}", soft_wrap=True)
    return 1 if refused else 0


def _taken_back(config: Config, entities: list[str], rest: list[str]) -> list[str]:
    """Empty these retained topics; returns those that the broker refuses (MQTT 3.1.1 cannot say so). Raises OSError."""
    refused = []
    link = PahoLink(config, will=False)  # a last will would be kept there in its turn
    try:
        word_of(link, "up", CONNECT_S)
        for topics in (entities, rest):
            for topic in topics:
                link.publish(topic, b"", 1, True)
                match word_of(link, "ack", ANSWER_S):
                    case ("ack", _, int(reason)) if reason >= REFUSED:
                        refused.append(topic)
            if topics is entities:
                time.sleep(LET_GO_S)
    except OSError as error:
        raise OSError(f"{error}: not everything was taken back. See mqtt.host, port, username and tls, then run it again") from error
    finally:
        link.close(farewell=True)
    return refused
