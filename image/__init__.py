"""Builds, checks and updates the flashable SD-card image. Runs on the developer's machine, without
root.

`image.build.build_image` is the list of steps. Nothing else imports this package but tests.
"""
