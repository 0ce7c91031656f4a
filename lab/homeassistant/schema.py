"""Run by Home Assistant's own Python: discovery payloads (JSON on stdin, topic -> payload) against that release's own schemas.

Prints JSON, topic -> what is wrong. A key that a component does not know is dropped without a word, so what the schema gives back is
compared with what went in, key by key, nested ones too.
"""

import importlib
import json
import sys
from typing import Any

import voluptuous

from homeassistant.const import __version__


def dropped(given: Any, kept: Any, path: str = "") -> list[str]:
    """Keys of `given` that `kept` does not have."""
    if isinstance(given, dict):
        if not isinstance(kept, dict):
            return [path]
        missing = [f"{path}{key}" for key in given if key not in kept]
        return missing + [found for key in given if key in kept for found in dropped(given[key], kept[key], f"{path}{key}.")]
    if isinstance(given, list) and isinstance(kept, list):
        return [found for one, other in zip(given, kept, strict=True) for found in dropped(one, other, path)]
    return []


def problems(topic: str, payload: str) -> list[str]:
    """What the component's discovery schema refuses or drops."""
    component = topic.split("/")[-4]
    schema = importlib.import_module(f"homeassistant.components.mqtt.{component}").DISCOVERY_SCHEMA
    given = json.loads(payload)
    try:
        kept = schema(json.loads(payload))
    except voluptuous.Invalid as error:
        return [f"refused: {error}"]
    return [f"dropped: {key}" for key in dropped(given, dict(kept))]


if __name__ == "__main__":
    told = json.load(sys.stdin)
    print(json.dumps({"version": __version__, "problems": {topic: problems(topic, payload) for topic, payload in told.items()}}))
