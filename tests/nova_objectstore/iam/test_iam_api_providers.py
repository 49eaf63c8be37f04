"""OpenID Connect providers over the IAM API."""

import pytest
from support.iam import names, refused
from support.metadata import OWNER


def test_a_provider(iam):
    arn = iam.create_open_id_connect_provider(
        Url="https://id.example/realm",
        ClientIDList=["app"],
        ThumbprintList=["a" * 40],
        Tags=[{"Key": "a", "Value": "b"}],
    )["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{OWNER}:oidc-provider/id.example/realm"
    assert names(iam.list_open_id_connect_providers()["OpenIDConnectProviderList"], "Arn") == [arn]
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="web")
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="web")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="app")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["b" * 40])
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (found["Url"], found["ClientIDList"], found["ThumbprintList"]) == ("id.example/realm", ["web"], ["b" * 40])
    assert found["Tags"] == [{"Key": "a", "Value": "b"}]
    assert refused(iam.create_open_id_connect_provider, Url="https://id.example/realm") == "EntityAlreadyExists"

    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)

    assert refused(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn) == "NoSuchEntity"
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []


def test_a_provider_inside_a_closed_network(iam):
    arn = iam.create_open_id_connect_provider(Url="http://id.internal:8080")["OpenIDConnectProviderArn"]

    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["Url"] == "http://id.internal:8080"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Url": "ftp://id.example"}, "ValidationError"),
        ({"Url": "https://"}, "ValidationError"),
        ({"Url": "https://id.example?x=1"}, "ValidationError"),
        ({"Url": "https://user@id.example"}, "ValidationError"),
        ({"Url": "https://id.example:port"}, "ValidationError"),
        ({"Url": "https://" + "x" * 250}, "ValidationError"),
        ({"Url": "https://id.example", "ThumbprintList.member.1": "short"}, "ValidationError"),
        (
            {"Url": "https://id.example", **{f"ThumbprintList.member.{n}": "a" * 40 for n in range(1, 7)}},
            "InvalidInput",
        ),
        ({"Url": "https://id.example", "ClientIDList.member.1": "x" * 256}, "ValidationError"),
    ],
)
def test_what_is_no_provider(house, parameters, code):
    assert f"<Code>{code}</Code>" in house.ask({"Action": "CreateOpenIDConnectProvider", **parameters}).text
