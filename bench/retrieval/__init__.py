"""Fifty documents in seven languages and two hundred questions, all written for this benchmark."""
