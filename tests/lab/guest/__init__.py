"""The half of the lab that runs inside the guest: `init`, then the package's main module.

Read by the guest's python, which has the standard library only: nothing else is imported here.
"""
