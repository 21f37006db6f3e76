"""What people type, checked once for the REST API and the command line alike.

Every function gives the canonical form of a value or raises InvalidInput with the field's name.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import SplitResult, unquote, urlsplit

from admin_api.errors import InvalidIdempotencyKey, InvalidInput
from ledger.errors import InvalidAmount
from ledger.money import NANOS_PER_USD, format_usd, parse_usd
from ledger.networks import read_network
from ledger.pricing import Multiplier
from ledger.vault import UNREADABLE

NAME_MAX = 200
REASON_MAX = 1_000
MODEL_MAX = 256
GROUP_MAX = 64
URL_MAX = 2_048
SECRET_MAX = 8_192
PASSAGE_MAX = 100_000
LIST_MAX = 1_000

REASON_CODE_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"

_METHOD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_REFERENCE = re.compile(r"[A-Za-z0-9._:/#-]{1,100}")

_REASON_CODE = re.compile(REASON_CODE_PATTERN)

_VISIBLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\]", re.ASCII)
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Format characters (Cf) include the text-direction controls, which make a text look like another.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_UNSPEAKABLE = frozenset({"Cc", "Cs"})
_JOINERS = frozenset("\u200c\u200d")  # Cf as well, but Persian and emoji are written with them
_VISIBLE_CATEGORIES = frozenset("LNPS")


def text(field: str, value: str, longest: int = NAME_MAX) -> str:
    """One line for people, in Unicode's normal form C, without blanks around it."""
    normal = unicodedata.normalize("NFC", value).strip()
    _refuse_unreadable(field, normal)
    if not any(unicodedata.category(character)[0] in _VISIBLE_CATEGORIES for character in normal):
        raise InvalidInput(field, "must not be blank")
    if len(normal) > longest:
        raise InvalidInput(field, f"must not be longer than {longest} characters")
    if any(_is_refused(character) for character in normal):
        raise InvalidInput(field, "must not contain control or format characters")
    return normal


def passage(field: str, value: str, longest: int = PASSAGE_MAX) -> str:
    """Several lines for a model, as they are, but for the line ends of other systems."""
    lines = value.replace("\r\n", "\n").replace("\r", "\n")
    _refuse_unreadable(field, lines.strip())
    if len(lines) > longest:
        raise InvalidInput(field, f"must not be longer than {longest} characters")
    if not lines.strip():
        raise InvalidInput(field, "must not be blank")
    if any(unicodedata.category(one) in _UNSPEAKABLE and one not in "\n\t" for one in lines):
        raise InvalidInput(field, "must not contain control characters")
    return lines


def _refuse_unreadable(field: str, value: str) -> None:
    """What stands for a text that cannot be read must not take its place."""
    if value == UNREADABLE:
        raise InvalidInput(field, "is what is shown for a text that cannot be read")


def positive_amount(value: str) -> int:
    """Nanodollars of a decimal string in USD. Raises InvalidAmount, for nothing as well."""
    nanos = parse_usd(value)
    if nanos == 0:
        raise InvalidAmount(value)
    return nanos


def model(field: str, value: str) -> str:
    """A model's name; it may contain slashes, but nothing that a URL's path would change."""
    return _in_a_path(field, value, MODEL_MAX)


def group(field: str, value: str) -> str:
    """A group's name, in any script; as a model's it stands in the path of a URL."""
    return _in_a_path(field, value, GROUP_MAX)


def _in_a_path(field: str, value: str, longest: int) -> str:
    name = text(field, value, longest)
    if name != value:
        raise InvalidInput(field, "must be in Unicode's normal form C and without blanks around it")
    if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
        raise InvalidInput(field, "must not have empty, '.' or '..' parts between slashes")
    return name


def models(field: str, values: Sequence[str]) -> tuple[str, ...]:
    """Names of models, each once, in the order given."""
    if not 1 <= len(values) <= LIST_MAX:
        raise InvalidInput(field, f"must name 1 to {LIST_MAX} models")
    return tuple(dict.fromkeys(model(field, value) for value in values))


def networks(field: str, values: Sequence[str]) -> tuple[str, ...]:
    """Addresses and networks in CIDR form, each once."""
    if not 1 <= len(values) <= LIST_MAX:
        raise InvalidInput(field, f"must list 1 to {LIST_MAX} addresses or networks")
    try:
        return tuple(dict.fromkeys(str(read_network(value)) for value in values))
    except ValueError as error:
        raise InvalidInput(field, "must be IP addresses or networks such as 10.0.0.0/8") from error


def secret(field: str, value: str) -> str:
    """A provider's key: visible ASCII, so that it cannot break a header."""
    if len(value) > SECRET_MAX or _VISIBLE.fullmatch(value) is None:
        raise InvalidInput(field, f"must be 1 to {SECRET_MAX} visible ASCII characters")
    return value


def payment_method(field: str, value: str) -> str:
    """A payment method's name: a code, for it names an account of the books."""
    if not _METHOD.fullmatch(value):
        raise InvalidInput(field, "must be a word of lower-case letters, digits and _")
    return value


def reference(field: str, value: str) -> str:
    """By what a payment is found at whoever took it. It stays in the ledger: nobody's name."""
    if not _REFERENCE.fullmatch(value):
        raise InvalidInput(field, "must be up to 100 letters, digits and any of . _ : / # -")
    return value


def reason_code(field: str, value: str) -> str:
    """Why something was done, as it stays in the ledger for ever: a code, no prose."""
    if not _REASON_CODE.fullmatch(value):
        raise InvalidInput(field, "must be a code of lower-case letters, digits and _")
    return value


def idempotency_key(value: str) -> str:
    """The header that names one money command."""
    if len(value) > 255 or _VISIBLE.fullmatch(value) is None:
        raise InvalidIdempotencyKey("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
    return value


def moment_us(field: str, value: str) -> int:
    """Microseconds since the epoch of an RFC 3339 date-time; the offset is required."""
    try:
        if _MOMENT.fullmatch(value) is None:
            raise ValueError(value)
        since = datetime.fromisoformat(value.upper()) - _EPOCH
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            field, "must be a date-time with an offset, such as 2030-01-31T12:00:00Z"
        ) from error
    if since < timedelta():
        raise InvalidInput(field, "must not be before 1970")
    return since // timedelta(microseconds=1)


def format_moment(moment: int | datetime) -> str:
    """RFC 3339 in UTC with microseconds, of microseconds since the epoch or of a date-time."""
    at = _EPOCH + timedelta(microseconds=moment) if isinstance(moment, int) else moment
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def format_multiplier(multiplier: Multiplier) -> str:
    """A decimal string where that is exact, else a ratio such as "1/3"."""
    whole, rest = divmod(multiplier.numerator * NANOS_PER_USD, multiplier.denominator)
    return f"{multiplier.numerator}/{multiplier.denominator}" if rest else format_usd(whole)


def base_url(field: str, value: str) -> str:
    """Where a provider is: scheme, host, port and path, without a slash at the end; for the kinds
    that want the whole address, a query as well.

    Private and loopback addresses are accepted: whoever may add channels decides where our
    requests go, and a model server in one's own network is an ordinary case. What is refused is
    everything by which an address says one thing and means another.
    """
    if len(value) > URL_MAX or _VISIBLE.fullmatch(value) is None or "\\" in value:
        raise InvalidInput(field, f"must be up to {URL_MAX} visible ASCII characters, no backslash")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(field, "is not a URL") from error
    if parts.scheme.lower() not in ("https", "http"):
        raise InvalidInput(field, "must begin with https:// or http://")
    if "@" in parts.netloc or "#" in value:
        raise InvalidInput(field, "must not contain a user or a fragment")
    if any(part in (".", "..") for part in unquote(parts.path).split("/")):
        raise InvalidInput(field, "must not contain '.' or '..' in its path")
    host = _host(field, parts)
    origin = f"{parts.scheme.lower()}://{host}{f':{port}' if port else ''}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{origin}{parts.path.rstrip('/')}{query}"


def _host(field: str, parts: SplitResult) -> str:
    hostname = parts.hostname or ""
    host = f"[{hostname}]" if ":" in hostname else hostname
    if _HOST.fullmatch(host) is None or ".." in host:
        raise InvalidInput(field, "must name a host")
    return host


def _is_refused(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in _REFUSED_CATEGORIES
