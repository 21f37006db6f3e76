"""TLS to providers: certificates and names are verified, sessions resumed (RFC 8446, 2.2).

A host that knows us again shows no certificate and signs nothing, which saves more than half of the
processor time of a handshake. Only who holds the keys of the last session can resume it.
"""

import ssl

_HOSTS_MAX = 1_024


class ResumingContext(ssl.SSLContext):
    """A context that offers each host the session it gave last."""

    _sessions: dict[str, ssl.SSLSession]

    def remember(self, host: str, session: ssl.SSLSession | None) -> None:
        """Offer this one from now on; None where a host gives none."""
        if session is None or not session.has_ticket:
            return
        if len(self._sessions) >= _HOSTS_MAX:
            self._sessions.clear()
        self._sessions[host] = session

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the event loop asks for it, which knows no sessions."""
        if session is None and isinstance(server_hostname, str):
            session = self._sessions.get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def client_context(roots: str = "") -> ResumingContext:
    """Verifies against these certificates in PEM, or the system's where there are none.

    Raises ssl.SSLError for what are no certificates.
    """
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context._sessions = {}
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if roots:
        context.load_verify_locations(cadata=roots)
    else:
        context.load_default_certs()
    return context
