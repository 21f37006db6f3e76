"""What people type, in the one form that is kept."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from admin_api.errors import InvalidInput
from admin_api.fields import inputs


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("HTTPS://API.Example.COM", "https://api.example.com"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://10.0.0.7", "http://10.0.0.7"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://example.com/a%20b/Path", "https://example.com/a%20b/Path"),
    ],
)
def test_an_address_has_one_form(written: str, kept: str) -> None:
    assert inputs.base_url("base_url", written) == kept
    assert inputs.base_url("base_url", kept) == kept


@given(st.text(max_size=40))
def test_a_text_is_refused_or_its_form_is_stable(text: str) -> None:
    try:
        kept = inputs.text("name", text)
    except InvalidInput:
        return
    assert inputs.text("name", kept) == kept
    kept.encode()
    visible = "".join(character for character in kept if character not in "\u200c\u200d")
    assert all(character.isprintable() or character.isspace() for character in visible)
    assert visible.strip()


@given(st.integers(min_value=0, max_value=253_402_300_799_999_999))
def test_a_moment_comes_back_to_the_microsecond(moment_us: int) -> None:
    assert inputs.moment_us("at", inputs.format_moment(moment_us)) == moment_us


@given(st.text(max_size=40))
def test_whatever_is_no_moment_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^at: "):
        inputs.moment_us("at", text)


@given(st.text(max_size=60))
@example("?',")
@example("?")
@example("a?b=c")
def test_whatever_is_typed_as_an_address_is_kept_in_one_form_or_refused(text: str) -> None:
    for written in (text, f"https://{text}", f"http://example.com/{text}"):
        try:
            kept = inputs.base_url("base_url", written)
        except InvalidInput:
            continue
        assert inputs.base_url("base_url", kept) == kept
        assert kept.startswith(("https://", "http://"))
        assert not set(kept) & set("#\\ \n")
        assert not kept.endswith("?")
        assert "@" not in urlsplit(kept).netloc
