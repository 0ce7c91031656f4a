"""The learned fall detector: from recordings to the weights in the wheel. README.md beside this is its model card."""
