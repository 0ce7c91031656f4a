"""OUT: each output acts on a frame and its verdict; app.py chooses which."""
