"""`notify:` of rrdns.yaml: what becomes of it, and each mistake with its line and column."""

from __future__ import annotations

import pytest

from rrdns.notify.sinks import of
from rrdns.settings import Settings
from rrdns.ui import config
from rrdns.ui.config import ConfigError

EVERYTHING = b"""\
notify:
  - {name: pager, type: command, command: [/usr/local/bin/page, --all], on: [pool, audit], pools: 'web*', timeout: 5s}
  - name: chat
    type: webhook
    url_file: chat-url
    headers: {X-Team: dns}
    token_env: CHAT_TOKEN
    quiet: 2s
    longest: 1m
    keep: 1h
    verify: false
  - {name: am, type: webhook, url: 'http://127.0.0.1:9093', format: alertmanager}
  - name: ops
    type: mail
    server: mail.example.com
    tls: starttls
    from: rrdns@ns1.example.com
    to: [ops@example.com, more@example.com]
    user: rrdns
    password_file: /etc/rrdns/smtp
  - {name: phone, type: apprise, url_env: PHONE_URL}
"""


def test_everything_is_read() -> None:
    values = config.parse("/etc/rrdns/rrdns.yaml", EVERYTHING)
    settings = Settings.from_json(Settings(**values).to_json())
    pager, chat, am, ops, phone = (of(one) for one in settings.notify)
    assert (
        pager.command == ("/usr/local/bin/page", "--all") and pager.on == ("pool", "audit") and pager.pools == ("web*",)
    )
    assert chat.url_from == "file:/etc/rrdns/chat-url" and chat.token_from == "env:CHAT_TOKEN" and not chat.verify
    assert (chat.quiet, chat.longest, chat.keep) == (2.0, 60.0, 3600.0) and chat.headers == (("X-Team", "dns"),)
    assert am.repeats and am.where == "http://127.0.0.1:9093"
    assert ops.to == ("ops@example.com", "more@example.com") and ops.password_from == "file:/etc/rrdns/smtp"
    assert phone.url_from == "env:PHONE_URL" and phone.on == of({"name": "x", "type": "mail"}).on


MAIL = "type: mail, server: m, from: a@b.c, to: d@e.f"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("notify: ops", "rrdns.yaml:1:9: notify: is no list of sinks; write `- {name: ops"),
        ("notify: [ops]", "rrdns.yaml:1:10: notify[0]: is no mapping"),
        ("notify: [{name: a}]", "notify[0].type: is missing"),
        (
            "notify: [{name: a, type: email}]",
            "1:26: notify[0].type: 'email' is none of command, webhook, mail, apprise, did",
        ),
        ("notify: [{type: webhook, url: 'http://x'}]", "notify[0].name: is missing"),
        ("notify: [{name: a b, type: webhook, url: 'http://x'}]", "1:17: notify[0].name: 'a b' is no name"),
        ("notify: [{name: a, type: webhook}]", "1:10: notify[0]: a webhook needs `url:` or `url_file:` or `url_env:`"),
        ("notify: [{name: a, type: webhook, url: 'ftp://tok3n/'}]", "notify[0].url: is no http:// or https:// address"),
        ("notify: [{name: a, type: webhook, url: 'http://x', url_file: y}]", "stands beside url_file or url_env"),
        ("notify: [{name: a, type: webhook, url_env: X, url_file: y}]", "says again what another key says (url_...)"),
        ("notify: [{name: a, type: webhook, url: 'http://x', to: x@y.z}]", "notify[0].to: of a webhook: unknown key"),
        ("notify: [{name: a, type: webhook, url: 'http://x', on: [pols]}]", "'pols' is none of member, pool,"),
        ("notify: [{name: a, type: webhook, url: 'http://x', on: []}]", "notify[0].on: is empty"),
        ("notify: [{name: a, type: webhook, url: 'http://x', headers: {A: \"b\\nc\"}}]", "no header"),
        ("notify: [{name: a, type: webhook, url: 'http://x', keep: 1s}]", "1s' is not between 60 and 604800 seconds"),
        ("notify: [{name: a, type: command, command: page}]", "begins with the program's whole path"),
        ("notify: [{name: a, type: mail, server: m, from: a@b.c}]", "1:10: notify[0]: a mail needs `to:`"),
        (f"notify: [{{name: a, {MAIL}, user: x}}]", "user: needs `password_file:` or `password_env:`"),
        (f"notify: [{{name: a, {MAIL}, password: x}}]", "unknown key, did you mean 'password_env'"),
        (f"notify: [{{name: a, {MAIL}, tls: yes}}]", "'yes' is none of starttls, tls, none"),
        (f"notify: [{{name: a, {MAIL.replace('d@e.f', 'nobody')}}}]", "'nobody' is no mail address"),
        (f"notify: [{{name: a, {MAIL.replace('server: m', 'server: m:x')}}}]", "'m:x' is no mail server"),
        (f"notify: [{{name: a, {MAIL}}}, {{name: a, {MAIL}}}]", "notify[1].name: there are two sinks named a"),
        ("notify: [{name: a, type: apprise, url: nonsense}]", "is no URL of apprise"),
        ("metrics_listen: localhost:1", "'localhost' is no IP address"),
    ],
)
def test_each_mistake_has_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse("rrdns.yaml", text.encode())
    assert said in str(caught.value), str(caught.value)
    assert "tok3n" not in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse("rrdns.yaml", b"workers: x\nnotify:\n  - {name: a, type: webhook, quiet: x, timeout: y}\n")
    lines = str(caught.value).splitlines()[1:]
    assert [line.split(": ")[1] for line in lines] == ["workers", "notify[0]", "notify[0].quiet", "notify[0].timeout"]
