"""guardian replay: own recordings through the monitor again, or motion data through the whole simulated device."""

import sys
from argparse import Namespace

from guardian.commands.options import config_of
from guardian.commands.replay_imu import replay_imu
from guardian.commands.replay_recordings import replay_recordings


def main(args: Namespace) -> int:
    """Choose by what was given."""
    if (args.imu is None) == (not args.recordings):
        print("guardian: name own recordings (FILE.mcap ...) or motion data (--imu FILE.npz), one of the two", file=sys.stderr)
        return 2
    if args.imu is not None:
        return replay_imu(config_of(args), args)
    return replay_recordings(args.recordings, args.model)
