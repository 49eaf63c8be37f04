"""Listings of a bucket's current objects: ListObjects and ListObjectsV2."""

from __future__ import annotations

from collections.abc import Callable

from nova_objectstore.domain.identities import Identities
from nova_objectstore.domain.objects import Objects
from nova_objectstore.domain.restores import Restores
from nova_objectstore.errors import InvalidArgument
from nova_objectstore.limits import LIST_KEYS_MAX
from nova_objectstore.s3.authorise import owner_of
from nova_objectstore.s3.listing_documents import ListingStyle, render_listing, render_listing_v2
from nova_objectstore.s3.operation import Controller, operation
from nova_objectstore.s3.operations.buckets import decode_token, encode_token
from nova_objectstore.s3.render import (
    Encode,
    owner_element,
    plain,
    url_encode,
)
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.restore_status import restore_elements
from nova_objectstore.types import ListQuery


def read_encoding(req: S3Request) -> tuple[str, Encode]:
    """``encoding-type``: its name and what it does to keys. Raises InvalidArgument."""
    encoding = req.query.get("encoding-type", "")
    if encoding == "url":
        return encoding, url_encode
    if encoding:
        raise InvalidArgument(
            "Invalid Encoding Method specified in Request", argument_name="encoding-type", argument_value=encoding
        )
    return "", plain


def owner_elements(identities: Identities, req: S3Request, *, wanted: bool = True) -> Callable[[str], str]:
    """A function from account id to Owner element; each account is looked up once a listing."""
    made: dict[str, str] = {}

    def owner(account_id: str) -> str:
        if account_id not in made:
            account = identities.owner(owner_of(req.rules, req.bucket, account_id))
            made[account_id] = owner_element("Owner", account) if wanted else ""
        return made[account_id]

    return owner


class ListingController(Controller):
    """A bucket's keys, a page at a time."""

    def __init__(self, objects: Objects, identities: Identities, restores: Restores) -> None:
        self._restores = restores
        self._objects = objects
        self._identities = identities

    @operation("ListObjects", "GET /{bucket}", action="s3:ListBucket")
    def list_objects(self, req: S3Request) -> str:
        """Answer keys behind ``marker``; owners are always told."""
        encoding = read_encoding(req)
        query = self._read_query(req, after=req.query.get("marker", ""))
        page = self._objects.list(req.bucket, query)
        owner = owner_elements(self._identities, req)
        restored = restore_elements(req, self._restores, lambda: page.versions)
        return render_listing(req.bucket_name, query, page, ListingStyle(*encoding, owner, restored))

    @operation("ListObjectsV2", "GET /{bucket}?list-type=2", action="s3:ListBucket")
    def list_objects_v2(self, req: S3Request) -> str:
        """Answer keys behind the continuation token or ``start-after``; owners on request."""
        encoding = read_encoding(req)
        token = req.query.get("continuation-token")
        start_after = req.query.get("start-after", "")
        query = self._read_query(req, after=decode_token(token) if token else start_after)
        page = self._objects.list(req.bucket, query)
        owner = owner_elements(self._identities, req, wanted=req.query.get("fetch-owner", "").lower() == "true")
        restored = restore_elements(req, self._restores, lambda: page.versions)
        return render_listing_v2(
            req.bucket_name,
            query,
            page,
            ListingStyle(*encoding, owner, restored),
            start_after=start_after,
            token=token,
            next_token=encode_token(page.next_after) if page.next_after is not None else None,
        )

    def _read_query(self, req: S3Request, *, after: str) -> ListQuery:
        return ListQuery(
            prefix=req.query.get("prefix", ""),
            delimiter=req.query.get("delimiter", ""),
            after=after,
            limit=req.query_int("max-keys", LIST_KEYS_MAX, low=0, high=LIST_KEYS_MAX),
        )
