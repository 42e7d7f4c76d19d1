"""The device daemon: it answers the host over FunctionFS endpoints and keeps the keys."""
