"""What the desk knows of the kinds of providers: what a channel of each may say, and must."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from admin_api.errors import InvalidInput
from admin_api.fields import inputs

_QUERY = "?"


@dataclass(frozen=True, slots=True)
class ChannelSetting:
    """Something a channel may have to say besides its address; `pattern` is for the whole value.

    With `leads_keys` another value takes the channel's keys away, as another address does.
    """

    name: str
    description: str
    is_required: bool = False
    default: str = ""
    pattern: str = r"[\x21-\x7e]+"
    leads_keys: bool = False


@dataclass(frozen=True, slots=True)
class ChannelType:
    """A kind of provider: where it is unless the channel says otherwise, and what it needs.

    An empty `base_url`: the channel must say, if `needs_base_url`. `is_whole_url`: what it says is
    the whole address, a query included. `key_format` is for people, empty for any one word;
    `key_pattern` is for a whole key, unless that `may_be_json` and is an object.
    """

    base_url: str = ""
    needs_base_url: bool = False
    is_whole_url: bool = False
    needs_key: bool = True
    key_format: str = ""
    key_pattern: str = r"[\x21-\x7e]+"
    key_may_be_json: bool = False
    formats: tuple[str, ...] = ()
    settings: tuple[ChannelSetting, ...] = ()

    def key(self, field: str, given: str) -> str:
        """A key as it is kept. Raises InvalidInput."""
        if self.key_may_be_json and given.lstrip().startswith("{"):
            return _object(field, given)
        key = inputs.secret(field, given)
        if re.fullmatch(self.key_pattern, key) is None:
            raise InvalidInput(field, f"must be {self.key_format}")
        return key

    def address(self, base_url: str) -> str:
        """A given address with the path of the vendor's own, where it names a host alone."""
        path = urlsplit(self.base_url).path
        return base_url if self.is_whole_url or urlsplit(base_url).path else base_url + path

    def check_base_url(self, field: str, base_url: str) -> None:
        """Raises InvalidInput for an address that it has no use for, or none where it needs one."""
        if self.needs_base_url and not base_url:
            raise InvalidInput(field, "is required for this type")
        if _QUERY in base_url and not self.is_whole_url:
            raise InvalidInput(field, "must not contain a query for this type")

    def check_settings(self, field: str, given: Mapping[str, str]) -> None:
        """Raises InvalidInput for one that is not known, not what it must be, or missing."""
        known = {setting.name: setting for setting in self.settings}
        for name in given:
            if name not in known:
                told = f"must be one of {', '.join(known)}" if known else "are none for this type"
                raise InvalidInput(field, told)
        for name, setting in known.items():
            value = given.get(name)
            if value is None and setting.is_required:
                raise InvalidInput(f"{field}.{name}", "is required for this type")
            if value is not None and re.fullmatch(setting.pattern, value) is None:
                raise InvalidInput(f"{field}.{name}", f"must match {setting.pattern}")

    def leads_keys_elsewhere(self, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
        """Whether other settings may have a key sent to another place."""
        return any(
            before.get(setting.name, setting.default) != after.get(setting.name, setting.default)
            for setting in self.settings
            if setting.leads_keys
        )


def _object(field: str, given: str) -> str:
    """A JSON object on one line, in ASCII, so that it breaks nothing on its way."""
    if len(given) > 2 * inputs.SECRET_MAX:
        raise InvalidInput(field, "is too long")
    try:
        document = msgspec.json.decode(given, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise InvalidInput(field, "is not a JSON object") from error
    line = msgspec.json.encode(document).decode()
    if len(line) > inputs.SECRET_MAX or not line.isascii():
        raise InvalidInput(field, f"must be up to {inputs.SECRET_MAX} characters of ASCII")
    return line
