"""Running generations: channel, flusher, watch, over a log port that storage implements."""
