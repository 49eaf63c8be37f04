"""Archived objects made readable for some days: RestoreObject."""

from __future__ import annotations

from nova_objectstore.domain.notifications import RESTORE_BEGUN
from nova_objectstore.domain.objects import Objects
from nova_objectstore.domain.restores import Restores
from nova_objectstore.s3.announcements import announcement
from nova_objectstore.s3.answer import Answer, empty_answer
from nova_objectstore.s3.faults import MarkerNotReadable
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.restore_status import parse_restore


class RestoreController(Controller):
    """Restores."""

    def __init__(self, objects: Objects, restores: Restores) -> None:
        self._objects = objects
        self._restores = restores

    @operation("RestoreObject", "POST /{bucket}/{key}?restore", action="s3:RestoreObject", body=XML)
    def restore_object(self, req: S3Request) -> Answer:
        """Have a readable copy made (202), or let the one that is there last longer or shorter (200)."""
        asked = parse_restore(req.body)
        version = self._objects.get(req.bucket, req.key, req.version_id)
        if version.is_marker:
            raise MarkerNotReadable(version)
        announce = announcement(req, RESTORE_BEGUN)
        begun = self._restores.request(req.bucket, version, days=asked.days, tier=asked.tier, announce=announce)
        return empty_answer(202 if begun else 200)
