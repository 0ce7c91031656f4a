"""The kinds of failure, a file for what they lay their hands on."""

from lab.campaign.failure import Kind
from lab.campaign.kinds import disk, imu, link, program, rest, wires

KINDS: tuple[Kind, ...] = (*imu.KINDS, *wires.KINDS, *program.KINDS, *disk.KINDS, *link.KINDS, *rest.KINDS)
