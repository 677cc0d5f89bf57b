"""What the hardware and the libraries allow: Starlette and sqlite3 doing the same two queries and nothing else."""

from __future__ import annotations

import sqlite3
import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_adapter.serving import Server, address_of, listen

SCHEMA = """
CREATE TABLE resource (rid INTEGER PRIMARY KEY, type TEXT, id TEXT, body BLOB, UNIQUE (type, id));
CREATE TABLE token (type TEXT, param TEXT, code TEXT, rid INTEGER, PRIMARY KEY (type, param, code, rid)) WITHOUT ROWID;
"""


def bare_app(file: str) -> Starlette:
    """Read by id, and the first twenty by status as a searchset Bundle."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    async def read(request: Request) -> Response:
        key = (request.path_params["type"], request.path_params["id"])
        row = connection.execute("SELECT body FROM resource WHERE type = ? AND id = ?", key).fetchone()
        return Response(row[0] if row else b"", 200 if row else 404, media_type="application/fhir+json")

    async def search(request: Request) -> Response:
        key = (request.path_params["type"], request.query_params["status"])
        rows = connection.execute(
            "SELECT r.id, r.body FROM token t JOIN resource r ON r.rid = t.rid "
            "WHERE t.type = ? AND t.param = 'status' AND t.code = ? ORDER BY t.rid LIMIT 20",
            key,
        )
        entries = b",".join(
            b'{"fullUrl":"http://bare/fhir/%s/%s","resource":%s,"search":{"mode":"match"}}'
            % (key[0].encode(), id_.encode(), body)
            for id_, body in rows
        )
        return Response(
            b'{"resourceType":"Bundle","type":"searchset","entry":[%s]}' % entries, media_type="application/fhir+json"
        )

    return Starlette(routes=[Route("/fhir/{type}", search), Route("/fhir/{type}/{id}", read)])


if __name__ == "__main__":
    listening = listen("127.0.0.1", 0)
    Server(bare_app(sys.argv[1]), lambda: print(f"answers at {address_of(listening)} ", flush=True)).run([listening])
