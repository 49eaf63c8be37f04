"""The port IamStore: one suite for every engine of it."""

from collections.abc import Iterator

import pytest
from support.iam_state import TABLES, check_iam_state
from support.metadata import ENGINES, OTHER, OWNER, START_US, Metadata, new_account, new_key

from nova_objectstore.errors import AccessKeyExists, NoSuchAccount
from nova_objectstore.iam import limits
from nova_objectstore.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from nova_objectstore.iam.ports import (
    GROUP,
    ROLE,
    USER,
    AccountSummary,
    Entity,
    EntityChange,
    EntityPolicies,
    KeyUse,
    ManagedPolicy,
    PolicyText,
    PolicyUse,
    PolicyVersion,
    Provider,
    ProviderChange,
    TagChange,
)

AWS_READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


@pytest.fixture(params=sorted(ENGINES))
def house(request, tmp_path) -> Iterator[Metadata]:
    with ENGINES[request.param](tmp_path, sync="never") as metadata:
        metadata.engine.create_account(new_account(), new_key("AKIAROOT"))
        metadata.engine.create_account(new_account(OTHER, "bob"), None)
        yield metadata
        metadata.check_state()
        check_iam_state(metadata.rows)


@pytest.fixture
def store(house):
    return house.engine


def entity(name: str = "ann", kind=USER, account_id: str = OWNER, **facts) -> Entity:
    values = {"path": "/", "id": f"ID{kind}{name}{account_id}", "created_us": START_US, **facts}
    return Entity(account_id, kind, name, **values)


def policy(name: str = "read", account_id: str = OWNER, **facts) -> ManagedPolicy:
    values = {"path": "/", "id": f"ANPA{name}{account_id}", "description": "", "default_number": 1, **facts}
    return ManagedPolicy(account_id, name, created_us=START_US, changed_us=START_US, **values)


def provider(url: str = "https://id.example.org/realm", **facts) -> Provider:
    values = {"client_ids": ("app",), "thumbprints": ("a" * 40,), "created_us": START_US, **facts}
    return Provider(OWNER, url, **values)


def names(entities) -> list[str]:
    return [found.name for found in entities]


# -- users, groups, roles ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        entity("Ann", path="/eng/", tags={"team": "a b"}, boundary=AWS_READ),
        entity("staff", GROUP),
        entity("job", ROLE, trust="{}", description="nightly", max_session_s=7200),
    ],
)
def test_what_is_made_is_kept_as_it_is(store, made):
    store.create_entity(made)

    assert store.find_entity(OWNER, made.kind, made.name) == made
    assert store.find_entity(OWNER, made.kind, made.name.upper()) == made
    assert store.list_entities(OWNER, made.kind) == [made]
    assert made.arn == f"arn:aws:iam::{OWNER}:{made.kind}{made.path}{made.name}"


def test_a_name_is_taken_without_regard_to_case_and_only_in_its_account_and_kind(store):
    store.create_entity(entity("Ann"))

    with pytest.raises(EntityAlreadyExists):
        store.create_entity(entity("aNN", id="other"))
    store.create_entity(entity("ann", GROUP))
    store.create_entity(entity("ann", account_id=OTHER))

    assert names(store.list_entities(OWNER, USER)) == ["Ann"]
    assert names(store.list_entities(OTHER, USER)) == ["ann"]
    with pytest.raises(NoSuchEntity):
        store.find_entity(OTHER, GROUP, "ann")


def test_nobody_is_made_in_an_account_that_is_not_there(store):
    with pytest.raises(NoSuchAccount):
        store.create_entity(entity(account_id="999999999999"))


def test_lists_are_in_the_order_of_names_under_a_path(store):
    for name, path in (("b", "/x/y/"), ("C", "/x/"), ("a", "/"), ("D", "/x/y/z/")):
        store.create_entity(entity(name, path=path))

    assert names(store.list_entities(OWNER, USER)) == ["a", "b", "C", "D"]
    assert names(store.list_entities(OWNER, USER, after="B", limit=1)) == ["C"]
    assert names(store.list_entities(OWNER, USER, path_prefix="/x/y")) == ["b", "D"]
    assert names(store.list_entities(OWNER, USER, path_prefix="/X")) == []
    assert names(store.list_entities(OWNER, ROLE)) == []


def test_a_quota_ends_it(store, house):
    for number in range(limits.GROUPS_MAX):
        house.insert("iam_entities", [row(entity(f"g{number}", GROUP))])
    with pytest.raises(LimitExceeded) as refused:
        store.create_entity(entity("one-more", GROUP))

    assert refused.value.facts == {"quota": "GroupsPerAccount", "limit": limits.GROUPS_MAX}


def row(made: Entity) -> dict[str, object]:
    return {**made._asdict(), "kind": str(made.kind), "tags": None, "folded": made.name.lower()}


def test_a_change_of_name_takes_everything_along(store):
    store.create_entity(entity("Ann", tags={"team": "x"}))
    store.create_entity(entity("staff", GROUP))
    store.add_member(OWNER, "staff", "ann")
    store.put_inline_policy(OWNER, USER, "ann", "p", "{}")
    store.create_entity_key(new_key("AKIAANN", user_name="ANN"), keys_max=2)

    changed = store.update_entity(OWNER, USER, "ann", EntityChange(name="Zoe", path="/z/"))

    assert changed == entity("Zoe", path="/z/", id="IDuserAnn" + OWNER, tags={"team": "x"})
    assert store.find_entity(OWNER, USER, "zoe") == changed
    with pytest.raises(NoSuchEntity):
        store.find_entity(OWNER, USER, "Ann")
    assert names(store.list_members(OWNER, "staff")) == ["Zoe"]
    assert store.list_inline_policies(OWNER, USER, "Zoe") == ["p"]
    assert store.find_access_key("AKIAANN").user_name == "Zoe"
    assert [key.access_key for key in store.list_entity_keys(OWNER, "zoe")] == ["AKIAANN"]


def test_a_name_may_change_in_case_alone_and_not_to_one_that_is_taken(store):
    store.create_entity(entity("ann"))
    store.create_entity(entity("bea"))

    assert store.update_entity(OWNER, USER, "ann", EntityChange(name="ANN")).name == "ANN"
    with pytest.raises(EntityAlreadyExists):
        store.update_entity(OWNER, USER, "ann", EntityChange(name="Bea"))
    with pytest.raises(NoSuchEntity):
        store.update_entity(OWNER, USER, "carl", EntityChange(name="x"))

    assert names(store.list_entities(OWNER, USER)) == ["ANN", "bea"]


def test_tags_are_added_and_removed_without_regard_to_case(store):
    store.create_entity(entity(tags={"Team": "x", "cost": "1"}))

    changed = store.update_entity(OWNER, USER, "ann", EntityChange(tags=TagChange({"team": "y", "new": ""}, ["COST"])))

    assert changed.tags == {"team": "y", "new": ""}
    many = {f"k{number}": "" for number in range(limits.TAGS_MAX)}
    with pytest.raises(LimitExceeded):
        store.update_entity(OWNER, USER, "ann", EntityChange(tags=TagChange(many)))
    assert store.find_entity(OWNER, USER, "ann").tags == changed.tags


def test_a_boundary_is_a_policy_that_is_there(store):
    store.create_policy(policy(), "{}")
    store.create_entity(entity())

    assert store.update_entity(OWNER, USER, "ann", EntityChange(boundary=policy().arn)).boundary == policy().arn
    for arn in (policy("other").arn, policy(account_id=OTHER).arn, policy(path="/x/").arn):
        with pytest.raises(NoSuchEntity):
            store.update_entity(OWNER, USER, "ann", EntityChange(boundary=arn))
        with pytest.raises(NoSuchEntity):
            store.create_entity(entity("bea", boundary=arn))

    assert store.update_entity(OWNER, USER, "ann", EntityChange(boundary="")).boundary == ""


def test_only_who_has_nothing_is_deleted(store):
    store.create_entity(entity())
    store.create_entity(entity("staff", GROUP))
    steps = [
        (lambda: store.create_entity_key(new_key("AKIAANN", user_name="ann"), keys_max=2),
         lambda: store.delete_entity_key(OWNER, "ann", "AKIAANN")),
        (lambda: store.add_member(OWNER, "staff", "ann"), lambda: store.remove_member(OWNER, "staff", "ann")),
        (lambda: store.put_inline_policy(OWNER, USER, "ann", "p", "{}"),
         lambda: store.delete_inline_policy(OWNER, USER, "ann", "p")),
        (lambda: store.attach_policy(OWNER, USER, "ann", AWS_READ),
         lambda: store.detach_policy(OWNER, USER, "ann", AWS_READ)),
    ]  # fmt: skip
    for bind, release in steps:
        bind()
        with pytest.raises(DeleteConflict):
            store.delete_entity(OWNER, USER, "ann")
        release()

    store.delete_entity(OWNER, USER, "Ann")

    assert store.list_entities(OWNER, USER) == []
    with pytest.raises(NoSuchEntity):
        store.delete_entity(OWNER, USER, "ann")


def test_a_group_is_deleted_once_it_is_empty(store):
    store.create_entity(entity())
    store.create_entity(entity("staff", GROUP))
    store.add_member(OWNER, "staff", "ann")
    with pytest.raises(DeleteConflict):
        store.delete_entity(OWNER, GROUP, "staff")
    store.remove_member(OWNER, "staff", "ann")

    store.delete_entity(OWNER, GROUP, "staff")

    assert store.list_groups_of(OWNER, "ann") == []


# -- membership --------------------------------------------------------------------------------------------------------


def test_members_and_groups_are_listed_by_name(store):
    for name in ("b", "A", "c"):
        store.create_entity(entity(name))
        store.create_entity(entity(f"{name}-group", GROUP))
    for name in ("c", "b", "A", "A"):
        store.add_member(OWNER, "a-GROUP", name)
    for name in ("c", "a"):
        store.add_member(OWNER, f"{name}-group", "b")

    assert names(store.list_members(OWNER, "A-group")) == ["A", "b", "c"]
    assert names(store.list_members(OWNER, "A-group", after="a", limit=1)) == ["b"]
    assert names(store.list_groups_of(OWNER, "B")) == ["A-group", "c-group"]
    assert names(store.list_groups_of(OWNER, "B", after="a-group")) == ["c-group"]
    with pytest.raises(NoSuchEntity):
        store.remove_member(OWNER, "b-group", "A")
    for group, user in (("a-group", "nobody"), ("nothing", "a")):
        with pytest.raises(NoSuchEntity):
            store.add_member(OWNER, group, user)


def test_a_user_is_in_so_many_groups(store):
    store.create_entity(entity())
    for number in range(limits.GROUPS_PER_USER_MAX + 1):
        store.create_entity(entity(f"g{number}", GROUP))
    for number in range(limits.GROUPS_PER_USER_MAX):
        store.add_member(OWNER, f"g{number}", "ann")
    with pytest.raises(LimitExceeded):
        store.add_member(OWNER, f"g{limits.GROUPS_PER_USER_MAX}", "ann")
    store.add_member(OWNER, "g0", "ann")

    assert len(store.list_groups_of(OWNER, "ann")) == limits.GROUPS_PER_USER_MAX


# -- keys --------------------------------------------------------------------------------------------------------------


def test_keys_are_their_users_or_the_roots(store):
    store.create_entity(entity("Ann"))
    store.create_entity_key(new_key("AKIA2", created_us=START_US + 2, user_name="ann"), keys_max=2)
    store.create_entity_key(new_key("AKIA1", created_us=START_US + 1, user_name="ANN"), keys_max=2)
    store.create_entity_key(new_key("AKIA3"), keys_max=2)

    assert [key.access_key for key in store.list_entity_keys(OWNER, "ann")] == ["AKIA1", "AKIA2"]
    assert {key.access_key for key in store.list_entity_keys(OWNER, None)} == {"AKIAROOT", "AKIA3"}
    assert store.find_access_key("AKIA1") == new_key("AKIA1", created_us=START_US + 1, user_name="Ann")
    for user in ("ann", None):
        with pytest.raises(LimitExceeded):
            store.create_entity_key(new_key("AKIA4", user_name=user), keys_max=2)
    with pytest.raises(AccessKeyExists):
        store.create_entity_key(new_key("AKIA1", OTHER), keys_max=2)
    with pytest.raises(NoSuchEntity):
        store.create_entity_key(new_key("AKIA5", user_name="nobody"), keys_max=2)


def test_a_key_is_changed_by_naming_whose_it_is(store):
    store.create_entity(entity("ann"))
    store.create_entity_key(new_key("AKIA1", user_name="ann"), keys_max=2)
    for user in (None, "nobody"):
        with pytest.raises(NoSuchEntity):
            store.set_entity_key_active(OWNER, user, "AKIA1", False)
        with pytest.raises(NoSuchEntity):
            store.delete_entity_key(OWNER, user, "AKIA1")
    with pytest.raises(NoSuchEntity):
        store.delete_entity_key(OWNER, "ann", "AKIAROOT")

    store.set_entity_key_active(OWNER, "ANN", "AKIA1", False)
    assert not store.find_access_key("AKIA1").active
    store.delete_entity_key(OWNER, "ann", "AKIA1")

    assert store.list_entity_keys(OWNER, "ann") == []


def test_the_last_use_of_a_key_is_kept_and_moves_no_epoch(store):
    epoch = store.epoch()
    assert store.find_key_use("AKIAROOT") is None

    store.note_key_uses([KeyUse("AKIAROOT", 20, "s3", "r"), KeyUse("AKIAGONE", 20, "s3", "r")])
    store.note_key_uses([KeyUse("AKIAROOT", 10, "iam", "r")])

    assert store.find_key_use("AKIAROOT") == KeyUse("AKIAROOT", 20, "s3", "r")
    assert store.find_key_use("AKIAGONE") is None
    assert store.epoch() == epoch


# -- inline policies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [USER, GROUP, ROLE])
def test_inline_policies(store, kind):
    store.create_entity(entity("one", kind))
    for name in ("b", "a", "C"):
        store.put_inline_policy(OWNER, kind, "one", name, f'{{"name": "{name}"}}')
    store.put_inline_policy(OWNER, kind, "one", "a", "{}")

    assert store.list_inline_policies(OWNER, kind, "one") == ["C", "a", "b"]
    assert store.list_inline_policies(OWNER, kind, "one", after="C", limit=1) == ["a"]
    assert store.find_inline_policy(OWNER, kind, "ONE", "a") == "{}"
    store.delete_inline_policy(OWNER, kind, "one", "a")
    for again in (store.find_inline_policy, store.delete_inline_policy):
        with pytest.raises(NoSuchEntity):
            again(OWNER, kind, "one", "a")


def test_inline_policies_together_are_bounded_and_white_space_is_free(store):
    store.create_entity(entity("ann"))
    half = "x" * (limits.INLINE_CHARS_MAX["user"] // 2)
    store.put_inline_policy(OWNER, USER, "ann", "one", half + " " * 5000)
    store.put_inline_policy(OWNER, USER, "ann", "two", half)
    with pytest.raises(LimitExceeded):
        store.put_inline_policy(OWNER, USER, "ann", "three", "y")
    store.put_inline_policy(OWNER, USER, "ann", "two", half)

    assert store.list_inline_policies(OWNER, USER, "ann") == ["one", "two"]


# -- managed policies --------------------------------------------------------------------------------------------------


def test_a_policy_and_its_versions(store):
    made = policy(path="/x/", description="d", tags={"a": "b"})
    store.create_policy(made, "{1}")

    assert store.find_policy(OWNER, made.arn) == made
    assert store.list_policies(OWNER) == [made]
    for arn in (policy().arn, policy(account_id=OTHER, path="/x/").arn, "read"):
        with pytest.raises(NoSuchEntity):
            store.find_policy(OWNER, arn)
    with pytest.raises(EntityAlreadyExists):
        store.create_policy(policy("READ", id="x"), "{}")

    second = store.create_policy_version(OWNER, made.arn, "{2}", is_default=False, now_us=7)
    assert second == PolicyVersion(2, "{2}", 7)
    assert store.find_policy(OWNER, made.arn).default_number == 1
    store.create_policy_version(OWNER, made.arn, "{3}", is_default=True, now_us=8)

    assert store.list_policy_versions(OWNER, made.arn) == [
        PolicyVersion(3, "{3}", 8), second, PolicyVersion(1, "{1}", START_US)
    ]  # fmt: skip
    changed = store.find_policy(OWNER, made.arn)
    assert (changed.default_number, changed.changed_us) == (3, 8)


def test_versions_are_bounded_and_their_numbers_never_come_back(store):
    arn = policy().arn
    store.create_policy(policy(), "{1}")
    for _ in range(limits.VERSIONS_MAX - 1):
        store.create_policy_version(OWNER, arn, "{}", is_default=False, now_us=1)
    with pytest.raises(LimitExceeded):
        store.create_policy_version(OWNER, arn, "{}", is_default=False, now_us=1)
    store.set_default_version(OWNER, arn, 2, now_us=9)
    with pytest.raises(DeleteConflict):
        store.delete_policy_version(OWNER, arn, 2)
    store.delete_policy_version(OWNER, arn, 5)

    assert store.create_policy_version(OWNER, arn, "{}", is_default=False, now_us=1).number == 6
    for refused in (store.delete_policy_version, store.set_default_version):
        with pytest.raises(NoSuchEntity):
            refused(OWNER, arn, 5, **({"now_us": 1} if refused == store.set_default_version else {}))


def test_a_policy_is_deleted_once_nobody_has_it_and_it_has_one_version(store):
    arn = policy().arn
    store.create_policy(policy(), "{}")
    store.create_entity(entity())
    store.attach_policy(OWNER, USER, "ann", arn)
    with pytest.raises(DeleteConflict):
        store.delete_policy(OWNER, arn)
    store.detach_policy(OWNER, USER, "ann", arn)
    store.update_entity(OWNER, USER, "ann", EntityChange(boundary=arn))
    with pytest.raises(DeleteConflict):
        store.delete_policy(OWNER, arn)
    store.update_entity(OWNER, USER, "ann", EntityChange(boundary=""))
    store.create_policy_version(OWNER, arn, "{}", is_default=False, now_us=1)
    with pytest.raises(DeleteConflict):
        store.delete_policy(OWNER, arn)
    store.delete_policy_version(OWNER, arn, 2)

    store.delete_policy(OWNER, arn)

    assert store.list_policies(OWNER) == []


def test_tags_of_a_policy(store):
    store.create_policy(policy(tags={"a": "1"}), "{}")

    store.tag_policy(OWNER, policy().arn, TagChange({"b": "2"}, ["A"]))

    assert store.find_policy(OWNER, policy().arn).tags == {"b": "2"}


# -- attachments -------------------------------------------------------------------------------------------------------


def test_what_is_attached_to_whom(store):
    own = policy().arn
    store.create_policy(policy(), "{}")
    store.create_policy(policy(account_id=OTHER), "{}")
    for kind, name in ((USER, "Zoe"), (USER, "ann"), (GROUP, "staff"), (ROLE, "job")):
        store.create_entity(entity(name, kind))
        store.attach_policy(OWNER, kind, name, AWS_READ)
    store.attach_policy(OWNER, USER, "ann", own)
    store.attach_policy(OWNER, USER, "ann", own)
    store.update_entity(OWNER, ROLE, "job", EntityChange(boundary=own))
    with pytest.raises(NoSuchEntity):
        store.attach_policy(OWNER, USER, "ann", policy(account_id=OTHER).arn)
    with pytest.raises(NoSuchEntity):
        store.attach_policy(OWNER, USER, "nobody", own)

    assert store.list_attached_policies(OWNER, USER, "ann") == [own, AWS_READ]
    assert store.list_attached_policies(OWNER, USER, "ann", after=own, limit=5) == [AWS_READ]
    assert names(store.list_policy_entities(OWNER, AWS_READ)) == ["staff", "job", "ann", "Zoe"]
    assert names(store.list_policy_entities(OWNER, own, boundary=True)) == ["job"]
    assert names(store.list_policy_entities(OTHER, AWS_READ)) == []
    assert store.count_policy_uses(OWNER) == {own: PolicyUse(1, 1), AWS_READ: PolicyUse(4, 0)}

    store.detach_policy(OWNER, USER, "ann", own)
    with pytest.raises(NoSuchEntity):
        store.detach_policy(OWNER, USER, "ann", own)
    assert store.count_policy_uses(OWNER) == {own: PolicyUse(0, 1), AWS_READ: PolicyUse(4, 0)}


def test_so_much_is_attached(store):
    store.create_entity(entity())
    for number in range(limits.ATTACHED_MAX):
        store.attach_policy(OWNER, USER, "ann", f"arn:aws:iam::aws:policy/p{number}")
    with pytest.raises(LimitExceeded):
        store.attach_policy(OWNER, USER, "ann", AWS_READ)

    assert len(store.list_attached_policies(OWNER, USER, "ann")) == limits.ATTACHED_MAX


# -- deciding ----------------------------------------------------------------------------------------------------------


def test_all_policies_of_a_user_and_of_a_role(store):
    own = policy().arn
    store.create_policy(policy(), "{v1}")
    store.create_policy_version(OWNER, own, "{v2}", is_default=True, now_us=1)
    for kind, name in ((USER, "ann"), (GROUP, "staff"), (GROUP, "others"), (ROLE, "job")):
        store.create_entity(entity(name, kind))
        store.put_inline_policy(OWNER, kind, name, "p", f"{{{name}}}")
    store.add_member(OWNER, "staff", "ann")
    store.attach_policy(OWNER, GROUP, "staff", own)
    store.attach_policy(OWNER, USER, "ann", AWS_READ)
    store.update_entity(OWNER, USER, "ann", EntityChange(boundary=own))
    store.update_entity(OWNER, ROLE, "job", EntityChange(boundary=AWS_READ))

    assert store.policies_of(OWNER, "Ann") == EntityPolicies(
        [PolicyText("{ann}"), PolicyText(arn=AWS_READ), PolicyText("{staff}"), PolicyText("{v2}", own)],
        PolicyText("{v2}", own),
    )
    assert store.policies_of_role(OWNER, "job") == EntityPolicies([PolicyText("{job}")], PolicyText(arn=AWS_READ))
    for refused in (store.policies_of, store.policies_of_role):
        with pytest.raises(NoSuchEntity):
            refused(OTHER, "ann")


def test_every_change_grows_the_epoch(store):
    changes = [
        lambda: store.create_entity(entity()),
        lambda: store.create_entity(entity("staff", GROUP)),
        lambda: store.add_member(OWNER, "staff", "ann"),
        lambda: store.put_inline_policy(OWNER, USER, "ann", "p", "{}"),
        lambda: store.create_policy(policy(), "{}"),
        lambda: store.attach_policy(OWNER, GROUP, "staff", policy().arn),
        lambda: store.create_policy_version(OWNER, policy().arn, "{}", is_default=False, now_us=1),
        lambda: store.set_default_version(OWNER, policy().arn, 2, now_us=1),
        lambda: store.delete_policy_version(OWNER, policy().arn, 1),
        lambda: store.tag_policy(OWNER, policy().arn, TagChange({"a": "b"})),
        lambda: store.update_entity(OWNER, USER, "ann", EntityChange(boundary=policy().arn)),
        lambda: store.create_entity_key(new_key("AKIAANN", user_name="ann"), keys_max=2),
        lambda: store.set_entity_key_active(OWNER, "ann", "AKIAANN", False),
        lambda: store.delete_entity_key(OWNER, "ann", "AKIAANN"),
        lambda: store.detach_policy(OWNER, GROUP, "staff", policy().arn),
        lambda: store.remove_member(OWNER, "staff", "ann"),
        lambda: store.delete_inline_policy(OWNER, USER, "ann", "p"),
        lambda: store.delete_entity(OWNER, USER, "ann"),
        lambda: store.delete_policy(OWNER, policy().arn),
        lambda: store.create_provider(provider()),
        lambda: store.update_provider(provider().arn, ProviderChange(thumbprints=())),
        lambda: store.delete_provider(provider().arn),
    ]
    epochs = [store.epoch()]
    for change in changes:
        change()
        epochs.append(store.epoch())

    assert epochs == sorted(set(epochs))


# -- providers ---------------------------------------------------------------------------------------------------------


def test_providers(store):
    made = provider(tags={"a": "b"})
    store.create_provider(made)
    store.create_provider(provider("http://a.example.org:8080/x"))

    assert made.arn == f"arn:aws:iam::{OWNER}:oidc-provider/id.example.org/realm"
    assert store.find_provider(made.arn) == made
    assert [found.host for found in store.list_providers(OWNER)] == ["a.example.org:8080/x", "id.example.org/realm"]
    with pytest.raises(EntityAlreadyExists):
        store.create_provider(provider("http://id.example.org/realm"))
    change = ProviderChange(client_ids_added=("app", "web"), thumbprints=("b" * 40,), tags=TagChange(removed=["A"]))
    assert store.update_provider(made.arn, change).client_ids == ("app", "web")
    changed = store.update_provider(made.arn, ProviderChange(client_ids_removed=("app", "none")))
    assert changed == made._replace(client_ids=("web",), thumbprints=("b" * 40,), tags={})
    many = [f"c{number}" for number in range(limits.CLIENT_IDS_MAX)]
    with pytest.raises(LimitExceeded):
        store.update_provider(made.arn, ProviderChange(client_ids_added=many))

    store.delete_provider(made.arn)

    for refused in (store.find_provider, store.delete_provider):
        with pytest.raises(NoSuchEntity):
            refused(made.arn)


# -- a whole account ---------------------------------------------------------------------------------------------------


def test_an_account_is_counted(store):
    store.create_entity(entity())
    store.create_entity(entity("staff", GROUP))
    store.create_entity(entity("job", ROLE))
    store.create_policy(policy(), "{}")
    store.create_policy_version(OWNER, policy().arn, "{}", is_default=False, now_us=1)
    store.create_provider(provider())

    assert store.count_account(OWNER) == AccountSummary(1, 1, 1, 1, 1, 2, 1)
    assert store.count_account(OTHER) == AccountSummary(0, 0, 0, 0, 0, 0, 0)


def test_all_of_it_goes_with_its_account(house):
    store = house.engine
    for account_id in (OWNER, OTHER):
        for kind, name in ((USER, "ann"), (GROUP, "staff"), (ROLE, "job")):
            store.create_entity(entity(name, kind, account_id))
            store.put_inline_policy(account_id, kind, name, "p", "{}")
            store.attach_policy(account_id, kind, name, AWS_READ)
        store.add_member(account_id, "staff", "ann")
        store.create_policy(policy(account_id=account_id), "{}")
        store.create_entity_key(new_key(f"AKIA{account_id}", account_id, user_name="ann"), keys_max=2)
    store.create_provider(provider())
    store.note_key_uses([KeyUse(f"AKIA{account_id}", 1, "s3", "r") for account_id in (OWNER, OTHER)])

    store.delete_account(OWNER)

    counts = {name: len(house.rows(name)) for name in TABLES}
    assert counts == {
        "iam_entities": 3, "iam_members": 1, "iam_inline_policies": 3, "iam_attachments": 3, "iam_policies": 1,
        "iam_policy_versions": 1, "iam_providers": 0, "access_keys": 1, "access_key_uses": 1,
    }  # fmt: skip
