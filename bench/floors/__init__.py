"""Floors: bare ASGI applications that do the same work with nothing around it."""
