"""`chrono mcp`: the server that agents talk to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chronos.cli import output
from chronos.cli.declaring import Argument, Group, Option
from chronos.cli.session import Session
from chronos.config import Surroundings
from chronos.errors import UsageError

if TYPE_CHECKING:
    from chronos.errors import ChronosError
    from skills.mcp_server import Address

app = Group()


@app.command()
def mcp(
    session: Session,
    http: Annotated[bool, Option("--http", help="Serve HTTP on this machine, to clients that have the token.")] = False,
    address: Annotated[
        str | None,
        Argument(metavar="[HOST:PORT]", show_default=False, help="Where: 127.0.0.1:7676, port 0 is any."),
    ] = None,
) -> None:
    """Serve agents over the Model Context Protocol: checkpoints, restores, timelines, lessons as tools.

    An agent's program starts it and speaks to it on standard input and output. With --http it prints its URL and the
    token that clients must send; CHRONOS_MCP_TOKEN gives one. What overwrites or deletes needs the id of a plan;
    agent_actions and agent_forbidden in the settings keep agents from more.
    """
    from skills import mcp_server

    surroundings = Surroundings.current()
    root = (session.root or surroundings.start).absolute()
    if not http:
        if address is not None:
            raise UsageError("an address is for --http", hint=f"chrono mcp --http {address}")
        mcp_server.serve_stdio(root, on_problem=lambda error: _warn(root, error))
        return
    where = mcp_server.parse_address(address or "")
    token, is_new = mcp_server.make_token(surroundings.environment)

    def announce(found: Address) -> None:
        session.show((found, token if is_new else None), _document, _view)
        output.finish()

    mcp_server.serve_http(root, where, token, on_start=announce, on_problem=lambda error: _warn(root, error))


def _document(started: tuple[Address, str | None]) -> dict[str, Any]:
    address, token = started
    return {"url": address.url, "token": token}


def _view(started: tuple[Address, str | None]) -> None:
    address, token = started
    output.write(f"MCP server: {address.url}")
    output.write(f"  Authorization: Bearer {token}" if token is not None else "  with the token of CHRONOS_MCP_TOKEN")


def _warn(root: Path, error: ChronosError) -> None:
    """Say so, and go on: a client shows what tools answer, and of a server that ends only that it ended."""
    output.write_error(output.harmless(f"chrono: every tool will answer that {root} cannot be served: {error.message}"))
    output.write_error(output.harmless(f"  {error.hint}"))
