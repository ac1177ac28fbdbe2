"""Values that no service expects."""

from __future__ import annotations

from typing import Any

UNKNOWN_ID = "00000000-0000-4000-8000-00000000dead"


def _deep(levels: int, leaf: Any = 1) -> Any:
    value = leaf
    for number in range(levels):
        value = [value] if number % 2 else {"a": value}
    return value


#: JSON values, the plainest first.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.5, "", "x", [], {},
    2, 100, 2**31, 2**63, 2**64, 10**30, -(10**30), 1e308, -0.0, 1e-320, float("nan"), float("inf"), float("-inf"),
    " ", "0", "true", "null", "\x00", "a\x00b", "\ud800", "\U0001f40d", "\u202e", "a" * 300, "a" * 70000, "\r\nX: y",
    [None], [[]], [{}], {"": None}, {"a": 1}, ["x", "x"], [1, "x", None, [], {}], {"DATA_TYPE": "x"}, {"\ud800": 1},
    _deep(40), _deep(90), _deep(300), ["x"] * 2000, {str(number): number for number in range(500)},
    UNKNOWN_ID, "urn:uuid:" + UNKNOWN_ID, UNKNOWN_ID.upper(), UNKNOWN_ID.replace("-", ""), "{" + UNKNOWN_ID + "}",
    "9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2099-02-30", "2099",
    "2099-01-01T00:00:00", "2099-01-01", "2020-W01", "1e999", "nan", "inf", "-inf", "1_0", "\u0663", "٣" * 20,
    "(", "[", "*", "?", "~", "!", "=", "!~[", "~[!", "a:b", "a,b", "/", ":", ",", ";", "'",
    '"', "\\", "%", "%s", "{x}",
    "*a" * 30, "~" + "*a" * 40, "(" * 2000, "NOT " * 3000, "(a AND " * 1000, '"' * 99, "a" * 40 + "!", "(a+)+$", "$",
    "$.a", "$.", "$..*", "$..*..*..*..*", "$[?(@.a=~/(a+)+$/)]", "$[::0]", "$[99999999999999999999]", "`x`",
    "9**9**9**9", "'a'*10**9", "[0]*10**9", "1/0", "x.__class__", "1<<10**9", "(" * 300 + ")" * 300, "1 if", "a.b.c",
    "urn:globus:auth:identity:" + UNKNOWN_ID, "urn:globus:auth:identity:x", "urn:globus:groups:id:", "public",
    "all_authenticated_users", "urn:globus:auth:scope:transfer.api.globus.org:all", "a[b", "a[b[c]] d",
    "[" * 500, "*a",
    "http://[", "http://[::1]:99999999/", "https://127.0.0.1:9/", "//", "http://\x00", "s3://", "file:///etc/passwd",
)  # fmt: skip

#: Paths inside collections: good ones, and ways out.
PATHS = (
    "/", "/a.txt", "/folder", "/folder/", "/folder/b.txt", "/new/c.txt", "~", "/~/", "", ".", "a.txt", "/none",
    "/{outside}", "{outside}/secret.txt", "/../outside/secret.txt", "../outside/secret.txt", "/folder/../../outside/",
    "/..", "/~/../..", "/leads-out/secret.txt", "/leads-out", "/leads-out/new.txt", "/leads-to-file", "/circle",
    "/circle/circle/a.txt", "/folder/up/up/up/a.txt", "/%2e%2e/outside", "/..%2f..%2foutside", "/%2Fetc/passwd",
    "/etc/passwd", "//etc/passwd", "\\..\\..", "/a\x00b", "/\x00", "/a\nb", "/\ud800", "/☃/ü.txt", "/a\u0301",
    "/" + "x" * 255,
    "/" + "x" * 256, "/" + "x" * 5000, "/" + "d/" * 3000, "/ " , "/a ", "/*", "/[a", "/{folder,a}*", "/?",
    "/#", "/folder/*",
    "/.globus-sandbox-part-0", "/a.txt/", "/a.txt/b", "/bucket-of-fuzz", "/bucket-of-fuzz/a.txt", "/bucket-of-fuzz/",
    "/Not_A_Bucket!", "/none/a", "/bucket-of-fuzz/" + "k" * 1025, "/bucket-of-fuzz//x", "/bucket-of-fuzz/\x01",
    "/pipe",
    "/bucket-of-fuzz/.", "/bucket-of-fuzz/a.txt/b", "/bucket-of-fuzz/folder", "/bucket-of-fuzz/folder/",
    "/unreadable",
)  # fmt: skip

#: What is no JSON document.
BODIES = (
    b"", b"x", b"{", b"[]", b"null", b"0", b'""', b"{}", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
    b"[" * 5000, b'{"a":' * 5000, b"[" * 200000, b'{"a": NaN}', b'{"a": 1e999}', b'{"a": ' + b"9" * 6000 + b"}",
    b'{"a": 1, "a": 2}', b'{"DATA_TYPE": "\\ud800"}', b'{"a": "\xff"}', b"grant_type=%ff&x", b"a=1&a=2&=&&%",
    b"&" * 3000,
    b"{" + b'"a": 1, ' * 100 + b'"b": 2}', b" " * 100000, b"<x/>", b"--x\r\n\r\n--x--",
)  # fmt: skip

CONTENT_TYPES = (
    "application/json", "application/x-www-form-urlencoded", "", "text/plain", "multipart/form-data; boundary=x",
    "application/json; charset=utf-16", "application/xml", "x", "\xff",
)  # fmt: skip

#: Further headers, by name.
HEADERS = {
    "Range": ("bytes=0-1", "bytes=-1", "bytes=5-1", "bytes=0-0,2-3", "bytes=" + "0-1," * 500, "x",
    "bytes=9" + "9" * 5000,
              "bytes=-0", "bytes=\xb2-", "bytes=1-\xb2"),
    "Content-Range": ("bytes 0-1/2", "x"),
    "If-Match": ("*", '"x"'),
    "If-Modified-Since": ("Thu, 01 Jan 1970 00:00:00 GMT", "x"),
    "X-Requested-With": ("XMLHttpRequest", ""),
    "Accept": ("application/json", "text/html", "*/*;q=x"),
    "User-Agent": ("globus-sdk-py-4", "\xff", "x" * 9000),
    "Cookie": ("a=b", "\xff;;=="),
    "X-Request-Id": ("x", "\xff"),
    "Expect": ("100-continue",),
}  # fmt: skip

#: Authorization that opens nothing.
AUTHORIZATIONS = (
    "Bearer x", "Bearer", "Bearer ", "bearer", "Basic", "Basic x", "Basic Og==", "Basic /w==", "Basic eDp5",
    "Digest a",
    "", " ", "Bearer \xff", "Basic \xff", "Bearer " + "A" * 9000, "Bearer a b c",
)  # fmt: skip
