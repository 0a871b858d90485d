"""The anchorer: the process that writes heads of the box's log to outside ledgers. It may speak to the network, and has
neither PIN nor token nor the recorder's database; the log follower signs for it (docs/anchors.md).
"""
