"""A workflow that uses the deprecated `fetch`, written by hand: no SDK of today does."""

from __future__ import annotations

from pathlib import Path

import wasmtime

#: Settings of a service whose workflows may reach servers of this host.
LOOPBACK = {"egress_allow": "127.0.0.1"}

#: In the memory of the guest: offset and text.
_METHOD, _DONE = (0, "POST"), (32, "true")
_NAME, _VALUE, _BODY = 48, 64, (80, "body")
_HEADERS, _ENTERED, _ANSWER, _URL, _LABEL = 128, 256, 272, 512, 1024


def fetching(
    url: str, folder: Path, *, status: int = 200, header: tuple[str, str] = ("x-own", "1"), label: str = "old"
) -> Path:
    """A component that sends one POST with two equal headers and a body, and fails unless it gets this status.

    Name and value of the header have at most 16 characters, the URL 512.
    """
    header_name, header_value = header
    texts = [_METHOD, (_LABEL, label), _DONE, (_NAME, header_name), (_VALUE, header_value), _BODY, (_URL, url)]
    data = "".join(f'(data (i32.const {offset}) "{text}")' for offset, text in texts)
    headers = "".join(
        f"(i32.store (i32.const {_HEADERS + 16 * number + 4 * word}) (i32.const {value}))"
        for number in (0, 1)
        for word, value in enumerate([_NAME, len(header_name), _VALUE, len(header_value)])
    )
    text = _GUEST.format(
        data=data, header=headers, url=_URL, url_size=len(url), headers=_HEADERS, status=status, entered=_ENTERED,
        answer=_ANSWER, method=_METHOD[0], label=_LABEL, label_size=len(label), done=_DONE[0], body=_BODY[0],
    )  # fmt: skip
    path = folder / "fetching.wasm"
    path.write_bytes(bytes(wasmtime.wat2wasm(text)))
    return path


_GUEST = """(component
    (import "durable:core/core@2.0.0" (instance $core
        (export "transaction-enter" (func (param "label" string) (param "is-db" bool) (result (option string))))
        (export "transaction-exit" (func (param "data" string)))))
    (import "durable:core/http@2.0.0" (instance $http
        (type $h (record (field "name" string) (field "value" (list u8))))
        (export "http-header" (type $header (eq $h)))
        (type $rq (record (field "method" string) (field "url" string) (field "headers" (list $header))
            (field "body" (option (list u8))) (field "timeout" (option u64))))
        (export "http-request" (type $request (eq $rq)))
        (type $rp (record (field "status" u16) (field "headers" (list $header)) (field "body" (list u8))))
        (export "http-response" (type $response (eq $rp)))
        (type $e (variant (case "timeout") (case "invalid-method") (case "invalid-url" string)
            (case "invalid-header-name") (case "invalid-header-value") (case "other" string)))
        (export "http-error" (type $error (eq $e)))
        (export "fetch" (func (param "request" $request) (result (result $response (error $error)))))))
    (core module $libc-module
        (memory (export "memory") 2)
        (global $next (mut i32) (i32.const 8192))
        (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
            (global.set $next (i32.add (local.get $at) (local.get $size)))
            (local.get $at)))
    (core instance $libc (instantiate $libc-module))
    (core func $enter (canon lower (func $core "transaction-enter")
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core func $exit (canon lower (func $core "transaction-exit") (memory (core memory $libc "memory"))))
    (core func $fetch (canon lower (func $http "fetch")
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core module $program
        (import "libc" "memory" (memory 2))
        (import "host" "enter" (func $enter (param i32 i32 i32 i32)))
        (import "host" "exit" (func $exit (param i32 i32)))
        (import "host" "fetch"
            (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32)))
        {data}
        (func (export "run") (result i32)
            {header}
            (call $enter (i32.const {label}) (i32.const {label_size}) (i32.const 0) (i32.const {entered}))
            (if (i32.load8_u (i32.const {entered})) (then (return (i32.const 0))))
            (call $fetch (i32.const {method}) (i32.const 4) (i32.const {url}) (i32.const {url_size})
                (i32.const {headers}) (i32.const 2) (i32.const 1) (i32.const {body}) (i32.const 4)
                (i32.const 1) (i64.const 5000000000) (i32.const {answer}))
            (if (i32.load8_u (i32.const {answer})) (then (return (i32.const 1))))
            (if (i32.ne (i32.load16_u (i32.add (i32.const {answer}) (i32.const 4))) (i32.const {status}))
                (then (return (i32.const 1))))
            (call $exit (i32.const {done}) (i32.const 4))
            (i32.const 0)))
    (core instance $main (instantiate $program (with "libc" (instance $libc)) (with "host" (instance
        (export "enter" (func $enter)) (export "exit" (func $exit)) (export "fetch" (func $fetch))))))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $cli (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $cli)))"""
