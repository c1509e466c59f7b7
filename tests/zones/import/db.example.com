; A zone as it stands on many name servers: every type rrdns knows, and the ways BIND lets one write it.
$TTL 1h
$ORIGIN example.com.
@               IN SOA  ns1 hostmaster.example.com. (
                        2024031501      ; serial
                        2h 15m 2w 1h )  ; times with units
                IN NS   ns1
                IN NS   ns2.example.net.
                IN MX   10 mail
                IN MX   20 mail2.example.net.
                IN A    192.0.2.10
                IN AAAA 2001:db8::10
                IN TXT  "v=spf1 mx include:_spf.example.net -all"
                IN TXT  "google-site-verification=abc;def"
                IN CAA  0 issue "letsencrypt.org; validationmethods=dns-01"
                IN CAA  128 iodef "mailto:security@example.com"
                IN SPF  "v=spf1 mx -all"
                IN HTTPS 1 . alpn="h3,h2" ipv4hint=192.0.2.10 ipv6hint=2001:db8::10
ns1             IN A    192.0.2.53
mail    300     IN A    192.0.2.25
        300     IN AAAA 2001:db8::25
WWW             CNAME   web1.example.com.
web1            A       192.0.2.11
                A       192.0.2.12
                A       192.0.2.12   ; the same again: kept once
*.dev           5m A    192.0.2.99
*               IN MX   10 mail
legacy          DNAME   old.example.net.
_sip._tcp       SRV     10 60 5060 sip1
                SRV     10 40 5060 sip2.example.net.
_443._tcp.www   TLSA    3 1 1 ( 8cb0fc6c527506a053f4f14c8464bebb
                                d6dede2738d11468dd953d7d6a3021f1 )
host            SSHFP   4 2 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
                LOC     52 22 23.123 N 4 53 32.000 E -2.29m 0.00m 10000m 10m
                HINFO   "PC-Intel" "Linux"
enum            NAPTR   100 10 "u" "E2U+sip" "!^\\+441632960(.*)$!sip:\\1@example.com!" .
                NAPTR   100 20 "S" "SIP+D2U" "" _sip._udp
dkim._domainkey TXT     ( "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
                "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111QIDAQAB" )
_http._tcp.printer TXT  "txtvers=1" "path=/a;b" "note=say \"hi\" \\ \200\255"
empty           TXT     ""
sub             NS      ns.sub
                DS      60485 13 2 ( D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A )
ns.sub          A       192.0.2.77
john\.doe       TXT     "a dot inside a label"
we\032ird\001   A       192.0.2.66
_dns            SVCB    1 dns.example.com. alpn=dot port=8853 key7="/dns-query{?dns}" mandatory=alpn
alias           SVCB    0 web1
private         TYPE65280 \# 6 0a00 0001 ffff
ignored         TYPE1   \# 4 0A000001
$GENERATE 1-4 node$ A 198.51.100.$
$GENERATE 10-14/2 ${0,4,d}.rack CNAME node${-9}
$INCLUDE include/common.inc
$TTL 1h                         ; to BIND a $TTL in an included file holds on behind it
$INCLUDE include/common.inc branch
$TTL 1h
$ORIGIN deep.example.com.
a.b.c           60 A    192.0.2.200
yes             TXT     no
no              TXT     "0123"
10              TXT     "null" "~"
