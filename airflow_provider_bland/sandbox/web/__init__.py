"""Serving the world over HTTP: routes, what befalls every request, and replies that do not arrive."""
