"""What both ends of the cable share: numbers, frames, messages and the request/response engine.

This file imports nothing, so that the registrar can use `broker.contract` without loading the rest.
"""
