from __future__ import annotations
import json, socket, time, os, signal
from collections import Counter
from pathlib import Path
from tests.engine.test_http import *  # noqa
from tests.engine.test_http import serve
W = Path("/work/main/tests/workflows-http")
def method(request, connection):
    b = b"" if request.method == "HEAD" else json.dumps({"method": request.method}).encode()
    connection.sendall(response(b, headers=[("X-Method", request.method)])); return True
def test_all(database, start_service, serve):
    server = serve(method)
    service = start_service(workers=1, **LOOPBACK)
    t = database.value("INSERT INTO durable.task (name, wasm, data) VALUES ('a',%s,%s) RETURNING id", database.program(W/"api-http.wasm"), json.dumps({"url":server.url()}))
    print(database.wait_for_end(t), database.log(t)[:300])
def test_kills(database, start_service, serve):
    server = serve(after(0.05, response(b"{}")))
    service = start_service(workers=2, **LOOPBACK)
    p = database.program(W / "http-steps.wasm")
    tasks = [database.value("INSERT INTO durable.task (name, wasm, data) VALUES ('s',%s,%s) RETURNING id", p, json.dumps({"url": server.url(), "count": 60})) for _ in range(60)]
    a=time.monotonic(); kills=0; hit=0
    while time.monotonic()-a < 100 and kills < 25:
        time.sleep(0.3)
        rows = database.query("SELECT w.pid, count(*) FROM durable.task t JOIN durable.worker w ON w.id=t.running_on WHERE state='active' GROUP BY 1 ORDER BY 2 DESC LIMIT 1")
        if rows:
            try: os.kill(rows[0][0], signal.SIGKILL); kills+=1; hit+=rows[0][1]
            except ProcessLookupError: pass
    for t in tasks:
        assert database.wait_for_end(t, 60) == "complete", database.failure(t)
        database.assert_dense(t)
    c = Counter((json.loads(r.body)["task"], json.loads(r.body)["step"]) for r in server.requests)
    assert len(c) == 3600
    print("kills", kills, "task hits", hit, "repeats", sum(c.values())-3600, "max", max(c.values()), time.monotonic()-a)
