"""CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey, GetAccessKeyLastUsed."""

from __future__ import annotations

from nova_objectstore.errors import NoSuchAccessKey
from nova_objectstore.iam.actions.gate import Gate
from nova_objectstore.iam.actions.pages import read_page
from nova_objectstore.iam.actions.shapes import key_row
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.errors import NoSuchEntity
from nova_objectstore.iam.names import check_key_id
from nova_objectstore.iam.ports import Entity
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import element, iso_time, optional, structure
from nova_objectstore.query.faults import ValidationError
from nova_objectstore.query.request import QueryRequest
from nova_objectstore.types import AccessKey


class KeyController:
    """Access keys: of users, and of the root that asks for its own."""

    def __init__(self, gate: Gate, directory: Directory) -> None:
        self._gate = gate
        self._directory = directory

    @action("CreateAccessKey")
    def create_access_key(self, req: QueryRequest) -> Answer:
        """Add a key pair; its secret is answered now and never again."""
        user = self._gate.user_or_self(req)
        key = self._directory.create_key(req.principal.account_id, _name(user))
        return [structure("AccessKey", [key_row(key, element("SecretAccessKey", key.secret_key))])]

    @action("ListAccessKeys")
    def list_access_keys(self, req: QueryRequest) -> Answer:
        """Key pairs, without their secrets."""
        page = read_page(req)
        user = self._gate.user_or_self(req)
        keys = self._gate.iam.list_entity_keys(req.principal.account_id, _name(user))
        in_order = sorted(keys, key=_access_key)
        return page.render("AccessKeyMetadata", page.of(in_order, _access_key), _access_key, key_row)

    @action("UpdateAccessKey")
    def update_access_key(self, req: QueryRequest) -> None:
        """Switch a key pair on or off: at once, everywhere."""
        access_key = check_key_id(req.parameters.required("AccessKeyId"))
        status = req.parameters.required("Status")
        if status not in ("Active", "Inactive"):
            raise ValidationError(f"The specified value for status is invalid: {status[:50]}")
        user = self._gate.user_or_self(req)
        self._gate.iam.set_entity_key_active(req.principal.account_id, _name(user), access_key, status == "Active")

    @action("DeleteAccessKey")
    def delete_access_key(self, req: QueryRequest) -> None:
        """Remove a key pair: what it signs is refused at once."""
        access_key = check_key_id(req.parameters.required("AccessKeyId"))
        user = self._gate.user_or_self(req)
        self._gate.iam.delete_entity_key(req.principal.account_id, _name(user), access_key)

    @action("GetAccessKeyLastUsed")
    def get_access_key_last_used(self, req: QueryRequest) -> Answer:
        """Whose a key is, and when it was last used, to a quarter of an hour; N/A when it never was."""
        access_key = check_key_id(req.parameters.required("AccessKeyId"))
        account_id = req.principal.account_id
        found = self._find_key(account_id, access_key)
        arn = f"arn:aws:iam::{account_id}:user/{(found.user_name if found else None) or '*'}"
        self._gate.permit(req, arn)
        if found is None:
            raise NoSuchEntity(kind="Access Key", name=access_key)
        use = self._gate.iam.find_key_use(access_key)
        used = (
            element("LastUsedDate", iso_time(use.used_us)) if use is not None else "",
            element("ServiceName", use.service if use is not None else "N/A"),
            element("Region", use.region if use is not None else "N/A"),
        )
        return [optional("UserName", found.user_name or ""), structure("AccessKeyLastUsed", used)]

    def _find_key(self, account_id: str, access_key: str) -> AccessKey | None:
        """A key of the account; those of others are none."""
        try:
            key = self._directory.find_key(access_key)
        except NoSuchAccessKey:
            return None
        return key if key.account_id == account_id else None


def _name(user: Entity | None) -> str | None:
    return user.name if user is not None else None


def _access_key(key: AccessKey) -> str:
    return key.access_key
