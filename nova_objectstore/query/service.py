"""A service of the query protocol: what makes IAM, STS and SNS different from one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nova_objectstore.query.action import Bound
from nova_objectstore.query.faults import Rows


@dataclass(frozen=True, slots=True)
class Service:
    """One API. ``name`` is that of credential scopes and actions (``iam``), ``version`` the one that its requests name.

    ``namespace`` is that of its documents, ``rows`` the error rows that it adds. ``is_global``: at AWS it has one endpoint
    for all regions, so that clients sign for us-east-1 wherever the store says it is; its own region is taken too.
    ``refuses_user_sessions``: the sessions of GetSessionToken and GetFederationToken are nobody to it.
    """

    name: str
    version: str
    namespace: str
    actions: Mapping[str, Bound]
    rows: Rows = field(default_factory=dict)
    is_global: bool = False
    refuses_user_sessions: bool = False
