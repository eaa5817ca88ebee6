"""What dialects share: endpoints, calls, authentication, CSRF, bodies, OpenAPI."""
