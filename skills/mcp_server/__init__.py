"""`chrono mcp`: the actions as tools of the Model Context Protocol, with resources and prompts, for any client.

The official SDK speaks the protocol, in either of its majors (1.26 and later, 2); all that differs between them is in
`sdk`. Everything else here gives and takes the protocol's own documents (https://modelcontextprotocol.io).
"""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from skills.mcp_server.loopback import Address, make_token, parse_address
    from skills.mcp_server.serving import serve_http, serve_stdio

__all__ = ["Address", "make_token", "parse_address", "serve_http", "serve_stdio"]

_HOMES = {
    "Address": "loopback", "make_token": "loopback", "parse_address": "loopback", "serve_http": "serving",
    "serve_stdio": "serving",
}  # fmt: skip

__getattr__ = loader(__name__, _HOMES)
