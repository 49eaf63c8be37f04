"""An S3-compatible object store: a front that speaks S3, a domain that knows its rules, engines that keep the bytes.

    cmd/ manager.py config.py bootstrap.py   programs, Managers, options: the only readers of configuration
    assembly.py                              engines -> domain -> front: the only module that sees all of them
    s3/ images/ jobs/ manage/                what faces outward
    domain/                                  the rules; no HTTP, no SQL
    meta/engine.py data/engine.py            the ports: whole-transaction verbs; create, open, delete
    meta/sqlite/ meta/sql/ data/files.py     the engines
    types.py errors.py limits.py             values, facts of failure, bounds: known to every layer

A PUT: parse, locate, authenticate, authorise (``s3/app.py``); receive, hash and write (``domain/ingest.py``), judge the
digests, make the data durable under a fresh name; commit the version with its conditions in one transaction; answer. A
GET: the same way in, one read of the metadata, and the bytes from the row or by sendfile. ARCHITECTURE.md tells it whole.
"""
