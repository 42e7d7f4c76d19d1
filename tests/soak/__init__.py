"""The soak: the real stack in the lab under mixed load, and whether anything of it grows.

`python -m tests.soak --duration S`. arguments.py has the contract, guest.py and what it imports run
inside the lab, growth.py and verdict.py judge what was seen.
"""
