"""How well the simulated ranger hears: one table of rates, each with its source. The standard world uses it unchanged.

"project" marks a figure that this project fixed as its standard world, because nobody has published it for a wearer who walks backward.
"""

from msgspec import Struct


class Rates(Struct, frozen=True, kw_only=True):
    """Shares are of all pings; distances in m."""

    lost: float = 0.10  # echoes lost on cloth folds and turned surfaces (project; soft and oblique targets fail: SparkFun forum 39394)
    ghost: float = (
        0.02  # echo of the ping before, heard in this cycle (project; cross-cycle reflections are reported for fast pinging: engineered.at)
    )
    spurious: float = 0.01  # 4-6 cm with nothing there (reported for the HC-SR04: SparkFun forum 39394; the share: project)
    spurious_near_m: float = 0.04
    spurious_far_m: float = 0.06
    spurious_run: int = 2  # longest run of them (project)
    sigma_m: float = 0.01  # of one reading: the comparator sees the echo's envelope, half a wavelength either way (8.6 mm at 40 kHz)
    range_m: float = 4.0  # data sheet: 2-400 cm
    blind_m: float = 0.02
    beam_half_angle_deg: float = 15.0  # data sheet's "effectual angle" of 15°, taken as half angle
    oblique_deg: float = 45.0  # walls turned further than this send nothing back (roboternetz, SparkFun forum 39394)
    soft_return: float = 0.3  # share of pings that cloth sends back: most of a sweatshirt's or couch's are absorbed (project)
    reverberation_m: tuple[float, ...] = (
        11.8,
        12.7,
        13.5,
        14.4,
        15.2,
    )  # long paths in a hall, just beyond one cycle (11.4 m at 15 pings/s)
    speed_of_sound_m_s: float = 343.4  # 331.3 + 0.606 T at 20 °C


STANDARD = Rates()
PERFECT = Rates(lost=0.0, ghost=0.0, spurious=0.0, sigma_m=0.0, soft_return=1.0)

# The gait ripple of ±0.15 m/s is no noise of the ranger: the trunk really speeds up and slows down with each step, so it stands in
# walker.py, and reaches the accelerometer as well.
GAIT_RIPPLE_M_S = 0.15  # (project); SisFall's D01 and D02 give 0.156 and 0.178 m/s: fore-aft amplitude / (2π × step rate), own measurement
