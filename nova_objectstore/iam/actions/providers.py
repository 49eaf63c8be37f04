"""OpenID Connect providers: whose tokens AssumeRoleWithWebIdentity takes."""

from __future__ import annotations

from nova_objectstore.iam.actions.gate import NOTHING_TOLD, Gate, Told, requested_tags
from nova_objectstore.iam.actions.pages import read_page
from nova_objectstore.iam.actions.tags import render_tags
from nova_objectstore.iam.ports import Provider
from nova_objectstore.iam.providers import Providers, check_url
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import element, iso_time, members, tag_list, texts
from nova_objectstore.query.request import QueryRequest


class ProviderController:
    """OpenID Connect providers."""

    def __init__(self, gate: Gate, providers: Providers) -> None:
        self._gate = gate
        self._providers = providers

    def _arn(self, req: QueryRequest, told: Told = NOTHING_TOLD) -> str:
        arn = req.parameters.required("OpenIDConnectProviderArn")
        self._gate.permit(req, arn, told)
        return arn

    @action("CreateOpenIDConnectProvider")
    def create_provider(self, req: QueryRequest) -> Answer:
        """Add a provider."""
        parameters, account_id = req.parameters, req.principal.account_id
        url = check_url(parameters.required("Url"))
        tags = parameters.tags()
        self._gate.permit(
            req, f"arn:aws:iam::{account_id}:oidc-provider/{url.partition('://')[2]}", requested_tags(tags)
        )
        provider = self._providers.create(
            account_id,
            url,
            client_ids=parameters.members("ClientIDList"),
            thumbprints=parameters.members("ThumbprintList"),
            tags=tags,
        )
        made = [element("OpenIDConnectProviderArn", provider.arn)]
        return [*made, tag_list(provider.tags)] if provider.tags else made

    @action("GetOpenIDConnectProvider")
    def get_provider(self, req: QueryRequest) -> Answer:
        """A provider. AWS answers its URL without ``https://``; the scheme of another is told."""
        provider = self._providers.find(req.principal.account_id, self._arn(req))
        answer = [
            element("Url", _shown_url(provider)),
            texts("ClientIDList", provider.client_ids),
            texts("ThumbprintList", provider.thumbprints),
            element("CreateDate", iso_time(provider.created_us)),
        ]
        return [*answer, tag_list(provider.tags)] if provider.tags else answer

    @action("ListOpenIDConnectProviders")
    def list_providers(self, req: QueryRequest) -> Answer:
        """The ARNs of the account's providers."""
        account_id = req.principal.account_id
        self._gate.permit(req, f"arn:aws:iam::{account_id}:oidc-provider/*")
        rows = (element("Arn", provider.arn) for provider in self._providers.list(account_id))
        return [members("OpenIDConnectProviderList", rows)]

    @action("DeleteOpenIDConnectProvider")
    def delete_provider(self, req: QueryRequest) -> None:
        """Remove a provider."""
        self._providers.delete(req.principal.account_id, self._arn(req))

    @action("UpdateOpenIDConnectProviderThumbprint")
    def update_thumbprint(self, req: QueryRequest) -> None:
        """Replace the thumbprints."""
        thumbprints = req.parameters.members("ThumbprintList")
        self._providers.set_thumbprints(req.principal.account_id, self._arn(req), thumbprints)

    @action("AddClientIDToOpenIDConnectProvider")
    def add_client_id(self, req: QueryRequest) -> None:
        """Take tokens for another audience."""
        client_id = req.parameters.required("ClientID")
        self._providers.add_client_id(req.principal.account_id, self._arn(req), client_id)

    @action("RemoveClientIDFromOpenIDConnectProvider")
    def remove_client_id(self, req: QueryRequest) -> None:
        """Take no tokens for that audience any more."""
        client_id = req.parameters.required("ClientID")
        self._providers.remove_client_id(req.principal.account_id, self._arn(req), client_id)

    @action("TagOpenIDConnectProvider")
    def tag_provider(self, req: QueryRequest) -> None:
        """Add or replace tags."""
        tags = req.parameters.tags()
        self._providers.tag(req.principal.account_id, self._arn(req, requested_tags(tags)), tags)

    @action("UntagOpenIDConnectProvider")
    def untag_provider(self, req: QueryRequest) -> None:
        """Remove tags."""
        keys = req.parameters.members("TagKeys")
        self._providers.untag(req.principal.account_id, self._arn(req, {"aws:tagkeys": keys} if keys else {}), keys)

    @action("ListOpenIDConnectProviderTags")
    def list_provider_tags(self, req: QueryRequest) -> Answer:
        """Tags, by key."""
        page = read_page(req)
        return render_tags(page, dict(self._providers.find(req.principal.account_id, self._arn(req)).tags))


def _shown_url(provider: Provider) -> str:
    return provider.host if provider.url.startswith("https://") else provider.url
