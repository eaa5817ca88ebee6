"""What runs in a process of its own: it reads files that nobody has looked into."""
