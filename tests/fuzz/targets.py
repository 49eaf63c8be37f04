"""All targets of the fuzzer, in the order of what a stranger reaches first."""

from __future__ import annotations

from collections.abc import Mapping

from fuzz import (
    bundles,
    chunked_bodies,
    forms,
    header_values,
    http_requests,
    policies,
    query_actions,
    servers,
    service_bodies,
    signatures,
    stores,
    tokens,
    xml_documents,
)
from support.fuzzing import Target

_MODULES = (
    http_requests, signatures, chunked_bodies, header_values, forms, xml_documents, bundles, policies, tokens, stores,
    query_actions, service_bodies,
    servers,
)  # fmt: skip

TARGETS: Mapping[str, Target] = {target.name: target for module in _MODULES for target in module.TARGETS}
