"""A witness of transparency logs (C2SP tlog-witness), which any institution can rack: `cinnabar witness`.

It holds a key of its own and, for each log that was configured by hand, the largest head that it cosigned. It cosigns a
head only after the log has proved that it extends that one, and only once it is on disk. No part of a box is needed.

request: what a log sends. judging: what is answered, as a pure function. state, commits: what is remembered, durably.
keys: who signs. service: the three together. server, pages, metrics: HTTP. follow: fetching what logs publish.
docs/witness.md explains.
"""
