"""The box's console: what its server shows and asks, the screen and the commands of the person in front of it."""
