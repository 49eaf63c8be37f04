"""Every limit of IAM, with its source: AWS's quotas ("IAM and AWS STS quotas") and the constraints of its API reference."""

from __future__ import annotations

USERS_MAX = 5000
GROUPS_MAX = 300
ROLES_MAX = 1000
POLICIES_MAX = 1500  # customer managed ones of an account
PROVIDERS_MAX = 100  # OpenID Connect providers of an account
GROUPS_PER_USER_MAX = 10
KEYS_PER_USER_MAX = 2  # a root has as many
ATTACHED_MAX = 10  # managed policies of one user, group or role
VERSIONS_MAX = 5  # of a managed policy
TAGS_MAX = 50
CLIENT_IDS_MAX = 100  # of a provider
THUMBPRINTS_MAX = 5

# -- policy documents, in characters; white space is not counted -------------------------------------------------------
MANAGED_POLICY_CHARS_MAX = 6144
TRUST_POLICY_CHARS_MAX = 2048
INLINE_CHARS_MAX = {"user": 2048, "group": 5120, "role": 10_240}  # all inline policies of one together
DOCUMENT_CHARS_MAX = 131_072  # of any document as it is sent

# -- texts -------------------------------------------------------------------------------------------------------------
NAME_CHARS_MAX = {"user": 64, "group": 128, "role": 64}
POLICY_NAME_CHARS_MAX = 128
PATH_CHARS_MAX = 512
DESCRIPTION_CHARS_MAX = 1000
URL_CHARS_MAX = 255
CLIENT_ID_CHARS_MAX = 255
THUMBPRINT_CHARS = 40  # SHA-1 in hexadecimal

# -- sessions of a role ------------------------------------------------------------------------------------------------
SESSION_MIN_S = 3600
SESSION_MAX_S = 43_200
SESSION_DEFAULT_S = 3600

# -- pages -------------------------------------------------------------------------------------------------------------
PAGE_DEFAULT = 100
PAGE_MAX = 1000
