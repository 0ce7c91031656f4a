"""SHOP: the simulated world, below the drivers: chips from their datasheets, pins, a walker and what is around."""
