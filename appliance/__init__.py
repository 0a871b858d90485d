"""The firmware: what runs on the box."""
