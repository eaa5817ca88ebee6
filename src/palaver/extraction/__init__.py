"""Reads files from outside in a process of its own: `python -m palaver.extraction`.

Whatever a file does to its reader, it does to a process that reads nothing else, owns nothing, and
ends with it. `outbound/extractor.py` starts one for each file.
"""
