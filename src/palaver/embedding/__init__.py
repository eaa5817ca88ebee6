"""What embeds with a model from a folder, in a process of its own: `python -m palaver.embedding`.

Nothing here is imported by the server: onnxruntime and its model stay out of its memory.
"""
