"""The kinds of failure, a file for what they lay their hands on."""

from lab.campaign.failure import Kind
from lab.campaign.kinds import clock_supply, disk, imu, link, program, wires

KINDS: tuple[Kind, ...] = (*imu.KINDS, *wires.KINDS, *program.KINDS, *disk.KINDS, *link.KINDS, *clock_supply.KINDS)
