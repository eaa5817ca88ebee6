"""What has no domain words at all: clock, ids, sse, text, tasks."""
