"""The services registry: which services there are, in how many processes, how they are, and who holds which lease.

    options.py      the options of group ``database``, and ``service_down_time``
    tables.py       the tables and their laws
    statements.py   every statement, in SQLAlchemy Core
    compiler.py     statements -> SQL text, kept in ``compiled/``: running programs need no SQLAlchemy
    database.py     Database: transactions in a native thread; a lost database is told once, and found again
    sqlite.py postgresql.py
                    the two drivers
    services.py     Services: the verbs on the tables; ServiceEntry, what a reader gets
    leases.py       ClusterLeases: a periodic task runs on one host at a time
    reporter.py     Reporter: a service's heartbeats; ``join`` makes a service report

A program's services report when they have joined, before they are launched::

    from nova_wsgi.registry.reporter import join

    join(service, version=VERSION)
"""
