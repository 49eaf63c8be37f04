"""THE RULES: what S3 means, over the ports of the engines. No HTTP, no SQL, no files."""
