"""Keys and sealed bytes, below everything else: nothing here knows of buckets, requests or SQL.

frames.py          bytes at rest, in frames that are authenticated one by one
envelope.py        keys sealed under keys
master.py          the master key: from the environment or a file
keyring.py         the store's own keys, sealed under the master key in a file that all processes read
session_tokens.py  the key pairs and tokens of sessions, sealed under a key of the keyring
jws.py             the signatures of JSON Web Tokens, and the public keys that verify them
private.py         files that their owner alone may read
"""
