"""The lab: a real Linux kernel with a real FunctionFS gadget, on any machine.

`python -m tests.lab -- CMD` boots Debian's kernel in QEMU with this machine's files mounted
read-only and runs CMD there. See arguments.py for the contract, session.py for the main flow,
guest/ for the half that runs inside.
"""
