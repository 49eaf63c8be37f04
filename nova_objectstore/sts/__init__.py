"""STS: sessions, which are credentials that end by themselves (AWS: Security Token Service API Reference).

session.py     what a session is, and its form inside a token (crypto/session_tokens.py seals it)
sessions.py    from a token to who asks; from what was decided to a new session's credentials
trust.py       who may assume a role: its trust policy, and what the caller's own policies say
roles.py       from a request to a session of a role
oidc.py        the claims of an OpenID Connect token
issuers.py     the keys of OpenID Connect issuers: fetched, kept, fetched anew when they were rotated
parameters.py  the parameters of requests, held to STS's constraints
actions.py     the actions of the query API
service.py     the API as a service of ``query/``
errors.py      what only STS refuses
"""
