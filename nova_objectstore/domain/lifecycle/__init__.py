"""What becomes of objects with time (AWS: "Managing the lifecycle of objects").

configuration  a bucket's rules as values, and as the document that is stored
day            how long a day is, and when it ends
rules          the rules compiled: what is due when, for a version, an upload, a header
buckets        the rules of buckets: read, stored, removed
"""
