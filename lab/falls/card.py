"""The model card's figures by activity: `python -m lab.falls.card` writes them, from crossvalidated.json, into README.md here."""

import json
import sys
from pathlib import Path
from typing import Any

from lab.falls.decisions import RESULTS
from lab.marks import write_between

CARD = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- by activity -->", "<!-- /by activity -->"
NAMES = {
    "D01": "walking slowly", "D02": "walking quickly", "D03": "jogging slowly", "D04": "jogging quickly", "D05": "stairs slowly",
    "D06": "stairs quickly", "D07": "sitting on a chair and up, slowly", "D08": "the same, quickly", "D09": "on a low chair, slowly",
    "D10": "the same, quickly", "D11": "trying to get up, collapsing into the chair", "D12": "sitting, lying down, sitting, slowly",
    "D13": "the same, quickly", "D14": "lying on the back, turning to the side", "D15": "bending the knees",
    "D16": "bending without the knees", "D17": "into a car and out", "D18": "stumbling while walking", "D19": "a gentle jump",
    "F01": "walking, slip, forward", "F02": "walking, slip, backward", "F03": "walking, slip, sideways", "F04": "walking, trip, forward",
    "F05": "jogging, trip, forward", "F06": "walking, fainting", "F07": "walking, fainting, hands on a table", "F08": "getting up, forward",
    "F09": "getting up, sideways", "F10": "sitting down, forward", "F11": "sitting down, backward", "F12": "sitting down, sideways",
    "F13": "fainting while sitting, forward", "F14": "the same, backward", "F15": "the same, sideways",
}  # fmt: skip


def table(results: dict[str, Any]) -> str:
    """Trials that went well of all, at both operating points; and the lead times of falls."""
    lines = ["| | | exercise | everyday | lead, everyday: median |", "|---|---|---:|---:|---:|"]
    rows, everyday = results["walk"]["rows"], results["everyday"]["rows"]
    for name, (good, of) in sorted(rows.items()):
        code, _, variant = name.partition(" ")
        leads = sorted(lead for trial, lead in results["everyday"]["leads_s"].items() if trial.startswith(code) and code.startswith("F"))
        lead = f"{leads[len(leads) // 2]:.2f} s" if leads else ""
        what = NAMES[code] + (", reversed in time" if variant else "")
        lines.append(f"| {code} | {what} | {good}/{of} | {everyday[name][0]}/{everyday[name][1]} | {lead} |")
    return "\n".join(lines)


def main() -> int:
    """Write."""
    text = table(json.loads(RESULTS.read_text()))
    write_between(CARD, BEGIN, END, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
