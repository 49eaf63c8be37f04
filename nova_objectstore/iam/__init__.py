"""IAM: users, groups, roles, their keys and policies, and the API that manages them.

    ports.py        IamStore, the port; the values that cross it
    errors.py       what can go wrong, as facts
    limits.py       AWS's quotas
    names.py        names, paths, unique ids and ARNs: how they look
    managed.py      the AWS managed policies that can be attached here
    documents.py    policy documents as IAM takes them
    directory.py    the rules of users, groups, roles and their keys
    policies.py     the rules of inline and managed policies, attachments, boundaries
    providers.py    the rules of OpenID Connect providers
    actions/        the query API over these: parse, authorise, do, render
    service.py      the API as a service of ``query/``

Whom policies allow what is decided in ``domain/`` (``domain/identity_policies.py`` reads them through the port).
"""
