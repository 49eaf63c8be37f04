"""Places of data: URLs, and the mark by which a place is known again."""

import pytest

from nova_objectstore.data.files import FilesEngine
from nova_objectstore.data.places import MARK_NAME, claim_place, directory_of, open_engine
from nova_wsgi.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///srv/cold", "/srv/cold"),
        ("file://localhost/srv/cold", "/srv/cold"),
        ("file:///srv/with%20blank/", "/srv/with blank"),
    ],
)
def test_a_url_names_a_directory(url, path):
    assert str(directory_of(url)) == path


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/srv/cold",
        "srv/cold",
        "rados://pool",
        "FILE",
        "file:",
        "file:///",
        "file://host/srv",
        "file:///srv?x",
        "file:///srv#x",
        "file:///srv%00x",
        "file://[::1/srv",
    ],
)
def test_any_other_is_refused_in_one_line(url):
    for use in (directory_of, lambda url: open_engine(url, sync="never"), lambda url: claim_place(url, None)):
        with pytest.raises(ConfigError) as caught:
            use(url)
        assert "\n" not in str(caught.value)


def test_a_place_is_known_again(tmp_path):
    place = tmp_path / "deep" / "cold"
    mark = claim_place(place.as_uri(), None)
    engine = open_engine(place.as_uri(), sync="never")
    assert isinstance(engine, FilesEngine)
    engine.start()
    engine.stop()
    assert claim_place(place.as_uri(), mark) == mark
    assert claim_place(place.as_uri(), mark) == (place / MARK_NAME).read_text().strip()


def test_a_place_that_was_marked_and_not_used_is_taken(tmp_path):
    mark = claim_place(tmp_path.as_uri(), None)
    assert claim_place(tmp_path.as_uri(), None) == mark, "killed before the mark was kept"


def test_another_place_is_refused(tmp_path):
    mine, other, full = tmp_path / "mine", tmp_path / "other", tmp_path / "full"
    mark = claim_place(mine.as_uri(), None)
    claim_place(other.as_uri(), None)
    with pytest.raises(ConfigError, match="is its disk mounted"):
        claim_place(other.as_uri(), mark)
    with pytest.raises(ConfigError, match="is its disk mounted"):
        claim_place((tmp_path / "fresh").as_uri(), mark)
    assert not list((tmp_path / "fresh").iterdir()), "nothing is written where nothing was"
    (other / "pending").mkdir()
    with pytest.raises(ConfigError, match="another store"):
        claim_place(other.as_uri(), None)
    full.mkdir()
    (full / "letter").write_text("dear")
    with pytest.raises(ConfigError, match="not empty"):
        claim_place(full.as_uri(), None)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ConfigError):
        claim_place(file.as_uri(), None)
