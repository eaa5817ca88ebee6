"""What has no domain words at all: bells, clock, ids, sse, text, tasks."""
