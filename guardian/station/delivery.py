"""Handing a message to a phone, through Apprise, which knows ntfy, Telegram, e-mail, SMS and a hundred more by an address.

An address is a secret: who knows an ntfy topic reads along, and a Telegram address holds the bot's token. So what libraries log about their
requests goes nowhere, and what is said here about a failure is made of our own words and a number.
"""

import logging
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
from apprise.plugins import NotifyBase

from guardian.contract import Severity
from guardian.station.message import Message

Deliver = Callable[[str, Message], str]  # (address, message) -> "" or why not

_apprise = logging.getLogger("apprise")
_apprise.propagate = False  # it names hosts and targets; its own result object still holds what went wrong
_apprise.addHandler(logging.NullHandler())
_apprise.setLevel(logging.WARNING)  # below that it names whole addresses
logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # it names paths, and a path may hold a token

# service_timeout 0: above it, Apprise sends in a pool of a few threads that all services share, and some dead ones would hold the others.
# Nothing is kept on disk.
_asset = AppriseAsset(app_id="Guardian", app_desc="Guardian", storage_mode="memory", service_timeout=0)

TYPES = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING, "info": NotifyType.INFO}
LOUD = {"critical": "emergency", "warning": "high"}  # every service with the grades 1-5 understands these; ntfy and others make it max
GRADES = {"lametric": {"critical": "critical", "warning": "warning"}}  # services with words of their own


def deliver(address: str, message: Message) -> str:
    """Send it and wait: "" once the service has taken it, else why not, without a secret. Takes as long as the service does (seconds)."""
    plugin = service(address, message.severity)
    if plugin is None:
        return "the address is none that Apprise understands"
    apprise = Apprise(asset=_asset)
    apprise.add(plugin)
    result = apprise.notify(body=message.body, title=message.title, notify_type=TYPES[message.severity], body_format=NotifyFormat.TEXT)
    return "" if result else f"{_scheme(address)}: {_why(' '.join(str(line) for line in result.logs()))}"


def learn_services() -> None:
    """Have Apprise load all its services now (0.3 s), not when the first alarm is waiting."""
    _made("json://localhost")


def service(address: str, severity: Severity) -> NotifyBase | None:
    """What sends to this address, as loud as it can for an alarm; None: no address. One that names its own priority keeps it."""
    plugin = _made(address)
    grade = GRADES.get(_scheme(address), LOUD).get(severity)
    if plugin is None or grade is None or "priority" not in plugin.template_args or re.search(r"[?&]priority=", address, re.IGNORECASE):
        return plugin
    return _made(f"{address}{'&' if '?' in address else '?'}priority={grade}") or plugin


def _made(address: str) -> NotifyBase | None:
    made = Apprise.instantiate(address, asset=_asset)  # a new one each time: one that is kept waits between two messages
    return made if isinstance(made, NotifyBase) else None


def _scheme(address: str) -> str:
    return urlsplit(address).scheme[:20]


def _why(said: str) -> str:
    code = re.search(r"error=(\d{3})", said)
    return f"the service answered {code[1]}" if code else "the service did not take it, or could not be reached"
