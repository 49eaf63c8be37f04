"""When access keys were last used: noted by every process, written now and then.

Law: a request never waits for it. A key is noted at most once in ``NOTED_AGAIN_S``, so that what is kept is up to that much
behind; a process that is killed loses what it has noted since it last wrote.
"""

from __future__ import annotations

from nova_objectstore.iam.ports import IamStore, KeyUse

NOTED_AGAIN_S = 900.0
KEYS_NOTED_MAX = 10_000  # 100 bytes each; above it they are noted anew


class KeyUses:
    """Notes and writes. Times are seconds since 1970."""

    def __init__(self, iam: IamStore) -> None:
        self._iam = iam
        self._noted: dict[str, float] = {}
        self._pending: dict[str, KeyUse] = {}

    def note(self, access_key: str, service: str, region: str, now_s: float) -> None:
        """A key was used. ``service`` and ``region`` as AWS tells them of a key: ``s3``, ``us-east-1``."""
        # PERF: for most requests this is all
        if now_s < self._noted.get(access_key, 0.0) + NOTED_AGAIN_S:
            return
        if len(self._noted) >= KEYS_NOTED_MAX:
            self._noted.clear()
        self._noted[access_key] = now_s
        self._pending[access_key] = KeyUse(access_key, int(now_s * 1_000_000), service, region)

    def write(self) -> None:
        """Write what was noted. Raises EngineError; then it is written the next time."""
        if not self._pending:
            return
        pending = self._pending
        self._pending = {}
        try:
            self._iam.note_key_uses(list(pending.values()))
        except Exception:  # whatever it was: what was noted is not lost with it
            self._pending = {**pending, **self._pending}
            raise
