"""THE METADATA ENGINE: accounts, buckets, versions, uploads and what is left of them.

``engine.py`` is the port. ``sql/`` holds its verbs, written once for every SQL database; ``sqlite.py`` is the embedded engine.
"""
