"""The commands: one file each, `main(args) -> exit code`. They choose the hardware, wire a device by guardian.app, and show it."""
