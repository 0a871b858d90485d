"""Intake runs: files of rows taken in over the API, carried on by whichever worker holds one. See docs/intake.md."""
