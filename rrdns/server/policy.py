"""What the settings say of EDNS options, as the pure half takes it. Must not know: queries, sockets."""

from __future__ import annotations

from rrdns.server.edns import Policy
from rrdns.settings import Settings


def policy(settings: Settings) -> Policy:
    """Without a secret there are no cookies: of one made up here no other worker would know."""
    return Policy(
        nsid=settings.nsid.encode(),
        secrets=tuple(bytes.fromhex(one) for one in settings.cookie_secret) if settings.cookies else (),
        cookie_required_udp=settings.cookie_required_udp,
        ede=settings.ede,
        ratio=settings.udp_ratio,
        ratio_all=settings.udp_ratio_all,
        keepalive=min(65535, int(settings.tcp_idle * 10)),
        version_text=settings.version_text.encode(),
        hostname_text=settings.hostname_text.encode(),
    )
