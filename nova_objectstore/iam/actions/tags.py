"""TagUser, UntagUser, ListUserTags; TagRole, UntagRole, ListRoleTags."""

from __future__ import annotations

from nova_objectstore.iam.actions.gate import Gate, requested_tags
from nova_objectstore.iam.actions.pages import Page, read_page
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.ports import EntityKind
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import element
from nova_objectstore.query.request import QueryRequest


def render_tags(page: Page, tags: dict[str, str]) -> Answer:
    """A page of tags by key."""
    keys = page.of(sorted(tags), str)
    return page.render("Tags", keys, str, lambda key: element("Key", key) + element("Value", tags[key]))


class TagController:
    """Tags of users, or of roles."""

    def __init__(self, gate: Gate, directory: Directory, kind: EntityKind) -> None:
        self._gate = gate
        self._directory = directory
        self._kind = kind
        self.words = {"Kind": kind.capitalize()}

    @action("Tag{Kind}")
    def tag(self, req: QueryRequest) -> None:
        """Add or replace tags."""
        tags = req.parameters.tags()
        entity = self._gate.named(req, self._kind, requested_tags(tags))
        self._directory.tag(entity.account_id, self._kind, entity.name, tags)

    @action("Untag{Kind}")
    def untag(self, req: QueryRequest) -> None:
        """Remove tags."""
        keys = req.parameters.members("TagKeys")
        entity = self._gate.named(req, self._kind, {"aws:tagkeys": keys} if keys else {})
        self._directory.untag(entity.account_id, self._kind, entity.name, keys)

    @action("List{Kind}Tags")
    def list_tags(self, req: QueryRequest) -> Answer:
        """Tags, by key."""
        page = read_page(req)
        return render_tags(page, dict(self._gate.named(req, self._kind).tags))
