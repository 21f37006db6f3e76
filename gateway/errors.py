"""Everything a caller of the relay can be told, as one tree; formats write it in their format.

GatewayError
├── InvalidRequest            400  the request itself is wrong
│   ├── ContextTooLong        400
│   ├── ServiceNotPriced      400  the model is not sold in the service that was asked for
│   └── MediaUnavailable      400  what a message names by address cannot be fetched
├── InvalidKey                401  no such key, revoked, expired
├── KeyNotAllowed             403  the key exists and may not do this (model, address, account)
├── UnknownModel              404  no such model for this caller, or it has no price
├── UnknownResponse           404  no such kept answer of this account's
├── UnknownRoute              404 / 405
├── RequestTimeout            408  the body did not arrive in time
├── RequestTooLarge           413
├── UnsupportedMediaType      415
├── InsufficientQuota         429  not covered; names scope, available and needed; never retried
├── Overloaded                503  shed, draining, or the ledger cannot be reached; retry later
├── UpstreamFailed            502  every candidate failed
│   ├── ChannelUnusable       502  what a channel keeps sealed cannot be used: ours to mend
│   ├── UpstreamRateLimited   429  the last candidate asked is rate limited, or all of them are
│   ├── ProviderUnavailable   503  no key is left that a provider takes: ours to mend, not theirs
│   ├── UpstreamTimeout       504
│   └── UpstreamRefused       4xx  the provider says the client's request is wrong: told as it is
└── InternalError             500
"""

from typing import NamedTuple


class ProviderWords(NamedTuple):
    """What a provider said of its failure, as it said it: nothing that clients may be told."""

    status: int
    code: str
    message: str


class GatewayError(Exception):
    """Root. `kind` and `code` are the OpenAI envelope's `type` and `code`; both are stable."""

    status = 500
    kind = "server_error"
    code = "internal_error"
    should_retry: bool | None = None
    """What `x-should-retry` says; None leaves the decision to the client's own rules."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class InvalidRequest(GatewayError):
    """The request itself is wrong; repeating it cannot help."""

    status = 400
    kind = "invalid_request_error"
    code = "invalid_value"
    should_retry = False


class ContextTooLong(InvalidRequest):
    """The prompt exceeds what can be priced or relayed."""

    code = "context_length_exceeded"


class ServiceNotPriced(InvalidRequest):
    """The model has no price in the service asked for; another's is never taken by mistake."""

    code = "service_not_priced"


class MediaUnavailable(InvalidRequest):
    """What a message names by address cannot be fetched for a provider that takes bytes alone."""

    code = "media_unavailable"


class InvalidKey(GatewayError):
    """No such key, or it is revoked or expired; the three are told alike."""

    status = 401
    kind = "invalid_request_error"
    code = "invalid_api_key"
    should_retry = False


class KeyNotAllowed(GatewayError):
    """The key is good and may not do this: wrong model, wrong address, suspended account."""

    status = 403
    kind = "permission_error"
    code = "model_not_allowed"
    should_retry = False


class UnknownModel(GatewayError):
    """No channel serves this model to this caller, or it has no price."""

    status = 404
    kind = "invalid_request_error"
    code = "model_not_found"
    should_retry = False


class UnknownResponse(GatewayError):
    """No answer of this id is kept for this account; another account's are told alike."""

    status = 404
    kind = "invalid_request_error"
    code = "response_not_found"
    should_retry = False


class UnknownRoute(GatewayError):
    """No such path (404), or not with this method (405)."""

    status = 404
    kind = "invalid_request_error"
    code = "unknown_url"
    should_retry = False


class RequestTimeout(GatewayError):
    """The body did not arrive within its time."""

    status = 408
    kind = "invalid_request_error"
    code = "request_timeout"


class RequestTooLarge(GatewayError):
    """More bytes, nodes or entries than one request may have."""

    status = 413
    kind = "invalid_request_error"
    code = "request_too_large"
    should_retry = False


class UnsupportedMediaType(GatewayError):
    """The body's type or encoding is not one this route reads."""

    status = 415
    kind = "invalid_request_error"
    code = "unsupported_media_type"
    should_retry = False


class InsufficientQuota(GatewayError):
    """The worst-case price is not covered; nothing was sent anywhere."""

    status = 429
    kind = "insufficient_quota"
    code = "insufficient_quota"
    should_retry = False
    available_nanos = 0
    """What the scope that fell short has left."""


class Overloaded(GatewayError):
    """The gateway cannot take this call now; nothing was charged."""

    status = 503
    kind = "server_error"
    code = "overloaded"


class UpstreamFailed(GatewayError):
    """Every candidate channel failed before the first byte; nothing was charged, but for what the
    last of them says that its failure used.
    """

    status = 502
    kind = "server_error"
    code = "upstream_error"
    upstream_status = 0
    """Of the provider's HTTP answer, where that says that it failed."""
    words: ProviderWords | None = None


class StreamBrokenOff(UpstreamFailed):
    """A provider's stream cannot be read on; it did not say itself that it failed."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The provider's stream broke off: {why}.")


class AnswerFailed(UpstreamFailed):
    """A provider says of its own answer that it came to nothing; another may do better."""


class UpstreamRateLimited(UpstreamFailed):
    """Every candidate channel is rate limited by its provider."""

    status = 429
    kind = "rate_limit_error"
    code = "rate_limit_exceeded"


class ProviderUnavailable(UpstreamFailed):
    """No channel has a key left that its provider takes: they are refused, or out of money. Told as
    a fault of this place, for the customer's own key and balance are in order.
    """

    status = 503
    code = "provider_unavailable"

    def __init__(self) -> None:
        super().__init__("No provider of this model can be asked at present.")


class UpstreamTimeout(UpstreamFailed):
    """The provider did not answer, or stopped answering, within its time."""

    status = 504
    code = "upstream_timeout"


class ChannelUnusable(UpstreamFailed):
    """What a channel keeps sealed cannot be read or used: nobody was asked, nobody failed."""


class UpstreamRefused(UpstreamFailed):
    """The provider calls the client's own request wrong; another channel would say the same."""

    status = 400
    kind = "invalid_request_error"
    code = "invalid_value"
    should_retry = False


class InternalError(GatewayError):
    """A bug of ours; the log has the story, the client has the request id."""
