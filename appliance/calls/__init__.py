"""Calls between the box's processes over private unix sockets: frames, peers, problems, and both sides of a call.

framing: four bytes of length before each message. sockets: who listens where, and who is at the other end. server and
client: `[ticket, method, arguments]`, then `[ticket, true, value]` or `[ticket, false, problem]`. problems: an error as
it travels, and the exception that it becomes again.
"""
