"""THE PROTOCOL: bytes to values and back. No SQL, no files; what an operation decides is the domain's."""
