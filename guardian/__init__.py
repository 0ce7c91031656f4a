"""Guardian: makes backward (retro) walking safe. Rooms: drivers -> monitor -> outputs; workshop: sim; page: report; care: station."""

__version__ = "0.1.0"
