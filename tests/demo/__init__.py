"""`make run`: a signer to try without hardware. The board is virtual, everything on it is real."""
