"""The cosigner: the process that has outside witnesses cosign the heads of the box's logs (C2SP tlog-witness).

It may speak to the network, has neither PIN nor token nor the recorder's database, and signs nothing. It reads the
logs as anybody does who follows them, and leaves what witnesses said where workers find it (appliance.log.cosigned).
"""
