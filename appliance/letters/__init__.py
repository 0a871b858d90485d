"""Letters: kinds as data, and the rules by which a letter lives through sealed events. Pure: no I/O, key or clock."""
