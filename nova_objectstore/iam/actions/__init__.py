"""The actions of the IAM API: parse, authorise, do, render. What is right and wrong is decided by the rules above them.

gate.py         what every action asks before it does anything
pages.py        Marker, MaxItems, IsTruncated
shapes.py       users, groups, roles, policies and keys as elements
users.py groups.py roles.py keys.py tags.py inline.py managed.py attachments.py boundaries.py providers.py account.py
"""

from __future__ import annotations

from nova_objectstore.domain.access import Access
from nova_objectstore.domain.identities import Identities
from nova_objectstore.iam.actions.account import AccountController
from nova_objectstore.iam.actions.attachments import AttachmentController, PolicyEntityController
from nova_objectstore.iam.actions.boundaries import BoundaryController
from nova_objectstore.iam.actions.details import DetailController
from nova_objectstore.iam.actions.entities import EntityController, RenameController
from nova_objectstore.iam.actions.gate import Gate
from nova_objectstore.iam.actions.groups import GroupController
from nova_objectstore.iam.actions.inline import InlinePolicyController
from nova_objectstore.iam.actions.keys import KeyController
from nova_objectstore.iam.actions.managed import ManagedPolicyController
from nova_objectstore.iam.actions.providers import ProviderController
from nova_objectstore.iam.actions.roles import RoleController
from nova_objectstore.iam.actions.tags import TagController
from nova_objectstore.iam.actions.users import UserController
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.policies import Policies
from nova_objectstore.iam.ports import GROUP, ROLE, USER
from nova_objectstore.iam.providers import Providers


def make_controllers(
    *, directory: Directory, policies: Policies, providers: Providers, identities: Identities, access: Access
) -> tuple[object, ...]:
    """Every controller of the API."""
    gate = Gate(access, directory.iam)
    return (
        UserController(gate, directory, identities),
        KeyController(gate, directory),
        GroupController(gate, directory),
        RoleController(gate, directory),
        *(EntityController(gate, kind) for kind in (USER, GROUP, ROLE)),
        *(RenameController(gate, directory, kind) for kind in (USER, GROUP)),
        *(InlinePolicyController(gate, policies, kind) for kind in (USER, GROUP, ROLE)),
        *(AttachmentController(gate, policies, kind) for kind in (USER, GROUP, ROLE)),
        *(BoundaryController(gate, directory, kind) for kind in (USER, ROLE)),
        *(TagController(gate, directory, kind) for kind in (USER, ROLE)),
        PolicyEntityController(gate, policies),
        ManagedPolicyController(gate, policies),
        ProviderController(gate, providers),
        AccountController(gate, directory.iam),
        DetailController(gate, policies),
    )
